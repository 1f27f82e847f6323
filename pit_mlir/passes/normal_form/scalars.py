"""Scalar code that upstream leaves: sign tests of positions and extents, inexact truncation of constants."""

from collections.abc import Iterable
from math import isnan

from pit_mlir.bindings import arith, ir
from pit_mlir.dialect.structured import owner
from pit_mlir.passes.normal_form.movement import is_iota
from pit_mlir.passes.normal_form.sizes import constant

_SIGNED_LESS, _SIGNED_GREATER_EQUAL = 2, 5


def fold_sign_tests(tests: Iterable[ir.Operation]) -> None:
    """Folds `x < 0`, `x >= 0`, `max(x, 0)` among `tests` where x is a position or an extent."""
    for op in tests:
        _fold_sign_test(op)


def fold_truncations(truncations: Iterable[ir.Operation]) -> None:
    """Makes constants of the `truncations` of constants, rounded to nearest as at run time."""
    for op in truncations:
        maker = owner(op.operands[0])
        value = None if maker is None or maker.name != "arith.constant" else maker.attributes["value"]
        if not isinstance(value, ir.FloatAttr) or isnan(value.value):
            continue
        type_ = op.results[0].type
        with ir.InsertionPoint(op), op.location:
            op.results[0].replace_all_uses_with(arith.constant(type_, ir.FloatAttr.get(type_, value.value)))
        op.erase()


def _fold_sign_test(op: ir.Operation) -> None:
    value, bound = op.operands
    if constant(bound) != 0 or not _is_never_negative(value):
        return
    if op.name == "arith.maxsi":
        replacement = value
    else:
        predicate = op.attributes["predicate"].value
        if predicate not in (_SIGNED_LESS, _SIGNED_GREATER_EQUAL):
            return
        with ir.InsertionPoint(op), op.location:
            replacement = arith.constant(ir.IntegerType.get_signless(1), predicate == _SIGNED_GREATER_EQUAL)
    op.results[0].replace_all_uses_with(replacement)
    op.erase()


def _is_never_negative(value: ir.Value) -> bool:
    maker = owner(value)
    if maker is None:
        return _is_iota_argument(value)
    match maker.name:
        case "linalg.index" | "tensor.dim" | "arith.extui":
            return True
        case "arith.index_cast":
            wide = value.type in (ir.IndexType.get(), ir.IntegerType.get_signless(64))
            return wide and _is_never_negative(maker.operands[0])
        case "arith.constant":
            number = constant(value)
            return number is not None and number >= 0
        case "arith.maxsi":
            return any(map(_is_never_negative, maker.operands))
        case "arith.minsi" | "arith.divsi":
            return all(map(_is_never_negative, maker.operands))
        case "arith.remsi":
            return _is_never_negative(maker.operands[0])
        case _:
            return False


def _is_iota_argument(value: ir.Value) -> bool:
    """Whether `value` is the argument of a generic's body that stands for an iota."""
    argument = ir.BlockArgument(value)
    generic = argument.owner.owner.operation
    if generic.name != "linalg.generic" or argument.arg_number >= len(generic.operands):
        return False
    maker = owner(generic.operands[argument.arg_number])
    return maker is not None and is_iota(maker)
