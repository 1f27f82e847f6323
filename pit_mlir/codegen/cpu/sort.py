"""`tm_tensor.sort` on buffers: rows in parallel, each by insertion or by merging; stable.

The top k of a row arrive as a whole sort and a slice of its first k: then only those are kept in order.
"""

from collections.abc import Sequence
from contextlib import ExitStack

from pit_mlir.bindings import arith, ir, scf
from pit_mlir.codegen import build
from pit_mlir.codegen.brackets import allocate, give, private_copy, sizes
from pit_mlir.codegen.build import Index, loop, truth, value, when
from pit_mlir.codegen.cpu.loops import chunks, rows_at_once
from pit_mlir.codegen.cpu.lowering import CpuLowering
from pit_mlir.codegen.sorting import Row

# An insertion moves half of what is sorted already: merging is better for more than this.
LONGEST_INSERTION = 48


def lower_sort(op: ir.Operation, lowering: CpuLowering) -> None:
    """Sorts copies of the operands along `dimension`."""
    dimension = ir.IntegerAttr(op.attributes["dimension"]).value
    buffers = tuple(private_copy(operand) for operand in op.operands)
    extents = sizes(op.operands[0])
    length, others = extents[dimension], [d for d in range(len(extents)) if d != dimension]
    kept = kept_of(op, dimension)
    with ExitStack() as stack:
        work = build.mul(length, 16)
        total = build.product([extents[d] for d in others])
        low, high = stack.enter_context(chunks(total, rows_at_once(work)))
        linear = stack.enter_context(loop(low, high))
        point: list[Index] = [0] * len(extents)
        for dim, coordinate in zip(
            others, build.delinearize(linear, [extents[d] for d in others]), strict=True
        ):
            point[dim] = coordinate
        row = Row(op.regions[0].blocks[0], buffers, tuple(point), dimension)
        short = isinstance(length, int) and length <= LONGEST_INSERTION
        if short or (kept is not None and kept <= LONGEST_INSERTION):
            insert_all(row, length, length if kept is None else kept)
        else:
            merge_all(row, length)
    for buffer, result in zip(buffers, op.results, strict=True):
        give(buffer, result)


def kept_of(op: ir.Operation, dimension: int) -> int | None:
    """How many of the first elements of a row are used at most; None if any may be."""
    most = 0
    for result in op.results:
        for use in result.uses:
            user = use.owner.operation
            if user.name != "tensor.extract_slice":
                return None
            offset, size, stride = (
                list(user.attributes[f"static_{name}"])[dimension] for name in ("offsets", "sizes", "strides")
            )
            dynamic = ir.ShapedType.get_dynamic_size()
            if dynamic in (size, stride) or offset != 0 or size == 0:
                return None
            most = max(most, (size - 1) * stride + 1)
    return most or None


def insert_all(row: Row, length: Index, kept: Index) -> None:
    """Inserts one element after another into the sorted first `kept` ones."""
    with loop(1, length) as i:
        element = row.load(i)
        last = build.minimum(i, build.sub(kept, 1))
        # Where the first ones are complete, the last of them is dropped for an element that comes before it.
        with when(arith.xori(row.is_ordered(row.load(last_kept(i, kept)), element), truth(True))):
            place = descend(row, value(last), element)
            row.store(element, place)


def last_kept(i: ir.Value, kept: Index) -> Index:
    """The position of the last sorted element when `i` is to be inserted."""
    return build.minimum(build.sub(i, 1), build.sub(kept, 1))


def descend(row: Row, start: ir.Value, element: Sequence[ir.Value]) -> ir.Value:
    """Moves up what must stand after `element`, from position `start` on down; returns the place that is free."""
    index = ir.IndexType.get()
    search = scf.WhileOp([index], [start])
    before = search.regions[0].blocks.append(index)
    with ir.InsertionPoint(before):
        position = before.arguments[0]

        def must_move() -> list[ir.Value]:
            return [arith.xori(row.is_ordered(row.load(build.sub(position, 1)), element), truth(True))]

        def is_first() -> list[ir.Value]:
            return [truth(False)]

        above = build.compare("sgt", position, 0)
        moving = build.choose(above, [ir.IntegerType.get_signless(1)], must_move, is_first)
        scf.ConditionOp(moving[0], [position])
    after = search.regions[1].blocks.append(index)
    with ir.InsertionPoint(after):
        lower = build.sub(after.arguments[0], 1)
        row.store(row.load(lower), after.arguments[0])
        scf.yield_([value(lower)])
    return search.results[0]


def merge_all(row: Row, length: Index) -> None:
    """Merges runs of 1, 2, 4, .. elements through scratch memory, until one run is left."""
    scratch_buffers = tuple(
        allocate([length], ir.MemRefType(buffer.type).element_type) for buffer in row.buffers
    )
    scratch = Row(row.comparator, scratch_buffers, (0,), 0)
    index = ir.IndexType.get()
    runs = scf.WhileOp([index], [value(1)])
    before = runs.regions[0].blocks.append(index)
    with ir.InsertionPoint(before):
        scf.ConditionOp(build.is_less(before.arguments[0], length), [before.arguments[0]])
    after = runs.regions[1].blocks.append(index)
    with ir.InsertionPoint(after):
        width = after.arguments[0]
        double = build.mul(width, 2)
        with loop(0, length, double) as start:
            middle = build.minimum(build.add(start, width), length)
            merge(row, scratch, start, middle, build.minimum(build.add(start, double), length))
        with loop(0, length) as i:
            row.store(scratch.load(i), i)
        scf.yield_([value(double)])


def merge(source: Row, target: Row, start: Index, middle: Index, end: Index) -> None:
    """Merges the sorted runs `start .. middle` and `middle .. end` of `source` into the same place of `target`."""

    def step(place: ir.Value, heads: list[ir.Value]) -> list[ir.Value]:
        left, right = heads
        bit = ir.IntegerType.get_signless(1)

        def by_order() -> list[ir.Value]:
            return [source.is_ordered(source.load(left), source.load(right))]

        def by_rest() -> list[ir.Value]:
            return [build.is_less(left, middle)]

        both = arith.andi(build.is_less(left, middle), build.is_less(right, end))
        takes_left = build.choose(both, [bit], by_order, by_rest)[0]
        target.store(source.load(build.select(takes_left, left, right)), place)
        return [
            build.select(takes_left, value(build.add(left, 1)), left),
            build.select(takes_left, right, value(build.add(right, 1))),
        ]

    build.fold(start, end, 1, [value(start), value(middle)], step)
