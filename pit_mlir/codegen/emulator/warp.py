"""What threads do together: barriers, shuffles, votes."""

from pit_mlir.bindings import ir
from pit_mlir.codegen.emulator.function import Function, Rule, unsupported, word
from pit_mlir.codegen.emulator.sizes import bytes_of

_SHUFFLES = {"bfly": 0, "up": 1, "down": 2, "idx": 3}
_VOTES = {"any": 0, "all": 1, "ballot": 2, "uni": 3}
_REDUCTIONS = {
    name: number
    for number, name in enumerate(("add", "and", "max", "min", "or", "umax", "umin", "xor", "fmin", "fmax"))
}
_ALIGNED, _ANYHOW, _PASSING = range(3)
"""How a thread comes to a barrier: `Arrival` of the runtime."""

ALL_LANES = -1


def _is_true(op: ir.Operation, name: str) -> bool:
    return name in op.attributes and bool(ir.BoolAttr(op.attributes[name]).value)


def barrier(op: ir.Operation, function: Function) -> None:
    """`bar.sync` and `barrier.sync`: number 0 and all threads of the block, unless they are given."""
    segments = list(ir.DenseI32ArrayAttr(op.attributes["operandSegmentSizes"]))
    given = list(op.operands)
    number = given.pop(0) if segments[0] else 0
    expected = given.pop(0) if segments[1] else 0
    _arrive(op, function, number, expected, _ALIGNED if _is_true(op, "aligned") else _ANYHOW, 0)


def barrier_arrive(op: ir.Operation, function: Function) -> None:
    """`bar.arrive`: the number, where given, and how many threads the barrier is for."""
    *number, expected = op.operands
    _arrive(op, function, number[0] if number else 0, expected, _PASSING, 0)


def barrier_reduction(op: ir.Operation, function: Function) -> ir.Value:
    """`bar.red`: of the predicates of all threads of the block."""
    predicate = op.operands[0]
    zero = function.constant(0, predicate.type)
    holds = function.create("llvm.icmp", [function.i1], [predicate, zero], predicate=1)
    flag = function.create("llvm.zext", [function.i32], [holds])
    ones = _arrive(op, function, 0, 0, _ALIGNED, flag)
    kind = word(op.attributes["reductionOp"])
    if kind == "popc":
        return ones
    wanted = function.constant(0)
    if kind == "and":
        sizes = [
            function.load(function.i32, function.offset(function.thread, 4 * place)) for place in (6, 7, 8)
        ]
        wanted = sizes[0]
        for size in sizes[1:]:
            wanted = function.create(
                "llvm.mul", [function.i32], [wanted, size], overflowFlags=(function.i32, 0)
            )
    found = function.create("llvm.icmp", [function.i1], [ones, wanted], predicate=0 if kind == "and" else 1)
    return function.create("llvm.zext", [op.result.type], [found])


def _arrive(
    op: ir.Operation,
    function: Function,
    number: ir.Value | int,
    expected: ir.Value | int,
    how: int,
    predicate: ir.Value | int,
) -> ir.Value:
    return function.call("barrier", [function.i32], [number, expected, how, predicate, function.site(op)])[0]


def warp_barrier(op: ir.Operation, function: Function) -> None:
    """`bar.warp.sync`."""
    function.call("warp_barrier", [], [op.operands[0], function.site(op)])


def shuffle(op: ir.Operation, function: Function) -> ir.Value:
    """`shfl.sync` of 32 bits."""
    mask, value, offset, clamp = op.operands
    if bytes_of(value.type) != 4:
        raise unsupported(op, f"a shuffle of {value.type}")
    bits = function.bits(value, function.i32)
    kind = _SHUFFLES[word(op.attributes["kind"])]
    (pair,) = function.call("shuffle", [function.i64], [mask, bits, offset, clamp, kind, function.site(op)])
    in_range, low = function.high_and_low(pair)
    result = function.bits(low, value.type)
    if op.result.type == value.type:
        return result
    return function.struct(op.result.type, [result, in_range])


def vote(op: ir.Operation, function: Function) -> ir.Value:
    """`vote.sync`."""
    mask, predicate = op.operands
    flag = function.create("llvm.zext", [function.i32], [predicate])
    kind = _VOTES[word(op.attributes["kind"])]
    (answer,) = function.call("vote", [function.i32], [mask, flag, kind, function.site(op)])
    return _narrow(answer, op.result.type, function)


def match(op: ir.Operation, function: Function) -> ir.Value:
    """`match.any.sync` and `match.all.sync`."""
    mask, value = op.operands
    wide = value if value.type == function.i64 else function.create("llvm.zext", [function.i64], [value])
    is_all = word(op.attributes["kind"]) == "all"
    (pair,) = function.call("match", [function.i64], [mask, wide, int(is_all), function.site(op)])
    same, lanes = function.high_and_low(pair)
    return function.struct(op.result.type, [lanes, same]) if is_all else lanes


def reduction(op: ir.Operation, function: Function) -> ir.Value:
    """`redux.sync`."""
    value, mask = op.operands
    if _is_true(op, "abs") or _is_true(op, "nan"):
        raise unsupported(op, "redux.sync with .abs or .NaN")
    bits = function.bits(value, function.i32)
    kind = _REDUCTIONS[word(op.attributes["kind"])]
    (answer,) = function.call("reduce", [function.i32], [mask, bits, kind, function.site(op)])
    return function.bits(answer, op.result.type)


def elect(op: ir.Operation, function: Function) -> ir.Value:
    """`elect.sync`."""
    mask = op.operands[0] if len(op.operands) else ALL_LANES
    (pair,) = function.call("elect", [function.i64], [mask, function.site(op)])
    return function.high_and_low(pair)[0]


def _narrow(value: ir.Value, type_: ir.Type, function: Function) -> ir.Value:
    if value.type == type_:
        return value
    return function.create("llvm.trunc", [type_], [value], overflowFlags=(function.i32, 0))


RULES: dict[str, Rule] = {
    "nvvm.barrier": barrier,
    "nvvm.barrier.arrive": barrier_arrive,
    "nvvm.barrier.reduction": barrier_reduction,
    "nvvm.bar.warp.sync": warp_barrier,
    "nvvm.shfl.sync": shuffle,
    "nvvm.vote.sync": vote,
    "nvvm.match.sync": match,
    "nvvm.redux.sync": reduction,
    "nvvm.elect.sync": elect,
}
