"""Accesses to memory: each is announced to the runtime, which knows whether it is allowed."""

from pit_mlir.bindings import ir
from pit_mlir.codegen.emulator.function import Function, Rule, unsupported
from pit_mlir.codegen.emulator.sizes import alignment_of, bytes_of

READS, WRITES, ATOMIC, ORDERS = 1, 2, 4, 8
"""How memory is touched, as the runtime's `Touch` says."""


def touch(
    op: ir.Operation, function: Function, address: ir.Value, size: ir.Value | int, alignment: int, how: int
) -> None:
    """Announces that `op` touches `size` bytes at `address`, unless they are the thread's own."""
    if _is_own(address):
        return
    count = size if isinstance(size, ir.Value) else function.constant(size, function.i64)
    function.call("touch", [], [function.generic(address), count, alignment, how, function.site(op)])


def _is_own(address: ir.Value) -> bool:
    """Whether `address` is in a variable of the thread."""
    while not isinstance(address, ir.BlockArgument):
        op = address.owner
        if op.name not in ("llvm.getelementptr", "llvm.addrspacecast"):
            return op.name == "llvm.alloca"
        address = op.operands[0]
    return False


def _alignment(op: ir.Operation, type_: ir.Type) -> int:
    given = op.attributes.get("alignment")
    natural = alignment_of(type_)
    # Code for a GPU takes what is less aligned in parts.
    return natural if given is None else min(natural, ir.IntegerAttr(given).value)


_ACQUIRE = 4
"""The weakest of LLVM's orderings that orders other accesses too."""


def _ordering(op: ir.Operation) -> int:
    given = op.attributes.get("ordering", op.attributes.get("success_ordering"))
    ordering = 0 if given is None else ir.IntegerAttr(given).value
    if ordering >= _ACQUIRE:
        return ATOMIC | ORDERS
    return ATOMIC if ordering or "volatile_" in op.attributes else 0


def load(op: ir.Operation, function: Function) -> None:
    """`llvm.load`: one that is atomic or volatile may meet other atomic accesses."""
    type_ = op.result.type
    touch(op, function, op.operands[0], bytes_of(type_), _alignment(op, type_), READS | _ordering(op))


def store(op: ir.Operation, function: Function) -> None:
    """`llvm.store`."""
    type_ = op.operands[0].type
    touch(op, function, op.operands[1], bytes_of(type_), _alignment(op, type_), WRITES | _ordering(op))


def atomic(op: ir.Operation, function: Function) -> None:
    """`llvm.atomicrmw` and `llvm.cmpxchg`; the host has one scope for all."""
    type_ = op.operands[1].type
    size = bytes_of(type_)
    touch(op, function, op.operands[0], size, size, READS | WRITES | ATOMIC | _ordering(op))
    if "syncscope" in op.attributes:
        del op.attributes["syncscope"]


def copy(op: ir.Operation, function: Function) -> None:
    """`llvm.intr.memcpy` and `memmove`."""
    to, source, size = list(op.operands)[:3]
    count = _as_i64(size, function)
    touch(op, function, source, count, 1, READS)
    touch(op, function, to, count, 1, WRITES)


def fill(op: ir.Operation, function: Function) -> None:
    """`llvm.intr.memset`."""
    touch(op, function, op.operands[0], _as_i64(op.operands[2], function), 1, WRITES)


def masked(op: ir.Operation, function: Function) -> None:
    """Loads and stores of some lanes of a vector: not emitted, so not known."""
    raise unsupported(op, f"{op.name}, a part of a vector")


def divide(op: ir.Operation, function: Function) -> None:
    """Divisions of integers, unless by a constant."""
    divisor = op.operands[1]
    if not isinstance(divisor.type, ir.IntegerType):
        raise unsupported(op, f"{op.name} of {divisor.type}")
    if not isinstance(divisor, ir.BlockArgument) and divisor.owner.name == "llvm.mlir.constant":
        return
    function.call("divisor", [], [_as_i64(divisor, function), function.site(op)])


def _as_i64(value: ir.Value, function: Function) -> ir.Value:
    width = ir.IntegerType(value.type).width
    if width == 64:
        return value
    if width < 64:
        return function.create("llvm.zext", [function.i64], [value])
    raise AssertionError(f"a size of {width} bits")


CHECKS: dict[str, Rule] = {
    "llvm.load": load,
    "llvm.store": store,
    "llvm.atomicrmw": atomic,
    "llvm.cmpxchg": atomic,
    "llvm.intr.memcpy": copy,
    "llvm.intr.memcpy.inline": copy,
    "llvm.intr.memmove": copy,
    "llvm.intr.memset": fill,
    "llvm.intr.memset.inline": fill,
    "llvm.intr.masked.load": masked,
    "llvm.intr.masked.store": masked,
    "llvm.intr.masked.gather": masked,
    "llvm.intr.masked.scatter": masked,
    **dict.fromkeys(("llvm.sdiv", "llvm.udiv", "llvm.srem", "llvm.urem"), divide),
}
"""What is written in front of operations that stay as they are."""


def address_to_integer(op: ir.Operation, function: Function) -> ir.Value | None:
    """`llvm.ptrtoint` of shared memory, which begins at 0 on a GPU."""
    if op.operands[0].type != function.shared_pointer:
        return None
    type_ = op.result.type
    at, begin = (
        function.create("llvm.ptrtoint", [type_], [pointer]) for pointer in (op.operands[0], function.shared)
    )
    return function.create("llvm.sub", [type_], [at, begin], overflowFlags=(function.i32, 0))


def integer_to_address(op: ir.Operation, function: Function) -> ir.Value | None:
    """`llvm.inttoptr` to shared memory."""
    if op.result.type != function.shared_pointer:
        return None
    place = _as_i64(op.operands[0], function)
    byte = ir.IntegerType.get_signless(8)
    return function.create(
        "llvm.getelementptr",
        [op.result.type],
        [function.shared, place],
        elem_type=byte,
        rawConstantIndices=ir.DenseI32ArrayAttr.get([-(2**31)]),
        noWrapFlags=(function.i32, 0),
    )


RULES: dict[str, Rule] = {"llvm.ptrtoint": address_to_integer, "llvm.inttoptr": integer_to_address}
"""Rules that replace an operation, unless they give None."""
