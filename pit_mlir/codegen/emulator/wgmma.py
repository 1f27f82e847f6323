"""wgmma: products of matrices in shared memory, by a group of four warps."""

from pit_mlir.bindings import ir
from pit_mlir.codegen.emulator.function import Function, Rule, unsupported, word
from pit_mlir.codegen.emulator.matrices import NUMBERS, numbers, table

_DEPTH_BYTES = 32
"""What one product takes along K."""


def multiply(op: ir.Operation, function: Function) -> ir.Value:
    """`wgmma.mma_async` of two descriptors."""
    m, n, k = numbers(op.attributes["shape"])
    a, b, accumulator = (word(op.attributes[f"type{name}"]) for name in "ABD")
    layouts = [word(op.attributes[f"layout{side}"]) for side in "AB"]
    sizes = {"f16": 2, "bf16": 2, "tf32": 4, "s8": 1, "u8": 1}
    transposed = [layouts[0] == "col", layouts[1] == "row"]
    if (
        m != 64
        or a not in sizes
        or b != a
        or k * sizes[a] != _DEPTH_BYTES
        or accumulator not in ("f32", "s32")
    ):
        raise unsupported(op, f"wgmma m{m}n{n}k{k} of {a} and {b} to {accumulator}")
    if any(transposed) and sizes[a] != 2:
        raise unsupported(op, f"wgmma of {a} that is transposed")
    if "satfinite" in op.attributes:
        raise unsupported(op, "wgmma that saturates")
    inout, left, right = op.operands
    negative = [word(op.attributes[f"scale{side}"]) == "neg" for side in "AB"]
    fresh = word(op.attributes["scaleD"]) == "zero"
    description = table(
        function,
        (n, k, NUMBERS[a], NUMBERS[b], NUMBERS[accumulator], *map(int, (*transposed, *negative, fresh))),
    )
    count = n // 2
    element = ir.F32Type.get() if accumulator == "f32" else function.i32
    registers = function.words(2 * count)
    result = function.offset(registers, 4 * count)
    for place in range(count):
        position = ir.DenseI64ArrayAttr.get([place])
        value = function.create("llvm.extractvalue", [element], [inout], position=position)
        function.store(value, function.offset(registers, 4 * place))
    function.call("wgmma", [], [description, left, right, registers, result, function.site(op)])
    return function.struct(
        op.result.type, [function.load(element, function.offset(result, 4 * i)) for i in range(count)]
    )


def fence(op: ir.Operation, function: Function) -> None:
    """`wgmma.fence`: registers are ready for products."""
    function.call("fence_wgmma", [], [])


def commit(op: ir.Operation, function: Function) -> None:
    """`wgmma.commit_group`."""
    function.call("commit_wgmma", [], [])


def wait(op: ir.Operation, function: Function) -> None:
    """`wgmma.wait_group`."""
    function.call("wait_wgmma", [], [ir.IntegerAttr(op.attributes["group"]).value])


def fence_proxy(op: ir.Operation, function: Function) -> None:
    """`fence.proxy`: what the thread wrote is known to the engines that copy and multiply."""
    function.call("fence_proxy", [], [])


RULES: dict[str, Rule] = {
    "nvvm.wgmma.mma_async": multiply,
    "nvvm.wgmma.fence.aligned": fence,
    "nvvm.wgmma.commit.group.sync.aligned": commit,
    "nvvm.wgmma.wait.group.sync.aligned": wait,
    "nvvm.fence.proxy": fence_proxy,
}
