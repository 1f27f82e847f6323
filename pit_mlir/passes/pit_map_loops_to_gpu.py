"""`pit-map-loops-to-gpu`: what is left of linear algebra and loops on buffers becomes kernels."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from pit_mlir.bindings import ir
from pit_mlir.codegen.build import add, ceil_div, delinearize, move_here, mul, product, sub, value
from pit_mlir.codegen.gpu.copies import emit_copy
from pit_mlir.codegen.gpu.launch import each, launch
from pit_mlir.codegen.gpu.loops import emit
from pit_mlir.codegen.gpu.row_fusion import emit_rows, has_sums, rows_in_common
from pit_mlir.codegen.row_groups import Group, groups_of
from pit_mlir.diagnostics import Report
from pit_mlir.dialect.walk import has_any, operations, outermost
from pit_mlir.passes.base import Pass


@dataclass(frozen=True)
class MapLoopsToGpu(Pass):
    """Turns each `linalg.generic`, copy and loop on buffers that stands on the host into a kernel.

    Parallel loops become grids that walk over all their trips. Other loops and single stores become kernels of one
    thread, unless they hold kernels: the host runs those.
    """

    name: ClassVar[str] = "pit-map-loops-to-gpu"
    statistics: ClassVar[Mapping[str, str]] = {
        "num-structured": "Structured operations that became kernels",
        "num-fused": "Those that share a kernel with others that work on the same rows",
        "num-copies": "Copies that became kernels",
        "num-parallel": "Parallel loops that became kernels",
        "num-serial": "Kernels of one thread",
    }

    def run(self, op: ir.Operation, report: Report) -> None:
        """Operations on tensors are left alone, and so is what stands in kernels."""
        with op.context:
            for function in operations(op, "func.func"):
                for copy in on_host(function, "memref.copy"):
                    lower_copy(copy)
                    report.count("num-copies")
                structured = [op for op in on_host(function, "linalg.generic") if not op.results]
                report.count("num-structured", len(structured))
                for block in dict.fromkeys(op.block for op in structured):
                    for group in groups_of(block, rows_in_common):
                        lower_group(group, report)
                for parallel in on_host(function, "scf.parallel"):
                    if not parallel.results:
                        lower_parallel(parallel)
                        report.count("num-parallel")
                for loop in on_host(
                    function, "scf.for", "scf.while", "scf.if", "memref.store", "memref.atomic_rmw"
                ):
                    if not loop.results and touches_memory(loop) and not holds_kernels(loop):
                        with ir.InsertionPoint(loop), loop.location, launch(1, 1):
                            move_here(loop)
                        report.count("num-serial")


def on_host(function: ir.Operation, *names: str) -> list[ir.Operation]:
    """The outermost operations of `function` with one of `names` that stand in no kernel."""
    return [op for op in outermost(function, "gpu.launch", *names) if op.name != "gpu.launch"]


def holds_kernels(op: ir.Operation) -> bool:
    """Whether a kernel, or what allocates for one, is in `op`."""
    return has_any(op, lambda inner: inner.name in ("gpu.launch", "memref.alloc"))


def touches_memory(op: ir.Operation) -> bool:
    """Whether `op` reads or writes elements of buffers itself."""
    return has_any(op, lambda inner: inner.name in ("memref.load", "memref.store", "memref.atomic_rmw"))


def lower_copy(op: ir.Operation) -> None:
    """Replaces a copy by its kernel."""
    with ir.InsertionPoint(op), op.location:
        emit_copy(op.operands[0], op.operands[1])
    op.erase()


def lower_group(group: Group, report: Report) -> None:
    """Builds the kernels of a group: one where its last operation stands, or one for each."""
    nests, ops = [nest for _, nest in group], [op for op, _ in group]
    if len(group) > 1 and has_sums(nests):
        with ir.InsertionPoint(ops[-1]), ops[-1].location:
            emit_rows(nests, rows_in_common(nests), ops)
        report.count("num-fused", len(group))
    else:
        for op, nest in group:
            with ir.InsertionPoint(op), op.location:
                emit(nest)
    for op in ops:
        op.erase()


def lower_parallel(op: ir.Operation) -> None:
    """Replaces a parallel loop by a grid over all its trips."""
    body = op.regions[0].blocks[0]
    count = len(body.arguments)
    bounds = [list(op.operands)[start : start + count] for start in (0, count, 2 * count)]
    with ir.InsertionPoint(op), op.location:
        trips = [ceil_div(sub(stop, start), step) for start, stop, step in zip(*bounds, strict=True)]
        with each(product(trips)) as number:
            coordinates = delinearize(number, trips)
            for argument, start, step, trip in zip(
                body.arguments, bounds[0], bounds[2], coordinates, strict=True
            ):
                argument.replace_all_uses_with(value(add(start, mul(trip, step))))
            for inner in list(body.operations)[:-1]:
                move_here(inner.operation)
    op.erase()
