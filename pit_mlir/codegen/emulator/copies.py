"""Copies to shared memory that are under way while the thread goes on."""

from pit_mlir.bindings import ir
from pit_mlir.codegen.emulator.function import Function, Rule


def copy(op: ir.Operation, function: Function) -> None:
    """`cp.async` of 4, 8 or 16 bytes; behind as many as are given there are zeros."""
    to, source, *given = op.operands
    size = ir.IntegerAttr(op.attributes["size"]).value
    function.call(
        "copy",
        [],
        [
            function.generic(to),
            function.generic(source),
            size,
            given[0] if given else size,
            function.site(op),
        ],
    )


def commit(op: ir.Operation, function: Function) -> None:
    """`cp.async.commit_group`."""
    function.call("commit_copies", [], [])


def wait(op: ir.Operation, function: Function) -> None:
    """`cp.async.wait_group`."""
    function.call("wait_copies", [], [ir.IntegerAttr(op.attributes["n"]).value])


RULES: dict[str, Rule] = {
    "nvvm.cp.async.shared.global": copy,
    "nvvm.cp.async.commit.group": commit,
    "nvvm.cp.async.wait.group": wait,
}
