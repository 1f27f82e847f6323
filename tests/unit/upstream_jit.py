"""Runs linalg on tensors by upstream's passes alone: what our own passes are compared with."""

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy

from pit_mlir.analysis.extents import extent
from pit_mlir.bindings import ExecutionEngine, PassManager, ir, tensor
from pit_mlir.dialect.structured import build_generic

_TO_LLVM = (
    "convert-elementwise-to-linalg,one-shot-bufferize{allow-return-allocs-from-loops bufferize-function-boundaries "
    "function-boundary-type-conversion=identity-layout-map},"
    "func.func(tm-tensor-to-loops,convert-linalg-to-loops,llvm-request-c-wrappers),"
    "expand-strided-metadata,lower-affine,convert-scf-to-cf,arith-expand,convert-math-to-llvm,"
    "convert-math-to-libm,convert-arith-to-llvm,convert-index-to-llvm,finalize-memref-to-llvm,"
    "convert-func-to-llvm,convert-cf-to-llvm,reconcile-unrealized-casts"
)
_ELEMENTS = {
    "i1": "bool",
    "i8": "int8",
    "i32": "int32",
    "i64": "int64",
    "index": "int64",
    "f32": "float32",
    "f64": "float64",
}


def run_upstream(module: ir.Module, arguments: Sequence[Any], entry: str = "main") -> list[numpy.ndarray]:
    """The results of `entry` of a copy of `module` for `arguments`: arrays, and integers for `index`.

    Asserts and checks are not evaluated.
    """
    with module.context, ir.Location.unknown():
        copy = ir.Module.parse(str(module))
        _erase(copy.operation, ("cf.assert", "pit.check"))
        _copy_windows(copy.operation)
        function = next(op for op in copy.body.operations if op.attributes["sym_name"].value == entry)
        signature = ir.FunctionType(function.attributes["function_type"].value)
        given, types = signature.inputs, signature.results
        _bufferize_tm_tensor(copy)
        PassManager.parse(f"builtin.module({_TO_LLVM})").run(copy.operation)
        engine = ExecutionEngine(copy, opt_level=1)
    results = [_descriptor(ir.RankedTensorType(type_).rank) for type_ in types]
    # The C interface returns several memrefs as one struct of them, through its first argument.
    fields = [(f"r{number}", type(result)) for number, result in enumerate(results)]
    block = type("Results", (ctypes.Structure,), {"_fields_": fields})()
    arrays = [numpy.array(argument, order="C") for argument in arguments]
    inputs = [
        ctypes.pointer(_described(array))
        if isinstance(type_, ir.RankedTensorType)
        else ctypes.c_int64(int(array))
        for array, type_ in zip(arrays, given, strict=True)
    ]
    engine.invoke(entry, *map(ctypes.pointer, (ctypes.pointer(block), *inputs)))
    return [
        _array(getattr(block, f"r{number}"), str(ir.RankedTensorType(type_).element_type))
        for number, type_ in enumerate(types)
    ]


def _bufferize_tm_tensor(module: ir.Module) -> None:
    """Upstream's pass for it allocates anew, but does not say so to the bufferization that follows."""
    PassManager.parse("builtin.module(func.func(tm-tensor-bufferize))").run(module.operation)

    def restrict(child: ir.Operation) -> ir.WalkResult:
        if child.name == "bufferization.to_tensor":
            child.attributes["restrict"] = ir.UnitAttr.get()
            child.attributes["writable"] = ir.UnitAttr.get()
        return ir.WalkResult.ADVANCE

    module.operation.walk(restrict)


def _copy_windows(module: ir.Operation) -> None:
    """Makes a copy of what each `pit.window` sees, which upstream does not know."""
    for op in _found(module, ("pit.window",)):
        rank = ir.RankedTensorType(op.results[0].type).rank
        maps = [op.attributes["map"].value, ir.AffineMap.get_identity(rank)]
        with ir.InsertionPoint(op):
            out = tensor.EmptyOp(
                [extent(op.results[0], dim) for dim in range(rank)],
                ir.RankedTensorType(op.results[0].type).element_type,
            ).result
            made = build_generic([op.operands[0]], [out], maps, ["parallel"] * rank, lambda read, _: [read])
        op.results[0].replace_all_uses_with(made.results[0])
        op.erase()


def _erase(op: ir.Operation, names: Sequence[str]) -> None:
    for child in _found(op, names):
        child.erase()


def _found(op: ir.Operation, names: Sequence[str]) -> list[ir.Operation]:
    found: list[ir.Operation] = []

    def collect(child: ir.Operation) -> ir.WalkResult:
        if child.name in names:
            found.append(child)
        return ir.WalkResult.ADVANCE

    op.walk(collect)
    return found


def _descriptor(rank: int) -> Any:
    """An empty memref descriptor of `rank`."""
    fields = [("allocated", ctypes.c_longlong), ("aligned", ctypes.c_longlong), ("offset", ctypes.c_longlong)]
    if rank:
        fields += [("shape", ctypes.c_longlong * rank), ("strides", ctypes.c_longlong * rank)]
    return type("Descriptor", (ctypes.Structure,), {"_fields_": fields})()


def _described(array: numpy.ndarray) -> Any:
    """A descriptor of `array`, which must stay alive."""
    value = _descriptor(array.ndim)
    value.allocated = value.aligned = array.ctypes.data
    if array.ndim:
        value.shape[:] = list(array.shape)
        value.strides[:] = [stride // array.itemsize for stride in array.strides]
    return value


def _array(value: Any, element: str) -> numpy.ndarray:
    """A copy of what the descriptor `value` describes; its memory is left to the process."""
    dtype = numpy.dtype(_ELEMENTS[element])
    shape = list(getattr(value, "shape", ()))
    if 0 in shape:
        return numpy.zeros(shape, dtype)
    strides = [stride * dtype.itemsize for stride in getattr(value, "strides", ())]
    size = dtype.itemsize + sum(stride * (extent - 1) for stride, extent in zip(strides, shape, strict=True))
    memory = (ctypes.c_byte * size).from_address(value.aligned + value.offset * dtype.itemsize)
    return numpy.ndarray(shape, dtype, memory, strides=strides).copy()
