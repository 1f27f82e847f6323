"""Where NaN stands: torch takes it for greater than any number in sorts and argmax, torch-mlir's code forgets it."""

from pit_mlir.bindings import arith, ir
from pit_mlir.dialect.walk import operations
from pit_mlir.dialect.yield_ import yielded

_UP, _DOWN = ("ole", "olt"), ("oge", "ogt")


def order_nans(function: ir.Operation) -> None:
    """Corrects the comparators of `tm_tensor.sort`, and the bodies of argmax and argmin, in `function`."""
    for sort in operations(function, "tm_tensor.sort"):
        block = sort.regions[0].blocks[0]
        compared = yielded(block)[0].owner
        if not isinstance(compared, ir.Block) and compared.name == "arith.cmpf":
            _order(compared.operation)
    for generic in operations(function, "linalg.generic"):
        _propagate(generic.regions[0].blocks[0])


def _predicate(compared: ir.Operation) -> str:
    return (
        str(arith.CmpFPredicate(ir.IntegerAttr(compared.attributes["predicate"]).value))
        .rsplit(".")[-1]
        .lower()
    )


def _is_nan(value: ir.Value) -> ir.Value:
    return arith.cmpf(arith.CmpFPredicate.UNO, value, value)


def _order(compared: ir.Operation) -> None:
    """`a <= b` also holds where b is NaN, `a >= b` also where a is."""
    predicate = _predicate(compared)
    if predicate not in _UP + _DOWN:
        return
    greater = compared.operands[1 if predicate in _UP else 0]
    with ir.InsertionPoint.at_block_terminator(compared.block), compared.location:
        holds = arith.ori(compared.results[0], _is_nan(greater))
    _replace(compared.results[0], holds)


def _propagate(block: ir.Block) -> None:
    """In a body (max(x, acc), x > acc ? i : j), the comparison also holds where x is the first NaN."""
    if len(yielded(block)) != 2:
        return
    extremum, chosen = (value.owner for value in yielded(block))
    if isinstance(extremum, ir.Block) or isinstance(chosen, ir.Block):
        return
    if extremum.name not in ("arith.maximumf", "arith.minimumf") or chosen.name != "arith.select":
        return
    compared = chosen.operation.operands[0].owner
    if isinstance(compared, ir.Block) or compared.name != "arith.cmpf":
        return
    x, accumulator = compared.operation.operands
    if set(extremum.operation.operands) != {x, accumulator} or accumulator not in block.arguments:
        return
    with ir.InsertionPoint(chosen.operation), compared.location:
        first = arith.andi(_is_nan(x), arith.cmpf(arith.CmpFPredicate.ORD, accumulator, accumulator))
        holds = arith.ori(compared.operation.results[0], first)
    _replace(compared.operation.results[0], holds)


def _replace(old: ir.Value, new: ir.Value) -> None:
    """`new`, which is computed from `old`, for every other use of `old`."""
    maker = new.owner
    for use in list(old.uses):
        if use.owner.operation != maker.operation:
            use.owner.operation.operands[use.operand_number] = new
