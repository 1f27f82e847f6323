"""`pit-lower-launches`: launches of kernels become calls of the runtime."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from pit_mlir.bindings import ir, llvm
from pit_mlir.diagnostics import Report
from pit_mlir.dialect.walk import operations
from pit_mlir.passes.base import Pass

KERNELS = "pit.kernels"
"""The attribute of the module: the names of its kernels, by the numbers that launches use."""
LAUNCH = "pit_gpu_launch"
SHARED, OPERANDS = 10, 11
"""Which segments of the operands of `gpu.launch_func` are the size of shared memory, and what the kernel gets."""
TENSOR_MAP_BYTES, TENSOR_MAP_ALIGNMENT = 128, 64


@dataclass(frozen=True)
class LowerLaunches(Pass):
    """Turns each `gpu.launch_func`, in a host program in the LLVM dialect, into a call of the runtime.

    Upstream's `gpu-to-llvm` would convert the kernels too, some of whose instructions become text by that, which the
    emulator does not run. Buffers among the operands are taken apart, as the kernels have them.

    The call names the kernel by its number in `pit.kernels`, and passes grid, block, bytes of dynamic shared memory and
    an array of pointers to the arguments, as the driver takes them. A pointer among the operands is to a tensor map,
    which the kernel takes by value.
    """

    name: ClassVar[str] = "pit-lower-launches"
    anchors: ClassVar[tuple[str, ...]] = ("builtin.module",)
    statistics: ClassVar[Mapping[str, str]] = {"num-launches": "Launches in the program"}

    def run(self, op: ir.Operation, report: Report) -> None:
        """Launches in the order of the program give the kernels their numbers."""
        launches = operations(op, "gpu.launch_func")
        if not launches:
            return
        with op.context:
            kernels = {
                ir.StringAttr(function.attributes["sym_name"]).value: function
                for module in operations(op, "gpu.module")
                for function in (*operations(module, "llvm.func"), *operations(module, "gpu.func"))
            }
            numbers: dict[str, int] = {}
            declare(op)
            for launch in launches:
                path = ir.SymbolRefAttr(launch.attributes["kernel"]).value
                with ir.InsertionPoint(launch), launch.location:
                    arguments = arguments_of(launch)
                    take_by_value(kernels[path[-1]], arguments)
                    call(launch, numbers.setdefault(path[-1], len(numbers)), arguments)
                launch.erase()
                report.count("num-launches")
            op.attributes[KERNELS] = ir.ArrayAttr.get([ir.StringAttr.get(name) for name in numbers])


def declare(module: ir.Operation) -> None:
    """Declares the runtime's function."""
    i32, i64 = (ir.IntegerType.get_signless(bits) for bits in (32, 64))
    pointer, nothing = ir.Type.parse("!llvm.ptr"), ir.Type.parse("!llvm.void")
    type_ = ir.Type.parse(f"!llvm.func<{nothing} ({', '.join(map(str, [i32, *[i64] * 6, i32, pointer]))})>")
    with ir.InsertionPoint.at_block_begin(module.regions[0].blocks[0]), ir.Location.unknown():
        llvm.LLVMFuncOp(LAUNCH, ir.TypeAttr.get(type_))


@dataclass(frozen=True)
class Argument:
    """A value that a kernel takes; or a pointer to what it takes by value, a tensor map."""

    value: ir.Value
    is_tensor_map: bool


def arguments_of(launch: ir.Operation) -> list[Argument]:
    """The arguments of the kernel, which are made of the operands of `launch` at the insertion point."""
    return [
        Argument(part, isinstance(operand.type, llvm.PointerType))
        for operand in segments_of(launch)[OPERANDS]
        for part in parts_of(operand)
    ]


def segments_of(launch: ir.Operation) -> list[list[ir.Value]]:
    """The operands of `launch` by what they are for."""
    rest = iter(launch.operands)
    return [[next(rest) for _ in range(size)] for size in launch.attributes["operandSegmentSizes"]]


def take_by_value(kernel: ir.Operation, arguments: Sequence[Argument]) -> None:
    """Has `kernel` take tensor maps by value, out of the memory that holds its parameters."""
    if not any(argument.is_tensor_map for argument in arguments):
        return
    given = kernel.attributes.get("arg_attrs")
    known = list(given) if given is not None else [ir.DictAttr.get({})] * len(arguments)
    by_value = ir.DictAttr(
        ir.Attribute.parse(
            f"{{llvm.align = {TENSOR_MAP_ALIGNMENT} : i64, llvm.byval = !llvm.array<{TENSOR_MAP_BYTES} x i8>, "
            "nvvm.grid_constant}"
        )
    )
    kernel.attributes["arg_attrs"] = ir.ArrayAttr.get(
        [by_value if a.is_tensor_map else before for a, before in zip(arguments, known, strict=True)]
    )


def call(launch: ir.Operation, number: int, arguments: Sequence[Argument]) -> None:
    """Builds the call for `launch` of the kernel `number` at the insertion point."""
    segments = segments_of(launch)
    dimensions = [part for segment in segments[1:7] for size in segment for part in parts_of(size)]
    i32, i64 = (ir.IntegerType.get_signless(bits) for bits in (32, 64))
    pointer = ir.Type.parse("!llvm.ptr")
    array = ir.Type.parse(f"!llvm.array<{max(1, len(arguments))} x ptr>")
    with ir.InsertionPoint.at_block_begin(function_of(launch).regions[0].blocks[0]):
        one = llvm.mlir_constant(ir.IntegerAttr.get(i64, 1))
        rooms = [
            a.value if a.is_tensor_map else llvm.alloca(pointer, one, ir.TypeAttr.get(a.value.type))
            for a in arguments
        ]
        table = llvm.alloca(pointer, one, ir.TypeAttr.get(array))
    for place, (room, argument) in enumerate(zip(rooms, arguments, strict=True)):
        if not argument.is_tensor_map:
            llvm.store(argument.value, room)
        slot = llvm.getelementptr(pointer, table, [], [0, place], array, None)
        llvm.store(room, slot)
    shared = segments[SHARED]
    bytes_ = shared[0] if shared else llvm.mlir_constant(ir.IntegerAttr.get(i32, 0))
    kernel = llvm.mlir_constant(ir.IntegerAttr.get(i32, number))
    operands = [kernel, *dimensions, bytes_, table]
    ir.Operation.create(
        "llvm.call",
        operands=operands,
        attributes={
            "callee": ir.FlatSymbolRefAttr.get(LAUNCH),
            "operandSegmentSizes": ir.DenseI32ArrayAttr.get([len(operands), 0]),
            "op_bundle_sizes": ir.DenseI32ArrayAttr.get([]),
        },
    )


def parts_of(operand: ir.Value) -> list[ir.Value]:
    """What a kernel takes for `operand`, in the LLVM dialect: of a buffer pointers, offset, sizes and strides."""
    i64 = ir.IntegerType.get_signless(64)
    if isinstance(operand.type, ir.IndexType):
        return [cast(operand, i64)]
    if not isinstance(operand.type, ir.MemRefType):
        return [operand]
    rank, pointer = ir.MemRefType(operand.type).rank, ir.Type.parse("!llvm.ptr")
    arrays = f", array<{rank} x i64>, array<{rank} x i64>" if rank else ""
    whole = cast(operand, ir.Type.parse(f"!llvm.struct<(ptr, ptr, i64{arrays})>"))
    places = [[0], [1], [2], *([field, dim] for field in (3, 4) for dim in range(rank))]
    types = [pointer, pointer, *[i64] * (1 + 2 * rank)]
    return [
        llvm.extractvalue(type_, whole, ir.DenseI64ArrayAttr.get(place))
        for type_, place in zip(types, places, strict=True)
    ]


def cast(value: ir.Value, type_: ir.Type) -> ir.Value:
    """`value` as the conversion to LLVM has it, which reconciling casts finds."""
    name = "builtin.unrealized_conversion_cast"
    return ir.Operation.create(name, results=[type_], operands=[value]).results[0]


def function_of(op: ir.Operation) -> ir.Operation:
    """The function that holds `op`."""
    parent = op.parent.operation
    while parent.name != "llvm.func":
        parent = parent.parent.operation
    return parent
