"""`pit-lower-parallel`: parallel loops become OpenMP regions."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from pit_mlir.bindings import arith, ir, scf
from pit_mlir.codegen.build import DYNAMIC
from pit_mlir.diagnostics import Report
from pit_mlir.dialect.walk import is_inside, operations
from pit_mlir.passes.base import Pass


@dataclass(frozen=True)
class LowerParallel(Pass):
    """Turns outermost `scf.parallel` loops into OpenMP regions, inner ones into serial loops.

    A loop of one trip runs on the calling thread: whoever builds a loop makes its trips worth a thread. With the
    attribute `pit.dynamic` threads take trips one by one as they get free, else each has an equal part.
    """

    name: ClassVar[str] = "pit-lower-parallel"
    statistics: ClassVar[Mapping[str, str]] = {
        "num-parallel": "Loops that the team runs",
        "num-serial": "Parallel loops inside others",
    }

    def run(self, op: ir.Operation, report: Report) -> None:
        """Loops with one counter and without reductions; others are left alone."""
        with op.context:
            # Inner loops first: the list has an operation before what it holds.
            for parallel in reversed(operations(op, "scf.parallel")):
                if len(parallel.regions[0].blocks[0].arguments) != 1 or parallel.results:
                    continue
                with ir.InsertionPoint(parallel), parallel.location:
                    if is_inside(parallel, "scf.parallel"):
                        make_serial(parallel)
                        report.count("num-serial")
                    else:
                        make_region(parallel)
                        report.count("num-parallel")
                parallel.erase()


def make_serial(op: ir.Operation) -> None:
    """Builds the `scf.for` for the parallel loop `op`."""
    start, stop, step = list(op.operands)[:3]
    serial = scf.ForOp(start, stop, step)
    move_body(op, serial.body, serial.induction_variable)
    with ir.InsertionPoint(serial.body):
        scf.yield_([])


def make_region(op: ir.Operation) -> None:
    """Builds the OpenMP region for the parallel loop `op`: one worksharing loop, no barrier but the region's end."""
    start, stop, step = list(op.operands)[:3]
    several = arith.cmpi(arith.CmpIPredicate.slt, arith.addi(start, step), stop)
    region = ir.Operation.create(
        "omp.parallel",
        operands=[several],
        attributes={"operandSegmentSizes": ir.DenseI32ArrayAttr.get([0, 0, 1, 0, 0, 0])},
        regions=1,
    )
    block = region.regions[0].blocks.append()
    with ir.InsertionPoint(block):
        sharing: dict[str, ir.Attribute] = {
            "nowait": ir.UnitAttr.get(),
            "operandSegmentSizes": ir.DenseI32ArrayAttr.get([0] * 7),
        }
        if DYNAMIC in op.attributes:
            sharing["schedule_kind"] = ir.Attribute.parse("#omp<schedulekind dynamic>")
        shared = ir.Operation.create("omp.wsloop", attributes=sharing, regions=1)
        ir.Operation.create("omp.terminator")
    with ir.InsertionPoint(shared.regions[0].blocks.append()):
        nest = ir.Operation.create("omp.loop_nest", operands=[start, stop, step], regions=1)
    body = nest.regions[0].blocks.append(start.type)
    move_body(op, body, body.arguments[0])
    with ir.InsertionPoint(body):
        ir.Operation.create("omp.yield")
    hoist_allocas(body, block)


def move_body(op: ir.Operation, block: ir.Block, counter: ir.Value) -> None:
    """Moves what `op` repeats to the end of `block`."""
    old = op.regions[0].blocks[0]
    old.arguments[0].replace_all_uses_with(counter)
    for inner in list(old.operations)[:-1]:
        block.append(inner.operation)


def hoist_allocas(body: ir.Block, region: ir.Block) -> None:
    """Moves buffers on the stack out of the loop, one a thread: inside they would pile up trip by trip."""
    first = region.operations[0].operation
    for op in list(body.operations):
        if op.operation.name == "memref.alloca" and not list(op.operation.operands):
            op.operation.move_before(first)
