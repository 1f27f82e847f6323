"""What `pit-mlir prove` does: each structured operation of a file with its equation and everything proved about it."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from pit_mlir.analysis.body import Scheme, whole_scheme
from pit_mlir.analysis.equations import Equation, equation_of, operands_of
from pit_mlir.analysis.facts import Axis, Floats, Proof
from pit_mlir.analysis.permutation import TIMEOUT_MS, prove
from pit_mlir.bindings import ir
from pit_mlir.dialect import make_context
from pit_mlir.dialect.location import location_text
from pit_mlir.errors import InputError
from pit_mlir.passes.pit_prove_permutation import ATTENTION_AXES
from pit_mlir.tools.source import Names, Source

WITHOUT_A_THEOREM = ("linalg.yield", "linalg.index")
"""Parts of an operation's body."""


@dataclass(frozen=True)
class Question:
    """What is asked: how floats are taken, how long the solver may work, and of which functions and lines."""

    floats: Floats = "real"
    timeout_ms: int = TIMEOUT_MS
    functions: Sequence[str] = ()
    lines: Sequence[int] = ()

    def asks(self, function: str, location: str) -> bool:
        """Whether the operation at `location` in `function` is asked about."""
        line = re.search(r":(\d+):\d+$", location)
        in_function = not self.functions or function in self.functions
        return in_function and (not self.lines or (line is not None and int(line[1]) in self.lines))


@dataclass(frozen=True)
class Statement:
    """What is proved about one operation; an extent is None where it is known at run time only.

    An operation of a form that the theorem does not cover has a `remark` instead of an equation.
    """

    location: str
    function: str
    operation: str
    equation: Equation | None = None
    extents: tuple[int | None, ...] = ()
    proof: Proof | None = None
    remark: str = ""

    @property
    def axes(self) -> Sequence[Axis]:
        """The verdicts on the iterators."""
        return () if self.proof is None else self.proof.axes


@dataclass
class Asked:
    """The operations of a module that are asked about, with all functions there are."""

    operations: list[tuple[str, ir.Operation]] = field(default_factory=list[tuple[str, ir.Operation]])
    functions: list[str] = field(default_factory=list[str])


def statements(source: Source, question: Question, each: Callable[[int, int], None]) -> list[Statement]:
    """All that is proved about `source`; `each` is told how many operations of how many are done.

    Raises `InputError` for invalid MLIR, and where there is nothing to prove.
    """
    context = make_context()
    context.allow_unregistered_dialects = True
    module = source.parse(context)
    with context:
        asked = _asked(module, source, question)
        names = Names(source, module)
        found: list[Statement] = []
        for done, (function, op) in enumerate(asked.operations):
            each(done, len(asked.operations))
            found.append(_statement(op, function, source, names, question))
    if not any(statement.axes for statement in found):
        raise InputError(_nothing(found, asked, question), location=f"{source.name}:1:1")
    return found


def _asked(module: ir.Module, source: Source, question: Question) -> Asked:
    """The structured operations in `module`, at any depth, in the order of the text."""
    asked = Asked()

    def visit(op: ir.Operation) -> ir.WalkResult:
        if "function_type" in op.attributes and "sym_name" in op.attributes:
            asked.functions.append(ir.StringAttr(op.attributes["sym_name"]).value)
        dialect = op.name.partition(".")[0]
        structured = dialect in ("linalg", "tm_tensor") or op.name in (
            "pit.generic",
            "pit.attend",
            "pit.contract",
        )
        if not structured or op.name in WITHOUT_A_THEOREM:
            return ir.WalkResult.ADVANCE
        function = _function(op)
        if question.asks(function, source.place(location_text(op.location))):
            asked.operations.append((function, op))
        return ir.WalkResult.SKIP

    module.operation.walk(visit, ir.WalkOrder.PRE_ORDER)
    return asked


def _function(op: ir.Operation) -> str:
    """The name of the innermost function around `op`, empty for none."""
    parent = op.parent
    while parent is not None:
        attributes = parent.operation.attributes
        if "function_type" in attributes and "sym_name" in attributes:
            return ir.StringAttr(attributes["sym_name"]).value
        parent = parent.operation.parent
    return ""


def _statement(
    op: ir.Operation, function: str, source: Source, names: Names, question: Question
) -> Statement:
    where = (source.place(location_text(op.location)), function, op.name)
    proof = prove(op, floats=question.floats, timeout_ms=question.timeout_ms)
    if proof is None:
        by_definition = "; ".join(f"{verdict} along {reason}" for verdict, reason in ATTENTION_AXES)
        remark = (
            f"by definition {by_definition}"
            if op.name == "pit.attend"
            else "has no indexing maps to reason about"
        )
        return Statement(*where, remark=remark)
    whole, equation = whole_scheme(op), equation_of(op, names)
    assert whole is not None
    return Statement(*where, equation, tuple(_extents(op, whole[0])), proof)


def _extents(op: ir.Operation, scheme: Scheme) -> Iterator[int | None]:
    """The extent of each iterator, read off an operand that has it as a whole dimension."""
    inputs, outs = operands_of(op, scheme)
    known: dict[int, int] = {}
    for value, map_ in zip((*inputs, *outs), scheme.maps, strict=True):
        if not isinstance(value.type, ir.ShapedType) or len(value.type.shape) != len(map_):
            continue
        for dim, item in enumerate(map_):
            if isinstance(item, int) and not value.type.is_dynamic_dim(dim):
                known[item] = value.type.get_dim_size(dim)
    return (known.get(iterator) for iterator in range(scheme.iterators))


def _nothing(found: Sequence[Statement], asked: Asked, question: Question) -> str:
    """Why there is nothing to prove."""
    if found:
        names = ", ".join(sorted({statement.operation for statement in found}))
        return f"nothing to prove: {names}: no indexing maps to reason about"
    unknown = [name for name in question.functions if name not in asked.functions]
    if unknown:
        there = ", ".join(f"@{name}" for name in asked.functions) or "none"
        return f"nothing to prove: no function @{', @'.join(unknown)}; there are: {there}"
    if question.lines or question.functions:
        return "nothing to prove: no structured operation (linalg, pit.generic) in what is asked about"
    return "nothing to prove: no structured operation (linalg, pit.generic) in it"
