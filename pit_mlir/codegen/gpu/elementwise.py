"""Element-wise operations: a thread for each point, or for as many neighbours as sixteen bytes hold."""

from collections.abc import Sequence

from pit_mlir.bindings import ir
from pit_mlir.codegen.cpu.buffers import load, store
from pit_mlir.codegen.cpu.build import Index, delinearize, product
from pit_mlir.codegen.cpu.nest import Nest
from pit_mlir.codegen.gpu.bodies import copy_body
from pit_mlir.codegen.gpu.launch import each


def emit_elementwise(nest: Nest, order: Sequence[int]) -> None:
    """Builds the kernel of `nest`, whose iterators all stand in the outputs, which run in `order`."""
    sizes = [nest.extents[d] for d in order]
    with each(product(sizes)) as number:
        coordinates: list[Index] = [0] * len(nest.extents)
        for iterator, coordinate in zip(order, delinearize(number, sizes), strict=True):
            coordinates[iterator] = coordinate
        emit_point(nest, coordinates)


def emit_point(nest: Nest, coordinates: Sequence[Index]) -> None:
    """The body at one point: what it reads is loaded, what it yields is stored."""
    known: dict[ir.Value, ir.Value] = {
        argument: load(operand, map_, coordinates)
        for argument, operand, map_ in zip(nest.body.arguments, nest.operands, nest.maps, strict=True)
        if any(True for _ in argument.uses)
    }
    outputs = list(zip(nest.operands, nest.maps, strict=True))[nest.inputs :]
    for result, (operand, map_) in zip(copy_body(nest.body, known, coordinates), outputs, strict=True):
        store(result, operand, map_, coordinates)
