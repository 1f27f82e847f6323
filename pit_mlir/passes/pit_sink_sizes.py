"""`pit-sink-sizes`: what the host would read in the memory of the device is read in kernels."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

from pit_mlir.bindings import arith, ir, memref, scf
from pit_mlir.codegen.buffers import root, users
from pit_mlir.codegen.build import move_here, value
from pit_mlir.codegen.checks import FAILED_FUNCTION
from pit_mlir.codegen.gpu.checks import check_word
from pit_mlir.codegen.gpu.copies import emit_copy
from pit_mlir.codegen.gpu.launch import launch
from pit_mlir.codegen.gpu.sizes import CASTS, MINIMA, bound, comes_from_device, is_computed, size_of
from pit_mlir.codegen.gpu.tensor_maps import FUNCTION as TENSOR_MAP
from pit_mlir.diagnostics import Report
from pit_mlir.dialect.location import location_text
from pit_mlir.dialect.walk import has_any, is_inside, operations
from pit_mlir.errors import UnsupportedError
from pit_mlir.passes.base import Pass

ON_DEVICE = frozenset(
    {"memref.load", "memref.store", "memref.atomic_rmw", "memref.copy", "vector.load", "vector.store"}
)
"""Operations that only kernels may do."""


@dataclass(frozen=True)
class SinkSizes(Pass):
    """Repeats in each kernel what it needs of values that come from the memory of the device, such as sizes of indices.

    The host allocates and launches by bounds of them, and nothing waits for the device. A condition of the host on
    such a value becomes a condition inside of the kernels that it guards. Constants move into kernels too.
    """

    name: ClassVar[str] = "pit-sink-sizes"
    statistics: ClassVar[Mapping[str, str]] = {
        "num-sunk": "Kernels that compute sizes themselves",
        "num-bounds": "Sizes of buffers and grids that became bounds",
        "num-guarded": "Conditions that went into kernels",
    }

    def run(self, op: ir.Operation, report: Report) -> None:
        """Raises `UnsupportedError` for what the host cannot know and no kernel can do."""
        with op.context:
            for function in operations(op, "func.func"):
                if function.regions[0].blocks:
                    with function.location:
                        lower_function(function, report)


def lower_function(function: ir.Operation, report: Report) -> None:
    """Leaves to the host of `function` what needs no look into the memory of the device."""
    fold_sizes(function)
    keep_scalars(function)
    guard_kernels(function, report)
    record_failures(function)
    give_constants(function)
    sink(function, report)
    take_bounds(function, report)
    erase_unused(function)
    verify(function)


def on_host(function: ir.Operation) -> Iterator[ir.Operation]:
    """The operations of `function` that no kernel holds, an operation before what it holds."""
    pending = [op.operation for op in reversed(list(function.regions[0].blocks[0].operations))]
    while pending:
        op = pending.pop()
        yield op
        if op.name != "gpu.launch":
            inner = [
                i.operation for region in op.regions for block in region.blocks for i in block.operations
            ]
            pending.extend(reversed(inner))


def fold_sizes(function: ir.Operation) -> None:
    """Sizes of buffers and of views of them become what they were made with, before that becomes a bound."""
    for op in operations(function, "memref.dim"):
        buffer, dim = op.operands
        constant = None if isinstance(dim.owner, ir.Block) else dim.owner.operation
        if constant is None or constant.name != "arith.constant":
            continue
        with ir.InsertionPoint(op), op.location:
            size = size_of(buffer, ir.IntegerAttr(constant.attributes["value"]).value)
            if size is not None:
                op.results[0].replace_all_uses_with(value(size))
        if size is not None:
            op.erase()


def keep_scalars(function: ir.Operation) -> None:
    """Elements that the host reads of buffers that may change later are copied to cells of their own."""
    for op in list(on_host(function)):
        if op.name != "memref.load" or is_size(op.results[0]) or not may_change(root(op.operands[0])):
            continue
        with ir.InsertionPoint(op), op.location:
            cell = memref.alloc(ir.MemRefType.get([1], op.results[0].type), [], [])
            with launch(1, 1):
                memref.store(op.clone().results[0], cell, [value(0)])
            kept = memref.load(cell, [value(0)])
        op.results[0].replace_all_uses_with(kept)
        op.erase()


def is_size(loaded: ir.Value) -> bool:
    """Whether all that is done with what was loaded is to bound it: the size of an index, which is written once."""
    users = [use.owner.operation for use in loaded.uses]
    return bool(users) and all(
        user.name in MINIMA or (user.name in CASTS and is_size(user.results[0])) for user in users
    )


def may_change(buffer: ir.Value) -> bool:
    """Whether the program may write to `buffer`: not to an argument or to a constant."""
    maker = buffer.owner
    return not isinstance(maker, ir.Block) and maker.operation.name != "memref.get_global"


def guard_kernels(function: ir.Operation, report: Report) -> None:
    """Conditions on values of the device go into the kernels that they guard; what guards none becomes a kernel."""
    for op in list(on_host(function)):
        if op.name != "scf.if" or not comes_from_device(op.operands[0]):
            continue
        if op.results:
            raise UnsupportedError(
                "the host would choose between values by what only the device knows",
                location=location_text(op.location),
            )
        report.count("num-guarded")
        with ir.InsertionPoint(op), op.location:
            if not has_any(op, lambda inner: inner.name in ("gpu.launch", "memref.alloc")):
                with launch(1, 1):
                    move_here(op)
                continue
            for number, region in enumerate(op.regions):
                if region.blocks:
                    unguard(region.blocks[0], op.operands[0], number == 0)
        op.erase()


def unguard(block: ir.Block, condition: ir.Value, expected: bool) -> None:
    """Moves what `block` holds to the insertion point; kernels among it do nothing unless `condition` is that."""
    if not expected:
        condition = arith.xori(condition, arith.constant(condition.type, 1))
    for op in [inner.operation for inner in block.operations][:-1]:
        move_here(op)
        if op.name == "gpu.launch":
            body = op.regions[0].blocks[0]
            inside = [inner.operation for inner in body.operations][:-1]
            with ir.InsertionPoint.at_block_begin(body):
                guard = scf.IfOp(condition)
            with ir.InsertionPoint(guard.then_block):
                scf.yield_([])
            end = guard.then_block.operations[0].operation
            for inner in inside:
                inner.move_before(end)


def record_failures(function: ir.Operation) -> None:
    """In kernels, a check that failed is recorded in the word of the device."""
    i32 = ir.IntegerType.get_signless(32)
    for kernel in operations(function, "gpu.launch"):
        for call in operations(kernel, "func.call"):
            if ir.FlatSymbolRefAttr(call.attributes["callee"]).value != FAILED_FUNCTION:
                continue
            word = check_word(call)
            with ir.InsertionPoint(call), call.location:
                number = arith.trunci(i32, call.operands[0])
                memref.atomic_rmw(arith.AtomicRMWKind.minu, number, word, [value(0)])
            call.erase()


def give_constants(function: ir.Operation) -> None:
    """Constant tensors that more than kernels use get a buffer on the device; the others are read where kernels are."""
    for op in list(on_host(function)):
        if op.name != "memref.get_global":
            continue
        if all(is_inside(user, "gpu.launch") for user in users(op.results[0])):
            continue
        with ir.InsertionPoint.after(op), op.location:
            type_ = ir.MemRefType(op.results[0].type)
            copy = memref.alloc(ir.MemRefType.get(type_.shape, type_.element_type), [], [])
            op.results[0].replace_all_uses_with(copy)
            emit_copy(op.results[0], copy)


def sink(function: ir.Operation, report: Report) -> None:
    """Repeats in each kernel the constants it uses, and what it uses that comes from the device."""
    for kernel in operations(function, "gpu.launch"):
        body = kernel.regions[0].blocks[0]
        first = body.operations[0].operation
        known: dict[ir.Value, ir.Value] = {}
        used = captured(kernel)
        with ir.InsertionPoint(first), kernel.location:
            for outside, uses in used.items():
                inside = sunk(outside, known)
                if inside != outside:
                    for user, number in uses:
                        user.operands[number] = inside
        report.count("num-sunk", int(any(comes_from_device(outside) for outside in used)))


def captured(kernel: ir.Operation) -> dict[ir.Value, list[tuple[ir.Operation, int]]]:
    """The values from outside that are used in `kernel`, with their uses there."""
    found: dict[ir.Value, list[tuple[ir.Operation, int]]] = {}
    inside: set[ir.Value] = set()

    def visit(op: ir.Operation) -> ir.WalkResult:
        for number, operand in enumerate(op.operands):
            if operand not in inside and op != kernel:
                found.setdefault(operand, []).append((op, number))
        inside.update(op.results)
        for region in op.regions:
            for block in region.blocks:
                inside.update(block.arguments)
        return ir.WalkResult.ADVANCE

    kernel.walk(visit, ir.WalkOrder.PRE_ORDER)
    return found


def sunk(outside: ir.Value, known: dict[ir.Value, ir.Value]) -> ir.Value:
    """`outside` at the insertion point in a kernel: made again where it is a constant or comes from the device."""
    if outside in known:
        return known[outside]
    maker = outside.owner
    if isinstance(maker, ir.Block):
        return outside
    op = maker.operation
    if op.name != "arith.constant" and not is_global(outside) and not comes_from_device(outside):
        return outside
    operands = [sunk(operand, known) for operand in op.operands]
    copy = op.clone()
    for number, operand in enumerate(operands):
        copy.operands[number] = operand
    known.update(zip(op.results, copy.results, strict=True))
    return known[outside]


def is_global(outside: ir.Value) -> bool:
    """Whether `outside` is a constant tensor or a part of one, which a kernel finds in its own module."""
    maker = root(outside).owner if isinstance(outside.type, ir.MemRefType) else None
    return (
        maker is not None and not isinstance(maker, ir.Block) and maker.operation.name == "memref.get_global"
    )


def take_bounds(function: ir.Operation, report: Report) -> None:
    """Buffers, grids and tensor maps get the sizes that the host knows not to be exceeded."""
    for op in list(on_host(function)):
        if op.name not in ("memref.alloc", "gpu.launch") and not makes_tensor_map(op):
            continue
        for number, operand in enumerate(op.operands):
            if not comes_from_device(operand):
                continue
            if op.name == "memref.alloc" and any(user.name == "func.return" for user in users(op.results[0])):
                raise UnsupportedError(
                    "the program returns a tensor whose size only the device knows; a program for a GPU gives back "
                    "sizes that the host knows",
                    location=location_text(op.location),
                )
            with ir.InsertionPoint(op), op.location:
                known = bound(operand)
                if known is None:
                    raise UnsupportedError(
                        f"nothing bounds a size that '{op.name}' needs and only the device knows",
                        location=location_text(op.location),
                    )
                op.operands[number] = value(known)
            report.count("num-bounds")


def makes_tensor_map(op: ir.Operation) -> bool:
    """Whether `op` has the runtime make a tensor map."""
    return op.name == "func.call" and ir.FlatSymbolRefAttr(op.attributes["callee"]).value == TENSOR_MAP


def erase_unused(function: ir.Operation) -> None:
    """Erases what the host computed for kernels that now do so themselves."""
    for op in reversed(list(on_host(function))):
        is_pure = is_computed(op) or op.name in ("memref.load", "memref.get_global")
        if is_pure and not any(True for result in op.results for _ in result.uses):
            op.erase()


def verify(function: ir.Operation) -> None:
    """Raises `UnsupportedError` where the host touches the memory of the device."""
    for op in on_host(function):
        if op.name in ON_DEVICE:
            raise UnsupportedError(
                f"'{op.name}' on the host: the memory of the device belongs to kernels",
                location=location_text(op.location),
            )
