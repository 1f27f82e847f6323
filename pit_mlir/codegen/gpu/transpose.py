"""Element-wise operations that read along one axis and write along another: squares go through shared memory, so that
neighbouring threads read and write neighbours in memory.

A line of a square is one element longer than it holds: threads that go down a column then meet different banks.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pit_mlir.bindings import arith, ir, memref
from pit_mlir.codegen.buffers import has_unit_stride, load, store
from pit_mlir.codegen.build import (
    Index,
    add,
    bytes_of,
    ceil_div,
    delinearize,
    floor_div,
    is_less,
    loop,
    minimum,
    mul,
    product,
    remainder,
    value,
    when,
)
from pit_mlir.codegen.gpu.bodies import copy_body
from pit_mlir.codegen.gpu.launch import MOST_BLOCKS, SHARED_BYTES, THREADS, barrier, launch
from pit_mlir.codegen.nest import Nest, mentions, position

SIDE = 32
"""Elements of a side of a square."""
PITCH = SIDE + 1
LINES = THREADS // SIDE
"""Lines of a square that a block moves at a time."""
SHORTEST = 16
"""Places along both axes from which on squares pay."""


@dataclass(frozen=True)
class Turn:
    """The operands numbered `turned` have neighbours along the iterator `read`, what is written along `written`."""

    read: int
    written: int
    turned: tuple[int, ...]


def turn_of(nest: Nest, order: Sequence[int]) -> Turn | None:
    """How operands are turned of a `nest` whose iterators run in `order`; None where none is, or axes are short."""
    if len(order) < 2:
        return None
    written = order[-1]
    outputs = list(zip(nest.operands, nest.maps, strict=True))[nest.inputs :]
    if not all(runs_along(operand, map_) == written for operand, map_ in outputs):
        return None
    found: dict[int, list[int]] = {}
    for number, (operand, map_) in enumerate(zip(nest.operands, nest.maps, strict=True)):
        is_used = number < nest.inputs and any(True for _ in nest.body.arguments[number].uses)
        along = runs_along(operand, map_) if is_used else None
        if along not in (None, written) and any(mentions(e, written) for e in map_.results):
            found.setdefault(along, []).append(number)
    if not found:
        return None
    read, turned = max(found.items(), key=lambda item: len(item[1]))
    room = sum(PITCH * SIDE * bytes_of(element_of(nest.operands[number])) for number in turned)
    short = [e for e in (nest.extents[read], nest.extents[written]) if isinstance(e, int) and e < SHORTEST]
    return None if short or room > SHARED_BYTES else Turn(read, written, tuple(turned))


def element_of(operand: ir.Value) -> ir.Type:
    """The type of an element of a buffer."""
    return ir.MemRefType(operand.type).element_type


def runs_along(operand: ir.Value, map_: ir.AffineMap) -> int | None:
    """The iterator along which neighbours are neighbours in memory, if there is one."""
    if not isinstance(operand.type, ir.MemRefType) or not map_.results or not has_unit_stride(operand):
        return None
    return position(list(map_.results)[-1])


def emit_turned(nest: Nest, order: Sequence[int], turn: Turn) -> None:
    """Builds the kernel of `nest`, whose iterators all stand in the outputs, which run in `order`."""
    outer = [d for d in order if d not in (turn.read, turn.written)]
    squares = [ceil_div(nest.extents[d], SIDE) for d in (turn.read, turn.written)]
    sizes = [*(nest.extents[d] for d in outer), *squares]
    count = product(sizes)
    with launch(minimum(count, MOST_BLOCKS)) as grid:
        rooms = {n: grid.shared([SIDE * PITCH], element_of(nest.operands[n])) for n in turn.turned}
        x, y = remainder(grid.thread, SIDE), floor_div(grid.thread, SIDE)
        with loop(grid.block, count, grid.blocks) as number:
            *others, square_read, square_written = delinearize(number, sizes)
            place: list[Index] = [0] * len(nest.extents)
            for iterator, coordinate in zip(outer, others, strict=True):
                place[iterator] = coordinate
            first = mul(square_read, SIDE), mul(square_written, SIDE)
            # The square before may still be read.
            barrier()
            for line in range(0, SIDE, LINES):
                down = add(y, line)
                here = at(turn, place, add(first[0], x), add(first[1], down))
                with when(is_inside(nest, turn, here)):
                    for operand, room in rooms.items():
                        element = load(nest.operands[operand], nest.maps[operand], here)
                        memref.store(element, room, [value(add(mul(down, PITCH), x))])
            barrier()
            for line in range(0, SIDE, LINES):
                down = add(y, line)
                here = at(turn, place, add(first[0], down), add(first[1], x))
                with when(is_inside(nest, turn, here)):
                    from_square = value(add(mul(x, PITCH), down))
                    known = {
                        nest.body.arguments[operand]: memref.load(room, [from_square])
                        for operand, room in rooms.items()
                    }
                    emit_point(nest, here, known)


def at(turn: Turn, place: Sequence[Index], read: Index, written: Index) -> list[Index]:
    """`place` with these coordinates of both axes."""
    result = list(place)
    result[turn.read], result[turn.written] = read, written
    return result


def is_inside(nest: Nest, turn: Turn, place: Sequence[Index]) -> ir.Value:
    """Whether there is such a place along both axes."""
    return arith.andi(*(is_less(place[d], nest.extents[d]) for d in (turn.read, turn.written)))


def emit_point(nest: Nest, coordinates: Sequence[Index], known: dict[ir.Value, ir.Value]) -> None:
    """The body at one point: what it reads beside what is `known` is loaded, what it yields is stored."""
    operands = list(zip(nest.operands, nest.maps, strict=True))
    for argument, (operand, map_) in zip(nest.body.arguments, operands, strict=True):
        if argument not in known and any(True for _ in argument.uses):
            known[argument] = load(operand, map_, coordinates)
    results = copy_body(nest.body, known, coordinates)
    for result, (operand, map_) in zip(results, operands[nest.inputs :], strict=True):
        store(result, operand, map_, coordinates)
