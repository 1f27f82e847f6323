"""mbarriers: barriers in shared memory that count arrivals and bytes."""

from pit_mlir.bindings import ir
from pit_mlir.codegen.emulator.function import Function, Rule


def init(op: ir.Operation, function: Function) -> None:
    """`mbarrier.init`."""
    address, count = list(op.operands)[:2]
    function.call("transaction_init", [], [function.generic(address), count, function.site(op)])


def invalidate(op: ir.Operation, function: Function) -> None:
    """`mbarrier.inval`."""
    function.call("transaction_end", [], [function.generic(op.operands[0]), function.site(op)])


def _arrives(*, arrives: bool, counts_bytes: bool, drops: bool = False) -> Rule:
    """An arrival of as many threads, or a change by as many bytes, as the second operand says; of one without it."""

    def rule(op: ir.Operation, function: Function) -> ir.Value | None:
        address, *given = op.operands
        given_bytes = given[0] if counts_bytes else 0
        arrivals = (given[0] if given and not counts_bytes else 1) if arrives else 0
        (phase,) = function.call(
            "transaction_arrive",
            [function.i64],
            [
                function.generic(address),
                arrivals,
                given_bytes,
                arrivals if drops else 0,
                function.site(op),
            ],
        )
        return phase

    return rule


def complete(op: ir.Operation, function: Function) -> None:
    """`mbarrier.complete_tx`."""
    address, count = list(op.operands)[:2]
    function.call("transaction_complete", [], [function.generic(address), count, function.site(op)])


def arrive_late(op: ir.Operation, function: Function) -> None:
    """`cp.async.mbarrier.arrive`: when the thread's copies so far are there."""
    counted = ir.BoolAttr(op.attributes["noinc"]).value if "noinc" in op.attributes else False
    address = function.generic(op.operands[0])
    function.call("transaction_arrive_late", [], [address, int(counted), function.site(op)])


def wait(op: ir.Operation, function: Function) -> None:
    """`mbarrier.try_wait.parity`, again and again until the phase is over."""
    address, parity = list(op.operands)[:2]
    wide = function.create("llvm.zext", [function.i64], [parity])
    function.call("wait_transaction", [], [function.generic(address), wide, 1, function.site(op)])


def test(op: ir.Operation, function: Function) -> ir.Value:
    """`mbarrier.test_wait` and `try_wait`, of a state (64 bits) or a parity (32)."""
    address, state = list(op.operands)[:2]
    is_parity = state.type == function.i32
    wide = function.create("llvm.zext", [function.i64], [state]) if is_parity else state
    (over,) = function.call(
        "test_transaction",
        [function.i32],
        [function.generic(address), wide, int(is_parity), function.site(op)],
    )
    return function.create("llvm.trunc", [function.i1], [over], overflowFlags=(function.i32, 0))


RULES: dict[str, Rule] = {
    "nvvm.mbarrier.init": init,
    "nvvm.mbarrier.inval": invalidate,
    "nvvm.mbarrier.arrive": _arrives(arrives=True, counts_bytes=False),
    "nvvm.mbarrier.arrive.nocomplete": _arrives(arrives=True, counts_bytes=False),
    "nvvm.mbarrier.arrive.expect_tx": _arrives(arrives=True, counts_bytes=True),
    "nvvm.mbarrier.arrive_drop": _arrives(arrives=True, counts_bytes=False, drops=True),
    "nvvm.mbarrier.expect_tx": _arrives(arrives=False, counts_bytes=True),
    "nvvm.mbarrier.complete_tx": complete,
    "nvvm.mbarrier.try_wait.parity": wait,
    "nvvm.mbarrier.try_wait": test,
    "nvvm.mbarrier.test.wait": test,
    "nvvm.cp.async.mbarrier.arrive": arrive_late,
}
