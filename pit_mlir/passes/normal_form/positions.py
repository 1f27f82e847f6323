"""Positions: what bodies read by `linalg.index` becomes an operand, so that their place does not matter."""

from collections.abc import Iterable

from pit_mlir.analysis.extents import extent
from pit_mlir.bindings import ir, linalg, tensor
from pit_mlir.dialect.structured import Structured, build_generic, owner, projection_map
from pit_mlir.passes.normal_form.movement import is_iota
from pit_mlir.passes.normal_form.rebuild import loop_sites, with_inputs
from pit_mlir.passes.normal_form.scope import generics
from pit_mlir.passes.normal_form.sizes import same_extent


def fold_table_reads(extracts: Iterable[ir.Operation]) -> None:
    """Makes the table of each `tensor.extract` among `extracts` that reads at positions only an operand.

    Its map is these positions, each another loop that runs over the whole dimension; dimensions of size 1 go.
    """
    by_body: dict[ir.Operation, list[ir.Operation]] = {}
    for op in extracts:
        parent = op.parent
        if (
            parent is not None
            and parent.operation.name == "linalg.generic"
            and len(parent.operation.results) > 0
        ):
            by_body.setdefault(parent.operation, []).append(op)
    for generic, reads in by_body.items():
        view = Structured.on_tensors(generic)
        assert view is not None
        _make_operands(view, [(op, dims) for op in reads if (dims := _whole_table(view, op)) is not None])


def _make_operands(view: Structured, reads: list[tuple[ir.Operation, list[int | None]]]) -> None:
    if not reads:
        return
    first = len(view.inputs)
    with ir.InsertionPoint(view.op), view.location:
        tables = [_without_units(op.operands[0], dims) for op, dims in reads]
    new = with_inputs(view, tables, [[dim for dim in dims if dim is not None] for _, dims in reads])
    for number, (op, _) in enumerate(reads):
        op.results[0].replace_all_uses_with(new.body.arguments[first + number])
        op.erase()


def _whole_table(view: Structured, extract: ir.Operation) -> list[int | None] | None:
    """The loops by whose positions `extract` reads its table, if they run over all of it; else None.

    A dimension of size 1 that is not read by a position has None: there is nothing else to read than its one entry.
    """
    table, *indices = extract.operands
    dims = [_position(index) for index in indices]
    loops = [dim for dim in dims if dim is not None]
    if not loops or len(set(loops)) != len(loops):
        return None
    for dim, position in enumerate(dims):
        if position is None:
            if ir.RankedTensorType(table.type).shape[dim] != 1:
                return None
        elif not any(same_extent((table, dim), site) for site in loop_sites(view, position)):
            return None
    return dims


def _without_units(table: ir.Value, dims: list[int | None]) -> ir.Value:
    """`table` without the dimensions (of size 1) that have no loop, at the insertion point."""
    kept = [dim for dim, loop in enumerate(dims) if loop is not None]
    if len(kept) == len(dims):
        return table
    type_ = ir.RankedTensorType(table.type)
    ends = [*kept[1:], len(dims)]
    groups = [list(range(start, end)) for start, end in zip([0, *kept[1:]], ends, strict=True)]
    smaller = ir.RankedTensorType.get([type_.shape[dim] for dim in kept], type_.element_type)
    return tensor.CollapseShapeOp(smaller, table, groups).result


def _position(value: ir.Value) -> int | None:
    """The iterator whose position `value` is, if it is one."""
    maker = owner(value)
    while maker is not None and maker.name == "arith.index_cast":
        maker = owner(maker.operands[0])
    return maker.attributes["dim"].value if maker is not None and maker.name == "linalg.index" else None


def outline_positions(module: ir.Operation) -> None:
    """Replaces every `linalg.index d` by an iota as operand with the map (d); iotas themselves stay."""
    for op in generics(module):
        body = op.regions[0].blocks[0]
        indices = [child.operation for child in body.operations if child.operation.name == "linalg.index"]
        if not indices or is_iota(op):
            continue
        view = Structured.on_tensors(op)
        assert view is not None
        _outline(view, indices)


def _outline(view: Structured, indices: list[ir.Operation]) -> None:
    dims = sorted({op.attributes["dim"].value for op in indices})
    with ir.InsertionPoint(view.op), view.location:
        iotas = [iota(extent(*loop_sites(view, dim)[0])) for dim in dims]
    first = len(view.inputs)
    new = with_inputs(view, iotas, [[dim] for dim in dims])
    for op in indices:
        op.results[0].replace_all_uses_with(
            new.body.arguments[first + dims.index(op.attributes["dim"].value)]
        )
        op.erase()


def iota(size: int | ir.Value) -> ir.Value:
    """The tensor<?xindex> 0, 1, .. of `size` elements."""
    init = tensor.empty([size], ir.IndexType.get())
    op = build_generic(
        [], [init], [projection_map(1, [0])], ["parallel"], lambda _: [linalg.IndexOp(0).result]
    )
    return op.results[0]
