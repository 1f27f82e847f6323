"""`pit.mark` and `pit.threshold` inside a model: sparsity that its author declares or asks for, and its way through
the import.

MLIR's import knows no custom operators. So a mark leaves the exported graph (its users read its input) and its
value and mask become further results of the function; after the lowering these results say where in linalg the
value is, a `pit.mark` is put there, and the further results are dropped.
"""

import math
import numbers
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, fx

from pit_mlir.bindings import func, ir
from pit_mlir.dialect import mark as build_mark
from pit_mlir.errors import InputError
from pit_mlir.frontend.source import model_line

_library = torch.library.Library("pit", "DEF")
_library.define("mark(Tensor x, Tensor? mask=None, str? approximation=None) -> Tensor")


@torch.library.impl(_library, "mark", "CompositeExplicitAutograd")
def _mark(x: Tensor, _mask: Tensor | None = None, _approximation: str | None = None) -> Tensor:
    return x.clone()


@torch.library.register_fake("pit::mark", lib=_library)  # pyright: ignore[reportUntypedFunctionDecorator]
def _mark_fake(x: Tensor, _mask: Tensor | None = None, _approximation: str | None = None) -> Tensor:
    return torch.empty_like(x)


def mark(x: Tensor, mask: Tensor | None = None) -> Tensor:
    """`x` itself, declared sparse: zero wherever `mask` is zero, or where its own values are.

    `mask` broadcasts to `x` and holds truth values or integers. Outside of an export it is the identity. Raises
    `InputError` for a mask that does not fit.
    """
    if mask is not None:
        mask = _fitting(x, mask)
    if not torch.compiler.is_exporting():
        return x
    return torch.ops.pit.mark.default(x, mask)


def threshold(x: Tensor, t: float | Tensor) -> Tensor:
    """`x` with 0 in place of its elements of magnitude at most `t`: what hardly counts is not computed with.

    An approximation of the model, which its author asks for by calling this; `explain()` of a compiled model names
    it. Gradients flow through the elements that are kept; a NaN is kept. `x` holds floats. `t`, at least 0, is a
    number or a tensor that broadcasts to `x`, such as a threshold for each channel; it is compared in the dtype of
    `x`. Raises `InputError` for others.
    """
    if not isinstance(x, Tensor):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InputError(f"pit.threshold: x is a {type(x).__name__}, expected a torch.Tensor of floats")
    if not x.dtype.is_floating_point:
        raise InputError(f"pit.threshold: x holds {x.dtype}, expected floats")
    if isinstance(t, Tensor):
        t = _bound(x, t)
        text = "magnitudes up to a threshold"
    else:
        if not isinstance(t, numbers.Real | torch.SymFloat | torch.SymInt) or not 0 <= t < math.inf:
            raise InputError(f"pit.threshold: t = {t!r}, expected a finite number of at least 0")
        text = f"magnitudes up to {float(t):g}"
        t = torch.full((), t, dtype=x.dtype, device=x.device)
    kept = x.masked_fill(x.abs() <= t, 0)
    if not torch.compiler.is_exporting():
        return kept
    return torch.ops.pit.mark.default(kept, None, f"{text} are as good as 0, as pit.threshold asks")


def _bound(x: Tensor, t: Tensor) -> Tensor:
    """A threshold that is a tensor, in the dtype of `x`."""
    if t.dtype.is_complex or t.dtype == torch.bool:
        raise InputError(f"pit.threshold: t holds {t.dtype}, expected numbers")
    if t.dim() > x.dim() or any(
        n not in (1, size) for n, size in zip(reversed(t.shape), reversed(x.shape), strict=False)
    ):
        raise InputError(
            f"pit.threshold: t of shape {list(t.shape)} does not broadcast to x of shape {list(x.shape)}"
        )
    return t.to(x.dtype)


def _fitting(x: Tensor, mask: Tensor) -> Tensor:
    """The mask with the rank of `x`; the dimensions it lacks in front are of size 1."""
    if mask.dtype.is_floating_point or mask.dtype.is_complex:
        raise InputError(f"pit.mark: mask holds {mask.dtype}, expected bool or integers (write mask != 0)")
    missing = x.dim() - mask.dim()
    fits = missing >= 0 and all(
        m in (1, s) for m, s in zip(reversed(mask.shape), reversed(x.shape), strict=False)
    )
    if not fits:
        raise InputError(f"pit.mark: mask of shape {list(mask.shape)} does not broadcast to {list(x.shape)}")
    return mask[(None,) * missing] if missing else mask


@dataclass(frozen=True)
class Mark:
    """A mark that left the graph; `value` and `mask` are nodes that follow the outputs.

    `approximation` says what the model's author takes for 0, if that is why.
    """

    value: fx.Node
    mask: fx.Node | None
    approximation: str | None
    location: str | None


def take_marks(graph: fx.Graph) -> list[Mark]:
    """Takes the marks out of `graph`; their users read the marked value."""
    marks: list[Mark] = []
    for node in list(graph.nodes):
        if node.op == "call_function" and node.target is torch.ops.pit.mark.default:
            mask, approximation = (
                node.args[place] if len(node.args) > place else node.kwargs.get(name)
                for place, name in ((1, "mask"), (2, "approximation"))
            )
            assert isinstance(node.args[0], fx.Node) and (mask is None or isinstance(mask, fx.Node))
            assert approximation is None or isinstance(approximation, str)
            marks.append(Mark(node.args[0], mask, approximation, model_line(node)))
            node.replace_all_uses_with(node.args[0])
            graph.erase_node(node)
    return marks


def put_marks(function: func.FuncOp, marks: Sequence[Mark], values: Sequence[ir.Value]) -> None:
    """Inserts a `pit.mark` for each of `marks`, whose values and masks are computed by `values`.

    Uses behind the mark read the marked value.
    """
    given = iter(values)
    pairs = [(next(given), None if mark.mask is None else next(given)) for mark in marks]
    for mark, (value, mask) in zip(marks, pairs, strict=True):
        _put_mark(function.regions[0].blocks[0], value, mask, mark)


def _put_mark(block: ir.Block, value: ir.Value, mask: ir.Value | None, mark: Mark) -> None:
    """One `pit.mark` right behind the later of the definitions of `value` and `mask`."""
    order = {op.operation: number for number, op in enumerate(block.operations)}
    defining = [
        v.owner.operation for v in (value, mask) if v is not None and not isinstance(v.owner, ir.Block)
    ]
    place = max((order[op] for op in defining), default=-1)
    where = _location(mark.location, value)
    with where, ir.InsertionPoint(block.operations[place + 1]):
        marked = build_mark(value, mask, mark.approximation)
    for use in list(value.uses):
        user = use.owner.operation
        while user.parent != block.owner.operation:
            user = user.parent.operation
        if user != marked.owner.operation and order.get(user, len(order)) > place:
            use.owner.operands[use.operand_number] = marked


def _location(text: str | None, value: ir.Value) -> ir.Location:
    """The line of the model, else where the value comes from."""
    if text is not None:
        file, line, column = text.rsplit(":", 2)
        return ir.Location.file(file, int(line), int(column))
    return ir.Location.unknown() if isinstance(value.owner, ir.Block) else value.owner.location
