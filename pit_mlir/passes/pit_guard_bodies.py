"""`pit-guard-bodies`: reads and divisions that are safe for any data."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

from pit_mlir.bindings import arith, ir, tensor
from pit_mlir.codegen.checks import check
from pit_mlir.diagnostics import Report
from pit_mlir.dialect.walk import operations
from pit_mlir.passes.base import Pass

GUARDED = "pit.guarded"
SIGNED = ("arith.divsi", "arith.remsi", "arith.floordivsi", "arith.ceildivsi")
UNSIGNED = ("arith.divui", "arith.remui", "arith.ceildivui")


@dataclass(frozen=True)
class GuardBodies(Pass):
    """Clamps the indices of `tensor.extract` into its tensor, and makes integer division by zero a failed check.

    What was looked at is marked by `pit.guarded`.
    """

    name: ClassVar[str] = "pit-guard-bodies"
    statistics: ClassVar[Mapping[str, str]] = {
        "num-reads": "Reads at computed positions",
        "num-divisions": "Integer divisions looked at",
    }

    def run(self, op: ir.Operation, report: Report) -> None:
        """A `pit.check` of the model reports an index out of range; here it only must not be followed."""
        with op.context:
            for extract in unguarded(op, "tensor.extract"):
                with ir.InsertionPoint(extract), extract.location:
                    clamp_indices(extract)
                report.count("num-reads")
            for division in unguarded(op, *SIGNED, *UNSIGNED):
                if isinstance(division.operands[1].type, ir.IntegerType | ir.IndexType):
                    with ir.InsertionPoint(division), division.location:
                        guard_division(division)
                    report.count("num-divisions")


def unguarded(root: ir.Operation, *names: str) -> Iterator[ir.Operation]:
    """The operations called `names` in `root` that the pass has not seen yet; they are marked by `pit.guarded`."""
    for op in operations(root, *names):
        if GUARDED not in op.attributes:
            op.attributes[GUARDED] = ir.UnitAttr.get()
            yield op


def clamp_indices(extract: ir.Operation) -> None:
    """Puts each index of `extract` into its dimension; all are 0 where the tensor has no elements."""
    source = extract.operands[0]
    type_ = ir.RankedTensorType(source.type)
    index = ir.IndexType.get()
    dynamic = ir.ShapedType.get_dynamic_size()
    zero, one = arith.constant(index, 0), arith.constant(index, 1)
    sizes = [
        arith.constant(index, size) if size != dynamic else tensor.dim(source, arith.constant(index, dim))
        for dim, size in enumerate(type_.shape)
    ]
    may_be_empty = any(size in (0, dynamic) for size in type_.shape)
    clamped: list[ir.Value] = []
    for position, size in zip(list(extract.operands)[1:], sizes, strict=True):
        bounded = arith.minsi(arith.maxsi(position, zero), arith.subi(size, one))
        clamped.append(arith.maxsi(bounded, zero) if may_be_empty else bounded)
    if may_be_empty and len(clamped) > 1:
        elements = sizes[0]
        for size in sizes[1:]:
            elements = arith.muli(elements, size)
        empty = arith.cmpi(arith.CmpIPredicate.eq, elements, zero)
        clamped = [arith.select(empty, zero, position) for position in clamped]
    for number, position in enumerate(clamped):
        extract.operands[number + 1] = position


def guard_division(division: ir.Operation) -> None:
    """Divides by 1 instead of 0, and by 1 instead of -1 where the quotient would overflow; 0 fails a check."""
    dividend, divisor = division.operands
    maker = divisor.owner
    if not isinstance(maker, ir.Block) and maker.operation.name == "arith.constant":
        constant = maker.operation.attributes["value"]
        if isinstance(constant, ir.IntegerAttr) and constant.value not in (0, -1):
            return
    type_ = divisor.type
    one = arith.constant(type_, 1)
    is_zero = arith.cmpi(arith.CmpIPredicate.eq, divisor, arith.constant(type_, 0))
    fine = arith.cmpi(arith.CmpIPredicate.ne, divisor, arith.constant(type_, 0))
    check(fine, "integer division by zero", division)
    unsafe = is_zero
    if division.name in SIGNED:
        width = 64 if isinstance(type_, ir.IndexType) else ir.IntegerType(type_).width
        lowest = arith.constant(type_, -(1 << (width - 1)))
        is_lowest = arith.cmpi(arith.CmpIPredicate.eq, dividend, lowest)
        is_minus_one = arith.cmpi(arith.CmpIPredicate.eq, divisor, arith.constant(type_, -1))
        unsafe = arith.ori(is_zero, arith.andi(is_lowest, is_minus_one))
    division.operands[1] = arith.select(unsafe, one, divisor)
