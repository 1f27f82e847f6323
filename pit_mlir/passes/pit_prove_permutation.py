"""`pit-prove-permutation`: which iterators may be permuted, and which values may be skipped, written on each op."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from pit_mlir.analysis.body import constant
from pit_mlir.analysis.equations import equation_of
from pit_mlir.analysis.facts import Assumption, Floats, Proof
from pit_mlir.analysis.notation import constant_formula
from pit_mlir.analysis.permutation import TIMEOUT_MS, prove
from pit_mlir.analysis.special_values import special_text
from pit_mlir.bindings import ir
from pit_mlir.diagnostics import Diagnostic, Operator, Report
from pit_mlir.dialect.location import location_text
from pit_mlir.dialect.structured import Structured, owner
from pit_mlir.passes.base import Pass

NAMES = "ABCDEFGHKLMNPQRSTUVWXYZ"

ATTENTION_AXES = (
    ("parallel", "queries: each row of the result is of one query"),
    ("reduction", "keys: softmax and the weighted sum do not depend on their order, floats as reals"),
)
"""What holds for `pit.attend` by its definition."""


@dataclass(frozen=True)
class ProvePermutation(Pass):
    """Proves which iterators of each linalg and pit.generic operation are PIT axes, and what may be skipped.

    `floats` is `real` (sums may be reordered) or `strict`; one question may take the solver `timeout-ms`, after
    which the answer is `none`, all questions about one operation four times as much. The operation gets these
    attributes, a remark for each iterator that is `none`, and one for what a verdict assumes about the data:

    - `pit.axes`: per iterator `"parallel"`, `"reduction"` or `"none"`.
    - `pit.annihilates`: per input, whether it contributes nothing to the results where it is 0.
    - `pit.neutral`: per input, the values that keep the accumulator, of those that are tried: `0`, `1` and the ends
      of the type, which are `-inf`, `+inf`, or `signed-min`, `signed-max`, `all-ones` for integers.
    - `pit.background`: per input, what the results hold where it is 0 (under a reduction: neutral): a number,
      `init`, `operand 1`, `expression of operands [1, 2]`, or `none`; several results separated by commas.
    - `pit.fill`: per iterator, values for all inputs that change nothing (`-` for one without the iterator), or [].
    - `pit.masks`: per input, by such a value: the other inputs that no result reads where it holds the value.
    - `pit.deltas`: per iterator, where along it the results are not zero (under a reduction: not their init), if
      that is one position at most: `d1 = operand 0` (the position equals the element of input 0), `d1 = d0`,
      `d1 = 3`, `d1 = ?` (it has no name), or `none`. In `operand 2 = operand 0` the entry of input 2 stands for the
      position: it holds if the entries of input 2 along the iterator are distinct. Absent if all are `none`.
    - `pit.assumes`: what the facts above assume about the data, absent if nothing.
    """

    name: ClassVar[str] = "pit-prove-permutation"
    statistics: ClassVar[Mapping[str, str]] = {
        "num-parallel": "Parallel PIT axes proved",
        "num-reduction": "Reduction PIT axes proved",
        "num-none": "Iterators that are no PIT axes",
    }

    floats: Floats = "real"
    timeout_ms: int = field(default=TIMEOUT_MS, metadata={"range": range(1, 2**31)})

    def run(self, op: ir.Operation, report: Report) -> None:
        """Annotates every operation in `op` that has iterators."""

        def visit(inner: ir.Operation) -> ir.WalkResult:
            proof = prove(inner, floats=self.floats, timeout_ms=self.timeout_ms)
            if inner.name == "pit.attend":
                report.operators.append(Operator(location_text(inner.location), "attention", ATTENTION_AXES))
            if proof is None:
                return ir.WalkResult.ADVANCE
            annotate(inner, proof)
            for verdict in proof.verdicts:
                report.count(f"num-{verdict}")
            explain(inner, proof, report)
            return ir.WalkResult.SKIP

        with op.context:
            op.walk(visit, ir.WalkOrder.PRE_ORDER)


def annotate(op: ir.Operation, proof: Proof) -> None:
    """Writes the facts of `proof` on `op`."""
    attributes = op.attributes
    attributes["pit.axes"] = strings(proof.verdicts)
    attributes["pit.annihilates"] = ir.ArrayAttr.get([ir.BoolAttr.get(value) for value in proof.annihilates])
    attributes["pit.neutral"] = ir.ArrayAttr.get(
        [
            strings(sorted(special_text(value, type_) for value in values))
            for values, type_ in zip(proof.neutral, proof.types, strict=True)
        ]
    )
    attributes["pit.background"] = strings(
        "none" if background is None else str(background) for background in proof.background
    )
    attributes["pit.fill"] = ir.ArrayAttr.get(
        [
            strings(
                "-" if value is None else special_text(value, type_)
                for value, type_ in zip(fill or (), proof.types, strict=fill is not None)
            )
            for fill in proof.fill
        ]
    )
    attributes["pit.masks"] = ir.ArrayAttr.get(
        [
            ir.DictAttr.get(
                {
                    special_text(value, type_): ir.DenseI64ArrayAttr.get(sorted(unread))
                    for value, unread in masks.items()
                }
            )
            for masks, type_ in zip(proof.masks, proof.types, strict=True)
        ]
    )
    if any(proof.deltas):
        attributes["pit.deltas"] = strings("none" if delta is None else str(delta) for delta in proof.deltas)
    assumed = assumptions(proof)
    if assumed:
        attributes["pit.assumes"] = strings(assumption.value for assumption in assumed)


def strings(texts: Iterable[str]) -> ir.ArrayAttr:
    """An array attribute of strings."""
    return ir.ArrayAttr.get([ir.StringAttr.get(text) for text in texts])


def assumptions(proof: Proof) -> list[Assumption]:
    """Everything that some fact of `proof` assumes, in a fixed order."""
    assumed = frozenset[Assumption]().union(
        *(axis.assumptions for axis in proof.axes),
        *proof.assumptions.values(),
        *(background.assumptions for background in proof.background if background is not None),
        *(delta.assumptions for delta in proof.deltas if delta is not None),
    )
    return sorted(assumed)


def explain(op: ir.Operation, proof: Proof, report: Report) -> None:
    """Records the verdicts; a remark for each iterator that is `none`: what failed, and two orders that differ.

    What a verdict assumes about the data is a remark, too.
    """
    location = location_text(op.location)
    if op.name != "linalg.fill":
        axes = tuple((str(axis.verdict), axis.reason) for axis in proof.axes)
        equation = equation_of(op, short_names())
        assert equation is not None, "what has axes has maps"
        report.operators.append(Operator(location, kind_of(op), axes, str(equation), equation.iterators))
    for iterator, axis in enumerate(proof.axes):
        if axis.verdict == "none":
            shown = axis.counterexample
            notes = () if shown is None else (Diagnostic("note", location, f"counterexample: {shown}"),)
            report.remark(location, f"{op.name}: iterator d{iterator} is none: {axis.reason}", notes)
        for assumption in sorted(axis.assumptions):
            report.remark(
                location, f"{op.name}: iterator d{iterator} is {axis.verdict}, assuming that {assumption}"
            )


def short_names() -> Callable[[ir.Value], str]:
    """A name for each tensor of an operation: A, B, C in the order in which they are asked for; numbers as they are."""
    names: dict[ir.Value, str] = {}

    def name(value: ir.Value) -> str:
        maker = owner(value)
        node = None if maker is None or maker.name != "arith.constant" else constant(maker)
        if node is not None and node.op == "constant":
            return constant_formula(node).text
        return names.setdefault(value, NAMES[len(names)] if len(names) < len(NAMES) else f"T{len(names)}")

    return name


def kind_of(op: ir.Operation) -> str:
    """What a reader calls `op`, by its name, its iterators and what its body does."""
    view = Structured.of(op)
    if view is None:
        return op.name.partition(".")[2]
    names = {inner.operation.name for inner in view.body.operations}
    if "reduction" not in view.iterators:
        return "gather" if "tensor.extract" in names else "element-wise"
    products = {"arith.mulf", "arith.muli"} & names and {"arith.addf", "arith.addi"} & names
    return "matrix product" if products and len(view.inputs) > 1 else "reduction"
