"""Small matrices in the registers of a warp: ldmatrix, stmatrix, mma.sync."""

import re

from pit_mlir.bindings import ir
from pit_mlir.codegen.emulator.function import Function, Rule, unsupported, word
from pit_mlir.codegen.emulator.sizes import bytes_of

NUMBERS = {"f16": 0, "bf16": 1, "tf32": 2, "f32": 3, "f64": 4, "s8": 5, "u8": 6, "s32": 7}
"""`NumberKind` of the runtime."""

_SHAPES = {
    *((16, 8, 16, kind) for kind in ("f16", "bf16", "s8", "u8")),
    *((16, 8, 8, kind) for kind in ("f16", "bf16", "tf32")),
    *((16, 8, 32, kind) for kind in ("s8", "u8")),
    (16, 8, 4, "tf32"),
    (8, 8, 4, "f64"),
}
"""(m, n, k) and the type of A."""


def numbers(attribute: ir.Attribute) -> tuple[int, ...]:
    """The sizes in a shape: 16, 8, 16 of `#nvvm.shape<m = 16, n = 8, k = 16>`."""
    return tuple(int(size) for size in re.findall(r"= (\d+)", str(attribute)))


def load_matrix(op: ir.Operation, function: Function) -> ir.Value:
    """`ldmatrix` of one, two or four 8 x 8 matrices of 16 bits."""
    _check_matrices(op)
    count = ir.IntegerAttr(op.attributes["num"]).value
    transposed = word(op.attributes["layout"]) == "col"
    registers = function.words(count)
    row = function.generic(op.operands[0])
    function.call("load_matrix", [], [row, count, int(transposed), registers, function.site(op)])
    words = [function.load(function.i32, function.offset(registers, 4 * i)) for i in range(count)]
    return words[0] if count == 1 else function.struct(op.result.type, words)


def store_matrix(op: ir.Operation, function: Function) -> None:
    """`stmatrix`, as `load_matrix`."""
    _check_matrices(op)
    row, *sources = op.operands
    transposed = word(op.attributes["layout"]) == "col"
    registers = function.words(len(sources))
    for place, source in enumerate(sources):
        function.store(source, function.offset(registers, 4 * place))
    function.call(
        "store_matrix",
        [],
        [function.generic(row), len(sources), int(transposed), registers, function.site(op)],
    )


def _check_matrices(op: ir.Operation) -> None:
    element = word(op.attributes["eltType"])
    if numbers(op.attributes["shape"]) != (8, 8) or element != "b16":
        raise unsupported(op, f"{op.name} of {op.attributes['shape']} {element}")


def multiply(op: ir.Operation, function: Function) -> ir.Value:
    """`mma.sync`: C + A B of the shapes in `_SHAPES`."""
    segments = list(ir.DenseI32ArrayAttr(op.attributes["operandSegmentSizes"]))
    a, b = (word(op.attributes[f"multiplicand{side}PtxType"]) for side in "AB")
    m, n, k = numbers(op.attributes["shape"])
    layouts = [word(op.attributes[f"layout{side}"]) for side in "AB"]
    if (m, n, k, a) not in _SHAPES or a != b or layouts != ["row", "col"]:
        raise unsupported(op, f"mma.sync m{m}n{n}k{k} of {a} ({layouts[0]}) and {b} ({layouts[1]})")
    if "intOverflowBehavior" in op.attributes and word(op.attributes["intOverflowBehavior"]) == "satfinite":
        raise unsupported(op, "mma.sync that saturates")
    operands = list(op.operands)
    groups = [operands[: segments[0]], operands[segments[0] : -segments[2]], operands[-segments[2] :]]
    words_of = [sum(bytes_of(value.type) // 4 for value in group) for group in groups]
    element = str(groups[2][0].type)
    accumulator = {"f32": "f32", "f64": "f64", "i32": "s32", "vector<2xf16>": "f16"}[element]
    numbers_of = (m, n, k, NUMBERS[a], NUMBERS[b], NUMBERS[accumulator], *words_of)
    description = table(function, numbers_of)
    given, result = function.words(sum(words_of)), function.words(words_of[2])
    place = 0
    for value in operands:
        function.store(value, function.offset(given, place))
        place += bytes_of(value.type)
    function.call("mma", [], [description, given, result, function.site(op)])
    member, size = groups[2][0].type, bytes_of(groups[2][0].type)
    return function.struct(
        op.result.type,
        [function.load(member, function.offset(result, size * i)) for i in range(segments[2])],
    )


def table(function: Function, values: tuple[int, ...]) -> ir.Value:
    """Where `values` lie, as words, for as long as the thread runs."""
    table = function.words(len(values))
    with ir.InsertionPoint.after(table.owner), ir.Location.unknown():
        for place, value in enumerate(values):
            function.store(function.constant(value), function.offset(table, 4 * place))
    return table


RULES: dict[str, Rule] = {
    "nvvm.ldmatrix": load_matrix,
    "nvvm.stmatrix": store_matrix,
    "nvvm.mma.sync": multiply,
}
