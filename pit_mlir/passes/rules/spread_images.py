"""R3, spread, where the input of a convolution is 0 for whole images, or the weights for whole channels of the result.

conv(x, k; c) = swrite(conv(sread(x, I), k; sread(c, I)), into c, I): what is not listed stays the init, a bias or 0.
As in any other contraction the fact is that of a mask, along parallel iterators alone, and the proof that 0 in that
operand leaves the accumulator as it is. Rows, not a list inside the kernel, because a convolution reads a row many
times: once per place of its windows.
"""

from pit_mlir.analysis.zeros import Zeros
from pit_mlir.bindings import ir
from pit_mlir.diagnostics import Report
from pit_mlir.dialect.detect import detect
from pit_mlir.dialect.location import location_text
from pit_mlir.dialect.sread import sread
from pit_mlir.dialect.structured import Structured, projection
from pit_mlir.dialect.swrite import swrite
from pit_mlir.dialect.window import is_window
from pit_mlir.passes.rules.restrict import Restriction, live_mask, refusal, restrictions
from pit_mlir.passes.rules.spread import is_read_by_rows, operands_reading


def spread_images(function: ir.Operation, report: Report) -> None:
    """R3 at every contraction over windows in `function` with an operand that a mask makes 0 along parallel axes."""
    block = function.regions[0].blocks[0]
    zeros = Zeros(block)
    for op in list(block.operations):
        view = Structured.on_tensors(op)
        if view is None or view.index is not None or not any(is_window(value) for value in view.inputs):
            continue
        if len(view.outputs) != 1 or is_read_by_rows(view.op):
            continue
        every = [r for number in range(len(view.inputs)) for r in restrictions(view, number, zeros)]
        found = next((r for r in every if lists_rows(view, r)), None)
        if found is None:
            continue
        with op.location:
            spread(view, found)
        report.count("num-images")
        text = f"compact through the index of what is live by {found.fact.origin}: the init elsewhere"
        report.remark(location_text(op.location), text, topic="index")


def lists_rows(view: Structured, restriction: Restriction) -> bool:
    """Whether `restriction` is one by a mask, along parallel iterators, that is proved."""
    if restriction.fact.kind != "mask" or None in restriction.dims:
        return False
    if any(view.iterators[iterator] != "parallel" for iterator in restriction.iterators):
        return False
    return refusal(view, restriction) is None


def spread(view: Structured, restriction: Restriction) -> None:
    """Puts swrite(sread(..), init) in place of the result of `view`."""
    result = view.op.results[0]
    users = list(operands_reading(result))
    out = projection(view.output_maps[0]) or ()
    axis = [out.index(iterator) for iterator in restriction.iterators]
    with ir.InsertionPoint.after(view.op):
        rank = len(axis)
        mask = live_mask(restriction.fact.source)
        index = detect(mask, axis=[rank - 1], segments=range(rank - 1), block=[1] * (rank - 1), micro_tile=1)
        written = swrite(sread(result, index, axis=axis), view.outputs[0], index, axis=axis)
    for user, number in users:
        user.operands[number] = written
