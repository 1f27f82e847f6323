"""Writes `proofs.md` beside this file, from what the prover answers: python docs/make_proofs.py."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

# `docs` is no package: a test that loads this file from elsewhere finds its neighbours this way.
sys.path.insert(0, str(Path(__file__).parent))

from named_operations import NamedOperation, named_operations
from reductions import REDUCTIONS, Reduction

from pit_mlir.analysis.body import whole_scheme
from pit_mlir.analysis.equations import Equation, equation_of, operands_of
from pit_mlir.analysis.facts import Axis, Floats, Proof
from pit_mlir.analysis.permutation import prove
from pit_mlir.analysis.special_values import special_text
from pit_mlir.dialect import make_context
from pit_mlir.tools.prove import Question, statements
from pit_mlir.tools.prove_text import report
from pit_mlir.tools.source import Names, Source

TARGET = Path(__file__).parent / "proofs.md"
UNTOUCHED = " (yet no order that was tried changes a result)"

HEAD = """\
# Proofs

Made from the answers of the prover by `python docs/make_proofs.py`; a test compares, and another executes every
operation below with permuted data. `pit-mlir prove FILE.mlir` says the same of any program.

## What is proved

An operation is iterators over an index space, a body, operands with indexing maps, and an init. An iterator is a
*permutation axis* if one permutation, applied to it in all operands that have it as a dimension, permutes the results
alike (**parallel**) or leaves them as they are (**reduction**). It is read off the maps and the body, of named
operations and `linalg.generic` alike:

1. *Isolated*: the iterator occurs in each map at most once, and only as a whole dimension. A window `w + s`, a stride
   `2 * w`, a diagonal tie it to its position.
2. *Position-free*: no live result reads its `linalg.index`.
3. *Parallel* where each result has it as a dimension: nothing more is needed.
4. *Reduction* where a result lacks it: the body as `acc' = f(acc, x)` must be left-commutative, which is what folding
   a list in any order takes: `f(f(acc, x), y) = f(f(acc, y), x)` for all acc, x and y. Z3 proves or refutes this; when
   its time is over, the answer is *not proved*, never a guess.

Where a condition fails the verdict is **none**, with two orders that were computed and the numbers that differ. Where
nothing differs in what was computed, it says so: the conditions are sufficient, not necessary.

To skip points more is proved. A value of an operand is **neutral** if `f(acc, x) = acc` there, whatever the other
operands hold; that 0 is, is written *0 annihilates*. Without reductions *0 annihilates* means: 0 in, 0 out.

## What is assumed

- Floats are real numbers: a sum may be reordered, though its rounding depends on the order. `--floats strict` takes
  them as they are; sums and products are then refused, maxima and minima stay.
- A zero of reals has no sign: 1/0 is +inf, also where the machine has 1/-0 = -inf.
- Integers wrap around, as bit vectors do. Promises such as `nsw` are dropped by whoever reorders.
- exp, erf and others are functions of which only values such as exp(0) = 1 are known, so a fact that needs more of them
  is not proved.
- Facts about skipping hold for finite data: 0 * inf is not 0. A report names what it assumes.

## How to read a report

```console
$ pit-mlir prove product.mlir
"""

REPORT = """\
func.func @f(%A: tensor<4x5xf32>, %B: tensor<5x6xf32>, %init: tensor<4x6xf32>) -> tensor<4x6xf32> {
  %C = linalg.matmul ins(%A, %B : tensor<4x5xf32>, tensor<5x6xf32>) outs(%init : tensor<4x6xf32>) -> tensor<4x6xf32>
  return %C : tensor<4x6xf32>
}
func.func @g(%I: tensor<9xf32>, %K: tensor<3xf32>, %init: tensor<7xf32>) -> tensor<7xf32> {
  %O = linalg.conv_1d ins(%I, %K : tensor<9xf32>, tensor<3xf32>) outs(%init : tensor<7xf32>) -> tensor<7xf32>
  return %O : tensor<7xf32>
}
"""

AFTER_REPORT = """\
```

Tensors have the names of the file, iterators letters of the field: m, n, k and batches b of products; n, c, f, groups
g, space d, h, w and windows t, r, s of convolutions; i, j, k, .. else. The number beside a letter is its extent, `?`
where it is known at run time only. `t0`, `t1`, .. are named in `let` lines; `select(c, a, b)` is a where c, else b;
`not (a <= b)` is also true where a or b is NaN, as `ugt` is. `a / b` and `fmod(a, b)` are of floats; of integers `div`
and `rem` round towards zero, `a // b` down, `ceildiv` up, and `udiv`, `urem` read them without a sign.
Counterexamples leave out dimensions of one place. `--json` says the same to programs.

"""

OPERATIONS = """\
## Operations of linalg

All that the bindings can build, of small static shapes, each found in the bindings. With other element types bodies are
of other numbers; ask `pit-mlir prove`. An asterisk marks iterators of which no order that was tried changes a result.
"""

BODIES = """\
## Bodies of reductions

Each folds x (and further operands) along j, or k; *reals* and *strict* are the verdicts on it, with floats as real
numbers and as they are. Two orders that differ are shown for the reals; `--floats strict` shows those that round.
"""


@dataclass(frozen=True)
class Proved:
    """A named operation with its equation and proof; neither, where the prover has nothing to say."""

    operation: NamedOperation
    equation: Equation | None
    proof: Proof | None


def document() -> str:
    """The text of `proofs.md`."""
    found = statements(Source("product.mlir", REPORT.encode()), Question(), lambda done, of: None)
    shown = "\n".join(text.plain.rstrip() for text in report(found))
    parts = [HEAD + shown + "\n" + AFTER_REPORT + OPERATIONS]
    parts += operation_tables([proved(operation) for operation in named_operations()])
    parts += [BODIES, *body_table(REDUCTIONS), ""]
    return "\n".join(parts)


def proved(operation: NamedOperation, floats: Floats = "real") -> Proved:
    """What the prover says about the operation in the text of `operation`."""
    if not operation.text:
        return Proved(operation, None, None)
    source = Source("operation.mlir", operation.text.encode())
    module = source.parse(make_context())
    with module.context:
        function = module.body.operations[0]
        op = function.regions[0].blocks[0].operations[0].operation
        # Verdicts must not depend on the machine: the solver has as much time as it wants.
        proof, whole = prove(op, floats=floats, timeout_ms=120_000), whole_scheme(op)
        if proof is None or whole is None:
            return Proved(operation, None, None)
        names, outs = Names(source, module), operands_of(op, whole[0])[1]
        made = dict(zip(map(names, op.results), map(names, outs), strict=True))
        return Proved(operation, equation_of(op, lambda value: made.get(names(value), names(value))), proof)


def operation_tables(every: Sequence[Proved]) -> Iterator[str]:
    """A table of each kind of operation, told apart by their verdicts."""
    kinds: dict[str, list[Proved]] = {
        "Products, sums and other reductions": [],
        "Windows and positions": [],
        "Element by element, and movement": [],
    }
    reduction, tied, moving = kinds
    without: list[Proved] = []
    for one in every:
        if one.proof is None:
            without.append(one)
        else:
            verdicts = set(one.proof.verdicts)
            kinds[tied if "none" in verdicts else reduction if "reduction" in verdicts else moving].append(
                one
            )
    for title, ones in kinds.items():
        yield f"### {title}\n"
        refused = title == tied
        yield f"| operation | equation | axes | 0 annihilates | neutral |{' none, because |' if refused else ''}"
        yield f"|:--|:--|:--|:--|:--|{':--|' if refused else ''}"
        yield from (row(one, refused) for one in ones)
        yield ""
    yield "### Without a proof\n"
    yield "| operation | why |\n|:--|:--|"
    yield from (f"| `{one.operation.name}` | {one.operation.reason} |" for one in without)
    yield ""


def row(one: Proved, refused: bool) -> str:
    """One operation in a table."""
    equation, proof = one.equation, one.proof
    assert equation is not None and proof is not None
    axes = [
        f"{', '.join(letters)} {verdict}"
        for verdict in ("parallel", "reduction", "none")
        if (letters := [starred(equation, proof, d) for d, v in enumerate(proof.verdicts) if v == verdict])
    ]
    zero = [name for name, holds in zip(equation.inputs, proof.annihilates, strict=True) if holds]
    cells = [
        f"`{one.operation.name.removeprefix('linalg.')}`",
        f"`{'; '.join(equation.lines)}`",
        "; ".join(axes),
        ", ".join(dict.fromkeys(zero)),
        neutral_text(equation, proof),
    ]
    if refused:
        cells.append(reasons_text(equation, proof))
    return cells_text(cells)


def starred(equation: Equation, proof: Proof, iterator: int) -> str:
    """The letter of an iterator, marked where it was refused though nothing differed."""
    return equation.iterators[iterator] + "\\*" * proof.axes[iterator].reason.endswith(UNTOUCHED)


def neutral_text(equation: Equation, proof: Proof) -> str:
    """The neutral values of each input."""
    triples = zip(equation.inputs, proof.neutral, proof.types, strict=True)
    return "; ".join(
        f"{name}: {', '.join(sorted(special_text(value, type_) for value in values))}"
        for name, values, type_ in triples
        if values
    )


def reasons_text(equation: Equation, proof: Proof) -> str:
    """Why iterators are refused, those of one reason together."""
    grouped: dict[str, list[str]] = {}
    for letter, axis in zip(equation.iterators, proof.axes, strict=True):
        if axis.verdict == "none":
            reason = equation.named(axis.reason).removesuffix(UNTOUCHED)
            short = reason.removeprefix(f"{letter} is not isolated: ").replace(
                f"the position of {letter}", "its position"
            )
            grouped.setdefault(short, []).append(letter)
    return "; ".join(f"{', '.join(letters)}: {reason}" for reason, letters in grouped.items())


def body_table(reductions: Sequence[Reduction]) -> Iterator[str]:
    """The verdicts on bodies of reductions."""
    yield "| body | type | reals | strict | 0 annihilates | neutral | two orders |\n|:--|:--|:--|:--|:--|:--|:--|"
    for reduction in reductions:
        operation = NamedOperation(reduction.title, reduction.text())
        real = proved(operation)
        equation, proof = real.equation, real.proof
        assert equation is not None and proof is not None
        zero = [name for name, holds in zip(equation.inputs, proof.annihilates, strict=True) if holds]
        axis = proof.axes[1]
        exact = proved(operation, "strict").proof if reduction.strict else None
        shown = axis.counterexample
        cells = [
            f"{reduction.title}: `{'; '.join(equation.lines)}`",
            reduction.type,
            verdict_text(axis),
            "" if exact is None else verdict_text(exact.axes[1]),
            ", ".join(zero),
            neutral_text(equation, proof),
            "" if shown is None else shown.text(equation),
        ]
        yield cells_text(cells)


def verdict_text(axis: Axis) -> str:
    """A verdict with what it assumes; a refusal that is shown by no numbers is told apart."""
    if axis.reason.startswith("not proved"):
        return f"{axis.verdict} (not proved)"
    return " if ".join([axis.verdict, *sorted(axis.assumptions)])


def cells_text(cells: Sequence[str]) -> str:
    """A row; a bar in a formula is no border."""
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


if __name__ == "__main__":
    TARGET.write_text(document())
