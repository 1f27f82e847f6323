"""How elements are ordered in sorts and argmax: NaN is greater than any number, true is greater than false.

torch-mlir's code forgets both: it compares floats as if none were NaN, and truth values as signed integers.
"""

from pit_mlir.bindings import arith, ir
from pit_mlir.dialect.walk import operations
from pit_mlir.dialect.yield_ import yielded

_UP, _DOWN = ("ole", "olt"), ("oge", "ogt")
_UNSIGNED = {
    arith.CmpIPredicate.sle: arith.CmpIPredicate.ule,
    arith.CmpIPredicate.slt: arith.CmpIPredicate.ult,
    arith.CmpIPredicate.sge: arith.CmpIPredicate.uge,
    arith.CmpIPredicate.sgt: arith.CmpIPredicate.ugt,
}


def order_elements(function: ir.Operation) -> None:
    """Corrects the comparators of `tm_tensor.sort`, and the bodies of argmax and argmin, in `function`."""
    for sort in operations(function, "tm_tensor.sort"):
        block = sort.regions[0].blocks[0]
        compared = yielded(block)[0].owner
        if not isinstance(compared, ir.Block) and compared.name == "arith.cmpf":
            _order(compared.operation)
        if not isinstance(compared, ir.Block) and compared.name == "arith.cmpi":
            _order_truths(compared.operation)
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


def _order_truths(compared: ir.Operation) -> None:
    """True is 1: as a signed integer of one bit it would be -1."""
    predicate = arith.CmpIPredicate(ir.IntegerAttr(compared.attributes["predicate"]).value)
    if compared.operands[0].type != ir.IntegerType.get_signless(1) or predicate not in _UNSIGNED:
        return
    compared.attributes["predicate"] = ir.IntegerAttr.get(
        ir.IntegerType.get_signless(64), int(_UNSIGNED[predicate])
    )


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
