"""Element-wise operations: a thread for each point, or for as many neighbours as sixteen bytes hold."""

from collections.abc import Sequence
from dataclasses import dataclass

from pit_mlir.bindings import ir, vector
from pit_mlir.codegen.buffers import coordinates_of, is_contiguous, load, store
from pit_mlir.codegen.build import (
    Index,
    add,
    bytes_of,
    ceil_div,
    delinearize,
    either,
    floor_div,
    is_less,
    loop,
    mul,
    product,
)
from pit_mlir.codegen.gpu.bodies import copy_body
from pit_mlir.codegen.gpu.launch import each
from pit_mlir.codegen.gpu.transpose import emit_point, emit_turned, turn_of
from pit_mlir.codegen.nest import Nest, mentions, position

ACCESS_BYTES = 16
"""What one instruction reads or writes at most."""
LARGEST_COPIES = 256
"""Operations that the copies of a body for neighbouring points may come to."""


def emit_elementwise(nest: Nest, order: Sequence[int]) -> None:
    """Builds the kernel of `nest`, whose iterators all stand in the outputs, which run in `order`."""
    turn = turn_of(nest, order)
    if turn is not None:
        emit_turned(nest, order, turn)
        return
    sizes = [nest.extents[d] for d in order]
    pack = pack_of(nest, order)
    if pack is None:
        with each(product(sizes)) as number:
            emit_point(nest, place(nest, order, delinearize(number, sizes)), {})
        return
    *outer, inner = sizes
    packs = ceil_div(inner, pack.lanes)
    with each(product([*outer, packs])) as number:
        *coordinates, turn = delinearize(number, [*outer, packs])
        start = mul(turn, pack.lanes)
        first = place(nest, order, [*coordinates, start])
        if isinstance(inner, int) and inner % pack.lanes == 0:
            emit_pack(nest, pack, first)
            return

        def rest() -> None:
            with loop(start, inner) as single:
                emit_point(nest, place(nest, order, [*coordinates, single]), {})

        whole = is_less(turn, floor_div(inner, pack.lanes))
        either(whole, lambda: emit_pack(nest, pack, first), rest)


def place(nest: Nest, order: Sequence[int], values: Sequence[Index]) -> list[Index]:
    """The coordinates where the iterators in `order` have `values`."""
    coordinates: list[Index] = [0] * len(nest.extents)
    for iterator, coordinate in zip(order, values, strict=True):
        coordinates[iterator] = coordinate
    return coordinates


@dataclass(frozen=True)
class Pack:
    """Neighbours along the iterator `inner` that one thread takes: `lanes` of them.

    The operands numbered `whole` are read and written by one instruction, those numbered `same` are the same for all.
    """

    inner: int
    lanes: int
    whole: frozenset[int]
    same: frozenset[int]


def pack_of(nest: Nest, order: Sequence[int]) -> Pack | None:
    """How neighbours go together; None where the outputs are not neighbours in memory or rows would not be aligned."""
    if not order:
        return None
    inner = order[-1]
    operands = list(zip(nest.operands, nest.maps, strict=True))
    same = {
        number
        for number, (operand, map_) in enumerate(operands)
        if not isinstance(operand.type, ir.MemRefType) or not any(mentions(e, inner) for e in map_.results)
    }
    along = {
        number for number, pair in enumerate(operands) if number not in same and runs_along(*pair, inner)
    }
    if not all(number in along for number in range(nest.inputs, len(operands))):
        return None
    widest = max(bytes_of(ir.MemRefType(operands[number][0].type).element_type) for number in along)
    lanes = min(ACCESS_BYTES // widest, LARGEST_COPIES // len(list(nest.body.operations)))
    lanes = 1 << max(0, lanes.bit_length() - 1)
    extent = nest.extents[inner]
    is_aligned = len(order) == 1 or (isinstance(extent, int) and extent % lanes == 0)
    if lanes < 2 or not is_aligned or (isinstance(extent, int) and extent < lanes):
        return None
    # A byte for each truth value: vectors of them would be bits.
    whole = {
        n for n in along if ir.MemRefType(operands[n][0].type).element_type != ir.IntegerType.get_signless(1)
    }
    return Pack(inner, lanes, frozenset(whole), frozenset(same))


def runs_along(operand: ir.Value, map_: ir.AffineMap, inner: int) -> bool:
    """Whether neighbours along `inner` are neighbours in a buffer without gaps."""
    *others, last = map_.results
    return position(last) == inner and is_contiguous(operand) and not any(mentions(e, inner) for e in others)


def emit_pack(nest: Nest, pack: Pack, first: Sequence[Index]) -> None:
    """The body at neighbouring points, the first of them at `first`: loads, then the bodies, then stores."""
    operands = list(zip(nest.operands, nest.maps, strict=True))
    used = [any(True for _ in argument.uses) for argument in nest.body.arguments]
    vectors = {
        number: load_pack(*operands[number], pack, first) for number in sorted(pack.whole) if used[number]
    }
    shared = {number: load(*operands[number], first) for number in sorted(pack.same) if used[number]}
    lanes: list[list[ir.Value]] = []
    for lane in range(pack.lanes):
        here = list(first)
        here[pack.inner] = add(here[pack.inner], lane)
        known: dict[ir.Value, ir.Value] = {}
        for number, argument in enumerate(nest.body.arguments):
            if number in vectors:
                known[argument] = vector.extract(vectors[number], [], [lane])
            elif number in shared:
                known[argument] = shared[number]
            elif used[number]:
                known[argument] = load(*operands[number], here)
        lanes.append(copy_body(nest.body, known, here))
    for output, values in enumerate(zip(*lanes, strict=True)):
        number = nest.inputs + output
        if number in pack.whole:
            store_pack(values, *operands[number], first)
            continue
        for lane, value in enumerate(values):
            here = list(first)
            here[pack.inner] = add(here[pack.inner], lane)
            store(value, *operands[number], here)


def load_pack(operand: ir.Value, map_: ir.AffineMap, pack: Pack, first: Sequence[Index]) -> ir.Value:
    """The elements of `operand` at neighbouring points."""
    element = ir.MemRefType(operand.type).element_type
    type_ = ir.VectorType.get([pack.lanes], element)
    at = coordinates_of(map_, first)
    return vector.load(type_, operand, at, alignment=pack.lanes * bytes_of(element))


def store_pack(
    values: Sequence[ir.Value], operand: ir.Value, map_: ir.AffineMap, first: Sequence[Index]
) -> None:
    """Writes the elements of `operand` at neighbouring points."""
    type_ = ir.VectorType.get([len(values)], values[0].type)
    whole = vector.from_elements(type_, list(values))
    vector.store(
        whole, operand, coordinates_of(map_, first), alignment=len(values) * bytes_of(values[0].type)
    )
