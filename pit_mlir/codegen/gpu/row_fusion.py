"""Neighbouring operations that work row by row become one kernel: a warp, or a block, for each row.

What they pass on from one to the next is never written where nobody else reads it: numbers of a row are held by every
lane, elements are computed again where they are read. A softmax or a layer norm reads its row, from the caches after
the first time, and writes it once.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from pit_mlir.bindings import ir, memref
from pit_mlir.codegen.buffers import is_allocated, is_contiguous, load, root, store, users
from pit_mlir.codegen.build import (
    Index,
    add,
    ceil_div,
    delinearize,
    fold,
    is_less,
    loop,
    minimum,
    mul,
    product,
    value,
    when,
)
from pit_mlir.codegen.fastmath import relax
from pit_mlir.codegen.gpu.block_sums import LONGEST_OF_WARP, across_block, partial_buffers
from pit_mlir.codegen.gpu.bodies import Combination, combinations, copy_body
from pit_mlir.codegen.gpu.launch import MOST_BLOCKS, THREADS, WARP, Grid, across_warp, launch
from pit_mlir.codegen.gpu.sizes import comes_from_device
from pit_mlir.codegen.nest import Nest, ordered_as_output, position
from pit_mlir.codegen.row_groups import are_rows, looked_up, row_iterators


def rows_in_common(nests: Sequence[Nest]) -> int:
    """How many leading dimensions of all outputs are rows that one kernel can go through; 0 if there are none."""
    most = min(len(map_.results) for nest in nests for map_ in nest.output_maps)
    return next((c for c in range(most, 0, -1) if are_rows(nests, c) and can_fuse(nests, c)), 0)


def has_sums(nests: Sequence[Nest]) -> bool:
    """Whether one of `nests` combines terms; others gain more from wide accesses than from sharing a kernel."""
    return any(len(nest.parallels()) < len(nest.extents) for nest in nests)


def can_fuse(nests: Sequence[Nest], count: int) -> bool:
    """Whether each of `nests` makes a number of a row, its first `count` dimensions, or an element of each element."""
    touched = {root(operand) for nest in nests for operand in nest.operands[nest.inputs :]}
    reads_before: set[ir.Value] = set()
    written: set[ir.Value] = set()
    for nest in nests:
        lead = row_iterators(nest, count)
        if lead is None or any(
            isinstance(e, ir.Value) and comes_from_device(e) for e in inner_extents(nest, lead)
        ):
            return False
        inside = [d for d in range(len(nest.extents)) if d not in lead]
        parallels = nest.parallels()
        is_number = all(len(map_.results) == count for map_ in nest.output_maps)
        if is_number and inside and combinations(nest) is None:
            return False
        if not is_number and not all(d in parallels for d in inside):
            return False
        if not is_number and len({len(map_.results) for map_ in nest.output_maps}) > 1:
            return False
        if not looked_up(nest.body).isdisjoint(touched):
            return False
        if not all(map(is_plain, accesses(nest, touched))):
            return False
        used = list(zip(nest.operands, nest.body.arguments, strict=True))
        reads_before |= {
            root(operand)
            for operand, argument in used
            if isinstance(operand.type, ir.MemRefType) and any(True for _ in argument.uses)
        } - written
        written |= {root(operand) for operand in nest.operands[nest.inputs :]}
    # What is read before it is written would be overwritten under other lanes' hands.
    return written.isdisjoint(reads_before)


def accesses(nest: Nest, buffers: Collection[ir.Value]) -> list[ir.AffineMap]:
    """The maps by which `nest` reads and writes `buffers`."""
    return [
        map_
        for operand, map_ in zip(nest.operands, nest.maps, strict=True)
        if isinstance(operand.type, ir.MemRefType) and root(operand) in buffers
    ]


def is_plain(map_: ir.AffineMap) -> bool:
    """Whether `map_` selects by iterators as a whole, each once."""
    positions = [position(expression) for expression in map_.results]
    return None not in positions and len(set(positions)) == len(positions)


def inner_extents(nest: Nest, lead: Sequence[int]) -> list[Index]:
    """The extents of `nest` inside of a row."""
    return [extent for d, extent in enumerate(nest.extents) if d not in lead]


@dataclass(frozen=True)
class Element:
    """What an operation writes, as it will be computed where it is read: output `output` of `nest`."""

    nest: Nest
    output: int
    before: "Mapping[ir.Value, Element | ir.Value]"
    """What its operands were, by their buffers: elements, or numbers of the row."""


@dataclass
class Row:
    """One row while its kernel is built: its coordinates, and what operations have written so far, by the buffer."""

    grid: Grid
    is_block: bool
    partials: dict[ir.Type, ir.Value]
    place: list[Index]
    written: dict[ir.Value, Element | ir.Value] = field(default_factory=dict[ir.Value, Element | ir.Value])
    names: dict[ir.Value, ir.Value] = field(default_factory=dict[ir.Value, ir.Value])
    """Under which name all operations know a buffer: itself or a view of it."""

    @property
    def thread(self) -> ir.Value:
        """The number of the thread among those that share the row."""
        return self.grid.thread if self.is_block else self.grid.lane

    @property
    def threads(self) -> int:
        """How many threads share the row."""
        return self.grid.threads if self.is_block else WARP


def emit_rows(nests: Sequence[Nest], count: int, ops: Collection[ir.Operation]) -> None:
    """Builds the kernel of `nests`, which stand for `ops`, at the insertion point."""
    leads = [row_iterators(nest, count) or [] for nest in nests]
    sizes = [nests[0].extents[d] for d in leads[0]]
    lengths = [product(inner_extents(nest, lead)) for nest, lead in zip(nests, leads, strict=True)]
    known = [length for length in lengths if isinstance(length, int)]
    is_block = max(known, default=0) > LONGEST_OF_WARP
    rows = product(sizes)
    at_once = 1 if is_block else THREADS // WARP
    for nest in nests:
        relax(nest.body, nest.inputs, reassociate=len(nest.parallels()) < len(nest.extents))
    with launch(minimum(ceil_div(rows, at_once), MOST_BLOCKS)) as grid:
        partials = partial_buffers(grid, nests) if is_block else {}
        first = grid.block if is_block else add(mul(grid.block, at_once), grid.warp)
        with loop(first, rows, mul(grid.blocks, at_once)) as number:
            row = Row(grid, is_block, partials, delinearize(number, sizes))
            for nest, lead in zip(nests, leads, strict=True):
                follow(row, nest, lead)
            store_row(row, [b for b in row.written if not is_passing(b, ops)], count)


def is_passing(buffer: ir.Value, ops: Collection[ir.Operation]) -> bool:
    """Whether only `ops` use `buffer`, all of which is theirs."""
    return is_allocated(buffer) and is_contiguous(buffer) and all(user in ops for user in users(buffer))


def follow(row: Row, nest: Nest, lead: Sequence[int]) -> None:
    """What `nest` does in a row: numbers of the row are computed, elements are when they are read."""
    coordinates: list[Index] = [0] * len(nest.extents)
    for iterator, coordinate in zip(lead, row.place, strict=True):
        coordinates[iterator] = coordinate
    outputs = [root(operand) for operand in nest.operands[nest.inputs :]]
    row.names |= dict(zip(outputs, nest.operands[nest.inputs :], strict=True))
    inside = [d for d in range(len(nest.extents)) if d not in lead]
    if all(len(map_.results) == len(lead) for map_ in nest.output_maps):
        numbers = (
            reduced(row, nest, inside, coordinates)
            if inside
            else computed(row.written, nest, coordinates, {})
        )
        row.written |= dict(zip(outputs, numbers, strict=True))
        return
    before = dict(row.written)
    row.written |= {buffer: Element(nest, output, before) for output, buffer in enumerate(outputs)}


def reduced(row: Row, nest: Nest, inside: Sequence[int], coordinates: Sequence[Index]) -> list[ir.Value]:
    """The numbers that `nest` makes of a row: each thread takes terms in turn, and all combine what they have."""
    combined = combinations(nest)
    assert combined is not None
    extents = [nest.extents[d] for d in inside]

    def body(number: ir.Value, partial: list[ir.Value]) -> list[ir.Value]:
        here = list(coordinates)
        for iterator, coordinate in zip(inside, delinearize(number, extents), strict=True):
            here[iterator] = coordinate
        arguments = list(nest.body.arguments)[nest.inputs :]
        return computed(row.written, nest, here, dict(zip(arguments, partial, strict=True)))

    neutral = [one.neutral() for one in combined]
    partial = fold(row.thread, product(extents), row.threads, neutral, body)
    whole = [across(row, number, one) for number, one in zip(partial, combined, strict=True)]
    outputs = list(zip(nest.operands, nest.maps, strict=True))[nest.inputs :]
    initial = [read(row.written, operand, map_, coordinates, {}) for operand, map_ in outputs]
    return [one.apply(a, b) for one, a, b in zip(combined, initial, whole, strict=True)]


def across(row: Row, number: ir.Value, combination: Combination) -> ir.Value:
    """`number` of all threads that share the row, combined, in each of them."""
    if row.is_block:
        return across_block(row.grid, number, combination, row.partials[number.type])
    return across_warp(number, combination.apply)


Written = Mapping[ir.Value, Element | ir.Value]
Emitted = dict[tuple[int | Index, ...], list[ir.Value]]
"""What was computed already at the insertion point: by the element's operation and its coordinates."""


def computed(
    written: Written,
    nest: Nest,
    coordinates: Sequence[Index],
    known: Mapping[ir.Value, ir.Value],
    emitted: Emitted | None = None,
) -> list[ir.Value]:
    """What the body of `nest` yields at a point; `known` are arguments that have their values."""
    values = dict(known)
    emitted = {} if emitted is None else emitted
    for argument, operand, map_ in zip(nest.body.arguments, nest.operands, nest.maps, strict=True):
        if argument not in values and any(True for _ in argument.uses):
            values[argument] = read(written, operand, map_, coordinates, emitted)
    return copy_body(nest.body, values, coordinates)


def read(
    written: Written, operand: ir.Value, map_: ir.AffineMap, coordinates: Sequence[Index], emitted: Emitted
) -> ir.Value:
    """The element of `operand` that `map_` selects: from memory, or what an operation before makes it."""
    maker = written.get(root(operand)) if isinstance(operand.type, ir.MemRefType) else None
    if maker is None:
        return load(operand, map_, coordinates)
    if isinstance(maker, ir.Value):
        return maker
    place = [coordinate_of(expression, coordinates) for expression in map_.results]
    nest, output_map = maker.nest, maker.nest.output_maps[maker.output]
    inner: list[Index] = [0] * len(nest.extents)
    for expression, coordinate in zip(output_map.results, place, strict=True):
        iterator = position(expression)
        assert iterator is not None
        inner[iterator] = coordinate
    key = (id(maker.nest), id(maker.before), *inner)
    if key not in emitted:
        emitted[key] = computed(maker.before, nest, inner, {}, emitted)
    return emitted[key][maker.output]


def coordinate_of(expression: ir.AffineExpr, coordinates: Sequence[Index]) -> Index:
    """One coordinate of an element; rows are accessed by iterators as a whole."""
    iterator = position(expression)
    assert iterator is not None
    return coordinates[iterator]


def store_row(row: Row, buffers: Sequence[ir.Value], count: int) -> None:
    """Writes what others read of a row."""
    elements: dict[int, list[tuple[ir.Value, Element]]] = {}
    for buffer in buffers:
        made = row.written[buffer]
        if isinstance(made, Element):
            elements.setdefault(id(made.nest), []).append((buffer, made))
            continue
        with when(is_less(row.thread, 1)):
            memref.store(made, row.names[buffer], [value(coordinate) for coordinate in row.place])
    for group in elements.values():
        nest = group[0][1].nest
        lead = row_iterators(nest, count) or []
        inside = ordered_as_output(nest, [d for d in range(len(nest.extents)) if d not in lead])
        extents = [nest.extents[d] for d in inside]
        with loop(row.thread, product(extents), row.threads) as number:
            here: list[Index] = [0] * len(nest.extents)
            for iterator, coordinate in zip(
                (*lead, *inside), (*row.place, *delinearize(number, extents)), strict=True
            ):
                here[iterator] = coordinate
            values = computed(group[0][1].before, nest, here, {})
            outputs = list(zip(nest.operands, nest.maps, strict=True))[nest.inputs :]
            for _, made in group:
                operand, map_ = outputs[made.output]
                store(values[made.output], operand, map_, here)
