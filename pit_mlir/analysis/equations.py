"""Structured operations as equations: `C[m, n] += A[m, k] * B[k, n]`, with a letter for each iterator."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from pit_mlir.analysis.body import Body, Compound, Map, Node, Scheme, whole_scheme
from pit_mlir.analysis.notation import Formula, Writer
from pit_mlir.bindings import ir
from pit_mlir.dialect.structured import Structured, owner

LETTERS = "ijklmnpqrstuvwxyz"
RESULT_SPACE = {1: "w", 2: "hw", 3: "dhw"}
WINDOW_SPACE = {1: "s", 2: "rs", 3: "trs"}
"""The letters of a convolution's space and of its window, by their number of dimensions."""
UPDATES = {
    "arith.addf": "+=",
    "arith.addi": "+=",
    "arith.subf": "-=",
    "arith.subi": "-=",
    "arith.mulf": "*=",
    "arith.muli": "*=",
}
NUMBERED = re.compile(r"\b(?:(linalg\.index |d)(\d+)|(input|output|result|operand) (\d+))\b")


@dataclass(frozen=True)
class Equation:
    """An operation for a reader: let-lines and one line a result, and the names they use.

    `iterators`, `inputs`, `results` and `captures` are names in order; `starts` says what an accumulator is to
    begin with.
    """

    lines: tuple[str, ...]
    iterators: tuple[str, ...]
    inputs: tuple[str, ...]
    results: tuple[str, ...]
    captures: tuple[str, ...] = ()
    starts: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "\n".join(self.lines)

    def named(self, text: str) -> str:
        """`text` of the prover, which numbers iterators and operands, in the names of the equation."""

        def name(match: re.Match[str]) -> str:
            if match[2]:
                letter = self.iterators[int(match[2])]
                return letter if match[1] == "d" else f"of {letter}"
            names = self.inputs if match[3] in ("input", "operand") else self.results
            return names[int(match[4])]

        return NUMBERED.sub(name, text)


def equation_of(op: ir.Operation | ir.OpView, name: Callable[[ir.Value], str]) -> Equation | None:
    """The equation of a linalg operation or a `pit.generic`, its tensors named by `name`; None without maps."""
    operation = op.operation
    whole = whole_scheme(operation)
    if whole is None:
        return None
    scheme, captured = whole
    inputs, outs = operands_of(operation, scheme)
    names = [name(value) for value in inputs]
    results = [name(value) for value in (operation.results if len(operation.results) else outs)]
    captures = [name(value) for value in captured]
    taken = {*names, *results, *captures}
    letters = letters_of(scheme, taken)
    targets = [element(tensor, scheme.output_map(number), letters) for number, tensor in enumerate(results)]
    leaves = {
        "input": [element(tensor, scheme.maps[number], letters) for number, tensor in enumerate(names)],
        "accumulator": targets,
        "index": letters,
        "capture": captures,
    }

    def leaf(node: Node) -> Formula:
        return Formula(leaves[node.op][node.detail] if isinstance(node.detail, int) else str(node.detail))

    writer = Writer(scheme.body, leaf, {*taken, *letters})
    lines = tuple(_line(writer, scheme.body, result, target) for result, target in enumerate(targets))
    starts = tuple(_starts(scheme.body, outs, results, name))
    view = Structured.of(operation)
    if view is not None and view.index is not None:
        listed = ", ".join(letters[iterator] for iterator in view.group)
        starts = (f"({listed}) in {name(view.index)} only", *starts)
    return Equation((*writer.lets, *lines), letters, tuple(names), tuple(results), tuple(captures), starts)


def operands_of(op: ir.Operation, scheme: Scheme) -> tuple[Sequence[ir.Value], Sequence[ir.Value]]:
    """The inputs and the outs of an operation."""
    view = Structured.of(op)
    if view is not None:
        return view.inputs, view.outputs
    count = scheme.body.inputs
    return list(op.operands)[:count], list(op.operands)[count : count + scheme.body.outputs]


def element(tensor: str, map_: Map, letters: Sequence[str]) -> str:
    """`A[m, k + 1]`; a tensor without dimensions is written bare."""
    items = ", ".join(expression(item, letters) for item in map_)
    return f"{tensor}[{items}]" if map_ else tensor


def expression(item: int | Compound, letters: Sequence[str]) -> str:
    """A result of a map: a letter, or an affine expression with `//` and `%`."""
    if isinstance(item, int):
        return letters[item]
    text = re.sub(r"\bd(\d+)", lambda match: letters[int(match[1])], item.text)
    return text.replace(" floordiv ", " // ").replace(" mod ", " % ")


def _line(writer: Writer, body: Body, result: int, target: str) -> str:
    """`target = formula`, or `target += formula` where the accumulator is only added to."""
    yielded = body.yields[result]
    assert yielded is not None
    node, accumulator = body.nodes[yielded], body.inputs + result
    update = UPDATES.get(node.op)
    if update is not None and node.type != "i1" and writer.uses[accumulator] == 1:
        left, right = node.operands
        if left == accumulator:
            return f"{target} {update} {writer.formulas[right].text}"
        if right == accumulator and update != "-=":
            return f"{target} {update} {writer.formulas[left].text}"
    return f"{target} = {writer.formulas[yielded].text}"


def _starts(
    body: Body, outs: Sequence[ir.Value], results: Sequence[str], name: Callable[[ir.Value], str]
) -> Iterator[str]:
    """What the accumulators that are read are to begin with."""
    read = body.accumulators(body.live)
    for number, (value, result) in enumerate(zip(outs, results, strict=True)):
        if number not in read:
            continue
        maker = owner(value)
        filled = owner(maker.operands[0]) if maker is not None and maker.name == "linalg.fill" else None
        if filled is not None and filled.name == "arith.constant":
            text = re.sub(r"\.0+(?:e\+00)?$", "", str(filled.attributes["value"]).partition(" :")[0])
            text = {"0xFF800000": "-inf", "0x7F800000": "inf"}.get(text, text)
            yield f"{result} starts as {text}"
        elif name(value) != result:
            yield f"{result} starts as {name(value)}"


def letters_of(scheme: Scheme, taken: set[str]) -> tuple[str, ...]:
    """A letter for each iterator: m, n, k of products, n, c, h, w of convolutions, else i, j, ..; none of `taken`."""
    wished = _wished(scheme)
    letters: dict[int, str] = {}
    used = set(taken)
    for iterator in range(scheme.iterators):
        pool = [*wished.get(iterator, ""), *(LETTERS if iterator not in wished else "")]
        first = pool[0]
        options = (*pool, *(f"{first}{number}" for number in range(scheme.iterators + len(taken) + 1)))
        letters[iterator] = next(letter for letter in options if letter not in used)
        used.add(letters[iterator])
    return tuple(letters[iterator] for iterator in range(scheme.iterators))


def _wished(scheme: Scheme) -> dict[int, str]:
    """The letters that the field has for iterators of products and convolutions, by where each occurs."""
    body = scheme.body
    ranked = [number for number in range(body.inputs) if scheme.maps[number]]
    if len(ranked) != 2 or not scheme.has_reductions:
        return {}
    first, second = (scheme.input_iterators(number) for number in ranked)
    result = {item for item in scheme.output_map(0) if isinstance(item, int)}
    items = (item for map_ in scheme.maps for item in map_ if isinstance(item, Compound))
    windowed = sorted(frozenset[int]().union(*(item.iterators for item in items)))
    space = [iterator for iterator in windowed if iterator in result]
    window = [iterator for iterator in windowed if iterator not in result]
    if windowed and not (len(space) in RESULT_SPACE and len(window) in WINDOW_SPACE):
        return {}
    contracted = any(
        d in first and d in second for d in range(scheme.iterators) if d not in (*result, *windowed)
    )
    if not (windowed or contracted):
        return {}
    wished: dict[int, str] = {}
    for iterator in range(scheme.iterators):
        where = (iterator in first, iterator in second, iterator in result)
        if windowed:
            letters = {
                (True, True, True): "g" if contracted else "c",
                (True, False, True): "nc",
                (False, True, True): "f" if contracted else "m",
                (True, True, False): "c",
            }
        else:
            letters = {
                (True, True, True): "b",
                (True, False, True): "m",
                (False, True, True): "n",
                (True, True, False): "k",
            }
        if where in letters:
            wished[iterator] = letters[where]
    wished.update(zip(space, RESULT_SPACE[len(space)] if windowed else "", strict=False))
    wished.update(zip(window, WINDOW_SPACE[len(window)] if windowed else "", strict=False))
    return wished
