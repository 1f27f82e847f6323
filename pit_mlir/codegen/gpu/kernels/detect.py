"""`pit.detect` and what is asked of an index: bits of what is live, then lists, all in the device's memory."""

from dataclasses import replace

from pit_mlir.bindings import arith, ir, memref
from pit_mlir.codegen import build
from pit_mlir.codegen.brackets import allocate, read
from pit_mlir.codegen.build import Index, value
from pit_mlir.codegen.detect_layout import layout_of
from pit_mlir.codegen.gpu.flat import flat_buffer
from pit_mlir.codegen.gpu.kernels.generic import owns_rows
from pit_mlir.codegen.gpu.launch import launch
from pit_mlir.codegen.gpu.listing import Lists, is_large, make_lists, sum_counts
from pit_mlir.codegen.gpu.live import Bits, Source, fill, fill_by_key
from pit_mlir.codegen.gpu.lowering import GpuLowering
from pit_mlir.codegen.gpu.unordered import list_unordered, may_list_unordered
from pit_mlir.codegen.index_buffers import IndexBuffers, as_i32
from pit_mlir.codegen.index_space import IndexSpace
from pit_mlir.codegen.index_users import asks_for_rows, sums_along_lists
from pit_mlir.dialect.detect import is_by_key
from pit_mlir.dialect.structured import Structured


def lower_detect(op: ir.Operation, lowering: GpuLowering) -> None:
    """Computes the buffers of an index; raises `UnsupportedError` for one that does not fit 32 bits."""
    if is_by_key(op):
        lower_keys(op, lowering)
        return
    space = IndexSpace.of(op)
    buffer, strides = flat_buffer(read(op.operands[0]))
    layout = layout_of(space.extents, strides, space.segment_dims, space.axis, space.block)
    lines = [dim.extent for dim in layout.of("axis")]
    bits = Bits(value(0), space.segments, build.product(lines[:-1]), lines[-1])
    source = Source(buffer, layout)
    # Of one segment there is a list, even where it would be too long and stays empty.
    room = space.segments if space.segment_dims else 1
    lists = new_lists(op, room, space.capacity, space.coordinates)
    if is_large(bits, lists) and may_list_unordered(source, lists, room) and is_order_free(op, lowering):
        list_unordered(source, bits, lists, room)
    else:
        bits = with_room(bits)
        fill(source, bits)
        make_lists(bits, lists)
    lowering.indices[op.results[0]] = index_of(op, lists, room, space.coordinates, space.group)


def lower_keys(op: ir.Operation, lowering: GpuLowering) -> None:
    """As `lower_detect`, by keys: no more places are taken than there are keys."""
    space = IndexSpace.by_key(op)
    bits = with_room(Bits(value(0), space.segments, 1, space.capacity))
    fill_by_key(read(op.operands[0]), space.extents, space.axis, bits)
    lists = new_lists(op, space.segments, space.capacity, space.most_of_keys)
    make_lists(bits, lists)
    lowering.indices[op.results[0]] = index_of(op, lists, space.segments, space.most_of_keys, space.group)


def with_room(bits: Bits) -> Bits:
    """`bits` with a buffer for them."""
    dynamic = ir.ShapedType.get_dynamic_size()
    type_ = ir.MemRefType.get([dynamic], ir.IntegerType.get_signless(8))
    return replace(bits, buffer=memref.alloc(type_, [value(bits.count)], []))


def new_lists(op: ir.Operation, segments: Index, capacity: Index, coordinates: Index) -> Lists:
    """Buffers for the lists of `segments`, of `coordinates` entries at most."""
    i32 = ir.IntegerType.get_signless(32)
    begin, total = allocate([segments], i32), allocate([1], i32)
    is_single = isinstance(segments, int) and segments == 1
    count = total if is_single else allocate([segments], i32)
    entries = allocate([coordinates], i32)
    is_flat = (op.name == "pit.detect" and is_by_key(op)) or not lists_alone(op)
    has_rows = not is_single and asks_for_row_numbers(op)
    rows = allocate([coordinates], i32) if has_rows else None
    return Lists(begin, count, entries, rows, total, capacity, is_flat)


def index_of(
    op: ir.Operation, lists: Lists, segments: Index, coordinates: Index, group: tuple[Index, ...]
) -> IndexBuffers:
    """The index that `lists` are, of `coordinates` entries at most."""
    is_summed = lists.is_flat or lists.count == lists.total
    if not is_summed and any(use.owner.operation.name == "pit.size" for use in op.results[0].uses):
        sum_counts(lists, segments)
    known = bounded(memref.load(lists.total, [value(0)]), coordinates)
    rows = lists.entries if lists.rows is None else lists.rows
    return IndexBuffers(lists.begin, lists.count, lists.entries, rows, known, group)


def is_order_free(op: ir.Operation, lowering: GpuLowering) -> bool:
    """Whether nobody sees the order of the lists: what is done for an entry stands alone, or is added up.

    Rows are compact only where their order was proved not to matter; sums may then round in another way in each
    run, which `deterministic` forbids.
    """
    users = [use.owner.operation for use in op.results[0].uses]
    return not lowering.deterministic and all(
        user.name in ("pit.contract", "pit.size", "pit.sread", "pit.swrite")
        or (user.name == "pit.generic" and shares_rows(user))
        for user in users
    )


def asks_for_row_numbers(op: ir.Operation) -> bool:
    """Whether a user of the index reads where its rows are in the space of the whole group."""
    users = [use.owner.operation for use in op.results[0].uses]
    return asks_for_rows(op) or any(user.name == "pit.generic" and shares_rows(user) for user in users)


def shares_rows(user: ir.Operation) -> bool:
    """Whether threads share out the rows of the index of `user`, a `pit.generic`."""
    view = Structured.of(user)
    return view is not None and owns_rows(view)


def lists_alone(op: ir.Operation) -> bool:
    """Whether all users of an index go through the list of each segment, wherever it begins."""
    return all(goes_through_lists(use.owner.operation) for use in op.results[0].uses)


def goes_through_lists(user: ir.Operation) -> bool:
    """Whether `user` reads no row by its number among all rows."""
    if user.name == "pit.generic":
        view = Structured.of(user)
        return view is not None and not view.compact and not owns_rows(view)
    if user.name == "pit.attend":
        return not list(user.attributes["compact"])
    return user.name in ("pit.block_mask", "pit.size") or sums_along_lists(user)


def bounded(count: ir.Value, most: Index) -> Index:
    """An i32 that the device holds, as an index of which the host knows that it is at most `most`."""
    return arith.minui(arith.index_cast(ir.IndexType.get(), count), value(most))


def lower_size(op: ir.Operation, lowering: GpuLowering) -> None:
    """The number of rows: the device knows it, the host its bound."""
    op.results[0].replace_all_uses_with(value(lowering.indices[op.operands[0]].total))


def lower_segment(op: ir.Operation, lowering: GpuLowering) -> None:
    """The entries of one segment, copied to an index of its own."""
    whole, number = lowering.indices[op.operands[0]], op.attributes["number"].value
    i32 = ir.IntegerType.get_signless(32)
    most = build.product(whole.extents[1:])
    begin, count, total = (allocate([1], i32) for _ in range(3))
    entries = allocate([most], i32)
    with launch(1) as grid:
        first, length = (
            arith.index_cast(ir.IndexType.get(), memref.load(buffer, [value(number)]))
            for buffer in (whole.begin, whole.count)
        )
        with build.when(build.compare("eq", grid.thread, 0)):
            memref.store(as_i32(0), begin, [value(0)])
            memref.store(as_i32(length), count, [value(0)])
            memref.store(as_i32(length), total, [value(0)])
        with build.loop(grid.thread, length, grid.threads) as row:
            memref.store(memref.load(whole.entries, [value(build.add(first, row))]), entries, [row])
    known = bounded(memref.load(total, [value(0)]), most)
    lowering.indices[op.results[0]] = IndexBuffers(begin, count, entries, entries, known, whole.extents[1:])
