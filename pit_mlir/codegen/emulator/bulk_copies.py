"""Copies that an engine does for one thread: boxes of tensors by tensor maps (TMA), and bytes that lie together."""

from collections.abc import Sequence

from pit_mlir.bindings import ir
from pit_mlir.codegen.emulator.function import Function, Rule, unsupported, word


def _groups(op: ir.Operation) -> list[list[ir.Value]]:
    """The operands of `op`, as its segments divide them."""
    operands = iter(op.operands)
    return [
        [next(operands) for _ in range(size)]
        for size in ir.DenseI32ArrayAttr(op.attributes["operandSegmentSizes"])
    ]


def _coordinates(values: Sequence[ir.Value], function: Function) -> ir.Value:
    """Where `values` lie, one after another."""
    room = function.words(len(values))
    for place, value in enumerate(values):
        function.store(value, function.offset(room, 4 * place))
    return room


def _refuse(op: ir.Operation, extras: Sequence[list[ir.Value]], mode: str) -> None:
    if any(extras) or ("mode" in op.attributes and word(op.attributes["mode"]) != mode):
        raise unsupported(op, f"{op.name} with more than a box: a mask, a hint, a predicate or a mode")


def load_box(op: ir.Operation, function: Function) -> None:
    """`cp.async.bulk.tensor` to shared memory; its bytes arrive at an mbarrier."""
    (to,), (tensor_map,), at, (barrier,), *extras = _groups(op)
    _refuse(op, extras, "tile")
    pointers = [function.generic(pointer) for pointer in (to, tensor_map, barrier)]
    coordinates = _coordinates(at, function)
    function.call("load_box", [], [*pointers[:2], coordinates, len(at), pointers[2], function.site(op)])


def store_box(op: ir.Operation, function: Function) -> None:
    """`cp.async.bulk.tensor` to global memory."""
    (tensor_map,), (source,), at, *extras = _groups(op)
    _refuse(op, extras, "tile")
    pointers = [function.generic(pointer) for pointer in (tensor_map, source)]
    coordinates = _coordinates(at, function)
    function.call("store_box", [], [*pointers, coordinates, len(at), function.site(op)])


def load_bytes(op: ir.Operation, function: Function) -> None:
    """`cp.async.bulk` to shared memory; its bytes arrive at an mbarrier."""
    (to,), (source,), (barrier,), (size,), *extras = _groups(op)
    _refuse(op, extras, "")
    pointers = [function.generic(pointer) for pointer in (to, source, barrier)]
    function.call("load_bulk", [], [*pointers[:2], size, pointers[2], function.site(op)])


def store_bytes(op: ir.Operation, function: Function) -> None:
    """`cp.async.bulk` to global memory."""
    (to,), (source,), (size,), *extras = _groups(op)
    _refuse(op, extras, "")
    function.call("store_bulk", [], [function.generic(to), function.generic(source), size, function.site(op)])


def commit(op: ir.Operation, function: Function) -> None:
    """`cp.async.bulk.commit_group`."""
    function.call("commit_bulk", [], [])


def wait(op: ir.Operation, function: Function) -> None:
    """`cp.async.bulk.wait_group`, for the reads or for all."""
    function.call("wait_bulk", [], [ir.IntegerAttr(op.attributes["group"]).value])


RULES: dict[str, Rule] = {
    "nvvm.cp.async.bulk.tensor.shared.cluster.global": load_box,
    "nvvm.cp.async.bulk.tensor.global.shared.cta": store_box,
    "nvvm.cp.async.bulk.shared.cluster.global": load_bytes,
    "nvvm.cp.async.bulk.global.shared.cta": store_bytes,
    "nvvm.cp.async.bulk.commit.group": commit,
    "nvvm.cp.async.bulk.wait_group": wait,
}
