"""Special registers, and what else a thread can tell without the others."""

from pit_mlir.bindings import ir
from pit_mlir.codegen.emulator.function import Function, Rule

_PLACES = {
    **{f"tid.{axis}": place for place, axis in enumerate("xyz")},
    **{f"ctaid.{axis}": 3 + place for place, axis in enumerate("xyz")},
    **{f"ntid.{axis}": 6 + place for place, axis in enumerate("xyz")},
    **{f"nctaid.{axis}": 9 + place for place, axis in enumerate("xyz")},
    # Each block is a cluster of its own.
    **{f"clusterid.{axis}": 3 + place for place, axis in enumerate("xyz")},
    **{f"nclusterid.{axis}": 9 + place for place, axis in enumerate("xyz")},
    "laneid": 12,
    "warpid": 13,
    "nwarpid": 14,
    "dynamic.smem.size": 15,
    "lanemask.eq": 16,
    "lanemask.lt": 17,
    "lanemask.le": 18,
    "lanemask.gt": 19,
    "lanemask.ge": 20,
    "total.smem.size": 21,
    "aggr.smem.size": 21,
}
"""Where the runtime keeps them in `Thread::registers`."""

_CONSTANTS = {
    "warpsize": 32,
    "smid": 0,
    "nsmid": 1,
    "gridid": 0,
    "cluster.ctarank": 0,
    "cluster.nctarank": 1,
    **{f"cluster.ctaid.{axis}": 0 for axis in "xyz"},
    **{f"cluster.nctaid.{axis}": 1 for axis in "xyz"},
}


def _register(place: int) -> Rule:
    def rule(op: ir.Operation, function: Function) -> ir.Value:
        return function.load(op.result.type, function.offset(function.thread, 4 * place))

    return rule


def _constant(value: int) -> Rule:
    def rule(op: ir.Operation, function: Function) -> ir.Value:
        return function.constant(value, op.result.type)

    return rule


def clock(op: ir.Operation, function: Function) -> ir.Value:
    """Clocks count what the block has done so far."""
    (time,) = function.call("clock", [function.i64], [])
    if op.result.type == function.i64:
        return time
    return function.create("llvm.trunc", [op.result.type], [time], overflowFlags=(function.i32, 0))


_SPECIAL = "nvvm.read.ptx.sreg."

RULES: dict[str, Rule] = {
    **{f"{_SPECIAL}{name}": _register(place) for name, place in _PLACES.items()},
    **{f"{_SPECIAL}{name}": _constant(value) for name, value in _CONSTANTS.items()},
    **{f"{_SPECIAL}{name}": clock for name in ("clock", "clock64", "globaltimer", "globaltimer.lo")},
}
