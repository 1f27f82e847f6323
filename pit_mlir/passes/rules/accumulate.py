"""R5, accumulate: out + swrite(v, 0, I) = swrite(v, into out, I, add). No facts are needed.

The sum over experts that a model writes as a loop: each adds what it computed to the rows that are its own.
"""

from pit_mlir.analysis.expressions import Constant, constant_of
from pit_mlir.bindings import ir
from pit_mlir.diagnostics import Report
from pit_mlir.dialect.structured import Structured, owner, projection
from pit_mlir.dialect.swrite import swrite


def accumulate_writes(function: ir.Operation, report: Report) -> None:
    """R5 at every sum of `function` of a tensor and of rows written into zeros."""
    for op in list(function.regions[0].blocks[0].operations):
        view = Structured.on_tensors(op)
        if view is None or view.index is not None or not adds_up(view):
            continue
        for number, value in enumerate(view.inputs):
            if is_written_into_zeros(value):
                accumulate(view, number)
                report.count("num-accumulated")
                break


def adds_up(view: Structured) -> bool:
    """Whether `view` is the sum of two tensors, element by element."""
    identity = tuple(range(len(view.iterators)))
    if len(view.inputs) != 2 or any(projection(map_) != identity for map_ in view.maps):
        return False
    total = owner(view.yields[0])
    return (
        total is not None
        and total.name in ("arith.addf", "arith.addi")
        and set(total.operands) == set(view.scalars[:2])
    )


def is_written_into_zeros(value: ir.Value) -> bool:
    """Whether `value` is made by a `pit.swrite` into zeros that nothing else reads."""
    maker = owner(value)
    if maker is None or maker.name != "pit.swrite" or len(list(value.uses)) != 1:
        return False
    init = constant_of(maker.operands[1])
    return isinstance(init, Constant) and init.value == 0


def accumulate(view: Structured, number: int) -> None:
    """Puts a `pit.swrite` into the other input of `view` in its place; into zeros, it stays as it was."""
    write = owner(view.inputs[number])
    assert write is not None
    out = view.inputs[1 - number]
    start = constant_of(out)
    if isinstance(start, Constant) and start.value == 0:
        made = view.inputs[number]
    else:
        with ir.InsertionPoint(view.op), view.location:
            made = swrite(
                write.operands[0],
                out,
                write.operands[2],
                axis=list(write.attributes["axis"]),
                group=list(write.attributes["group"]),
                combine="add",
            )
    view.op.results[0].replace_all_uses_with(made)
    view.op.erase()
    if made != write.results[0]:
        write.erase()
