"""`tm_tensor.scan`: a block of threads per row where the body may be grouped at will, else a thread per row."""

from collections.abc import Sequence
from dataclasses import dataclass

from pit_mlir.bindings import arith, ir, memref
from pit_mlir.codegen import build
from pit_mlir.codegen.brackets import allocate_like, give, private_copy, read, sizes
from pit_mlir.codegen.build import Index, value
from pit_mlir.codegen.gpu.launch import THREADS, barrier, each, each_block
from pit_mlir.codegen.gpu.lowering import GpuLowering
from pit_mlir.dialect.bodies import inlined

ASSOCIATIVE = frozenset(
    f"arith.{name}"
    for name in ("addf", "addi", "andi", "maximumf", "maxsi", "minimumf", "minsi", "mulf", "muli", "ori")
)
"""Operations whose terms may be grouped at will: floats count as real numbers."""


@dataclass(frozen=True)
class Scan:
    """`result[i] = body(result[i - 1], source[i])` along `dimension`, from `source[0]` on where it is `inclusive`; else
    `result[i] = body(result[i - 1], source[i - 1])`, from what is in `last`, where the last result is put."""

    body: ir.Block
    source: ir.Value
    result: ir.Value
    last: ir.Value
    extents: tuple[Index, ...]
    dimension: int
    inclusive: bool

    @property
    def length(self) -> Index:
        """Elements of a row."""
        return self.extents[self.dimension]

    @property
    def others(self) -> list[Index]:
        """The extents of the other dimensions."""
        return [size for dim, size in enumerate(self.extents) if dim != self.dimension]

    def at(self, row: Sequence[Index], position: Index) -> list[ir.Value]:
        """The coordinates of `position` in a row."""
        return [value(place) for place in (*row[: self.dimension], position, *row[self.dimension :])]

    def term(self, row: Sequence[Index], position: Index) -> ir.Value:
        """What the result at `position` is made from, with those before it."""
        if self.inclusive:
            return memref.load(self.source, self.at(row, position))
        first = build.compare("eq", position, 0)
        return build.choose(
            first,
            [ir.MemRefType(self.result.type).element_type],
            lambda: [memref.load(self.last, [value(place) for place in row])],
            lambda: [memref.load(self.source, self.at(row, build.sub(position, 1)))],
        )[0]

    def combined(self, before: ir.Value, term: ir.Value) -> ir.Value:
        """The body."""
        return inlined(self.body, [before, term])[0]


def lower_scan(op: ir.Operation, lowering: GpuLowering) -> None:
    """Writes the scan of the first operand to a new buffer, and its last elements to a copy of the accumulator."""
    scan = Scan(
        op.regions[0].blocks[0],
        read(op.operands[0]),
        allocate_like(op.operands[1].type, sizes(op.operands[1])),
        private_copy(op.operands[2]),
        tuple(sizes(op.operands[0])),
        ir.IntegerAttr(op.attributes["dimension"]).value,
        ir.BoolAttr(op.attributes["inclusive"]).value,
    )
    if is_associative(scan.body):
        by_blocks(scan)
    else:
        by_threads(scan)
    for buffer, result in zip((scan.result, scan.last), op.results, strict=True):
        give(buffer, result)


def is_associative(body: ir.Block) -> bool:
    """Whether the body is one operation on its two arguments that may be grouped at will."""
    operations = [op.operation for op in body.operations]
    return (
        len(operations) == 2
        and operations[0].name in ASSOCIATIVE
        and set(operations[0].operands) == set(body.arguments)
    )


def by_threads(scan: Scan) -> None:
    """One element after another."""
    with each(build.product(scan.others)) as number, build.when(build.is_less(0, scan.length)):
        row = build.delinearize(number, scan.others)
        first = scan.term(row, 0)
        memref.store(first, scan.result, scan.at(row, 0))

        def step(position: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
            result = scan.combined(carried[0], scan.term(row, position))
            memref.store(result, scan.result, scan.at(row, position))
            return [result]

        last = build.fold(1, scan.length, 1, [first], step)
        memref.store(last[0], scan.last, [value(place) for place in row])


def by_blocks(scan: Scan) -> None:
    """As many elements at once as a block has threads: in shared memory each is combined with those 1, 2, 4, .. before
    it, and all with the last one of the elements before."""
    type_ = ir.MemRefType(scan.result.type).element_type
    with each_block(build.product(scan.others)) as grid:
        row = build.delinearize(grid.block, scan.others)
        room = grid.shared([THREADS], type_)
        mine = [value(grid.thread)]

        def step(start: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
            position = build.add(start, grid.thread)
            is_inside = build.is_less(position, scan.length)
            term = build.choose(
                is_inside, [type_], lambda: [scan.term(row, position)], lambda: [build.zero(type_)]
            )[0]
            offset = 1
            while offset < THREADS:
                barrier()
                memref.store(term, room, mine)
                barrier()
                term = with_earlier(scan, room, grid.thread, offset, term)
                offset *= 2
            is_later = build.compare("ne", start, 0)
            before, inner = carried[0], term
            term = build.choose(is_later, [type_], lambda: [scan.combined(before, inner)], lambda: [inner])[0]
            with build.when(is_inside):
                memref.store(term, scan.result, scan.at(row, position))
            barrier()
            memref.store(term, room, mine)
            barrier()
            last = build.minimum(build.sub(scan.length, start), THREADS)
            return [memref.load(room, [value(build.sub(last, 1))])]

        last = build.fold(0, scan.length, THREADS, [build.zero(type_)], step)[0]
        is_first = build.compare("eq", grid.thread, 0)
        with build.when(arith.andi(is_first, build.is_less(0, scan.length))):
            memref.store(last, scan.last, [value(place) for place in row])


def with_earlier(scan: Scan, room: ir.Value, thread: ir.Value, offset: int, term: ir.Value) -> ir.Value:
    """`term` combined with that of the thread `offset` before, if there is one."""
    place = build.sub(thread, offset)
    return build.choose(
        build.compare("sge", place, 0),
        [term.type],
        lambda: [scan.combined(memref.load(room, [value(place)]), term)],
        lambda: [term],
    )[0]
