"""R5, accumulate: out + swrite(v, 0, I) = swrite(v, into out, I, add). No facts are needed.

The sum over experts that a model writes as a loop: each adds what it computed to the rows that are its own. What is
written may be reshaped before it is added, as the row of a single token is.
"""

from pit_mlir.analysis.expressions import Constant, constant_of
from pit_mlir.analysis.extents import extent, reassociation
from pit_mlir.bindings import ir, tensor
from pit_mlir.diagnostics import Report
from pit_mlir.dialect.structured import Structured, owner, projection
from pit_mlir.dialect.swrite import swrite


def accumulate_writes(function: ir.Operation, report: Report) -> None:
    """R5 at every sum of `function` of a tensor and of rows written into zeros."""
    for op in list(function.regions[0].blocks[0].operations):
        view = Structured.on_tensors(op)
        terms = None if view is None or view.index is not None else terms_of(view)
        for term in terms or ():
            if is_written_into_zeros(term):
                assert view is not None and terms is not None
                accumulate(view, term, next((other for other in terms if other != term), None))
                report.count("num-accumulated")
                break


def terms_of(view: Structured) -> tuple[ir.Value, ...] | None:
    """The tensors of which `view` is the sum, element by element, two or one and 0; None if it is no sum of those.

    Twice a tensor is none: nothing else is there to write its rows into.
    """
    identity = tuple(range(len(view.iterators)))
    total = owner(view.yields[0])
    if total is None or total.name not in ("arith.addf", "arith.addi") or len(view.outputs) != 1:
        return None
    if any(projection(map_) != identity for map_ in view.maps):
        return None
    scalars = dict(zip(view.scalars, view.inputs, strict=False))
    terms = [scalars[value] for value in total.operands if value in scalars]
    if len(set(terms)) < len(terms):
        return None
    others = [constant_of(value) for value in total.operands if value not in scalars]
    return tuple(terms) if all(other is not None and other.value == 0 for other in others) else None


def is_written_into_zeros(value: ir.Value) -> bool:
    """Whether `value` is made by a `pit.swrite` into zeros that nothing else reads."""
    write = write_of(value)
    if write is None:
        return False
    init = constant_of(write.operands[1])
    return isinstance(init, Constant) and init.value == 0


def write_of(value: ir.Value) -> ir.Operation | None:
    """The `pit.swrite` that makes `value`, collapsed or not, and nothing else; None if there is none."""
    maker = owner(value)
    while maker is not None and len(list(maker.results[0].uses)) == 1:
        if maker.name != "tensor.collapse_shape":
            return maker if maker.name == "pit.swrite" else None
        maker = owner(maker.operands[0])
    return None


def accumulate(view: Structured, term: ir.Value, out: ir.Value | None) -> None:
    """Puts `term`, a `pit.swrite`, in place of `view`: into `out`, or as it is where nothing else is added."""
    start = None if out is None else constant_of(out)
    if out is None or (start is not None and start.value == 0):
        view.op.results[0].replace_all_uses_with(term)
    else:
        with ir.InsertionPoint(view.op), view.location:
            view.op.results[0].replace_all_uses_with(added(term, out))
    view.op.erase()
    maker = owner(term)
    while maker is not None and not list(maker.results[0].uses):
        source = owner(maker.operands[0])
        maker.erase()
        maker = source


def added(term: ir.Value, out: ir.Value) -> ir.Value:
    """The rows of `term`, a `pit.swrite`, collapsed or not, written into `out` instead."""
    maker = owner(term)
    assert maker is not None, "a write"
    if maker.name == "tensor.collapse_shape":
        whole = maker.operands[0]
        return tensor.CollapseShapeOp(
            term.type, added(whole, expanded(out, maker)), reassociation(maker)
        ).result
    return swrite(
        maker.operands[0],
        out,
        maker.operands[2],
        axis=list(maker.attributes["axis"]),
        group=list(maker.attributes["group"]),
        combine="add",
    )


def expanded(value: ir.Value, collapse: ir.Operation) -> ir.Value:
    """`value` in the shape of what `collapse` collapses."""
    type_ = ir.RankedTensorType(collapse.operands[0].type)
    sizes = [extent(collapse.operands[0], dim) for dim in range(type_.rank)]
    dynamic = ir.ShapedType.get_dynamic_size()
    static = [dynamic if isinstance(size, ir.Value) else size for size in sizes]
    values = [size for size in sizes if isinstance(size, ir.Value)]
    return tensor.ExpandShapeOp(type_, value, reassociation(collapse), values, static).result
