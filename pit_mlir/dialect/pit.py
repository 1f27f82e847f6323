"""The `pit` dialect object, the `!pit.index` type and the base class of its operations."""

from collections.abc import Sequence
from typing import Any

from pit_mlir.bindings import ext, ir


class Pit(ext.Dialect, name="pit"):
    """Dynamic sparsity as lists of live micro-tiles, and dense work between gather and scatter."""


class IndexType(Pit.Type, name="index"):
    """`!pit.index`: a segmented list of the live coordinates of a group of iterators.

    The group is *segments* followed by *axis* (see `pit.detect`). Segment `s` owns `count[s]` entries; an entry
    is the linear coordinate of one live micro-tile in the space of the axis iterators. The rows of all segments,
    one segment after another, are the *rows* of the index: `pit.size` of them. Each row knows its segment and
    its position, so that an operand which carries only part of the group is read through a projection.
    """


class InvalidOp(Exception):
    """Raised by a `verify_op`; becomes an MLIR error at the operation."""


class PitOperation(Pit.Operation):
    """Base of the dialect's operations: `verify_op` raises `InvalidOp`, which is reported where MLIR reports."""

    def verify_op(self) -> None:
        """Checks what the types cannot say; raises `InvalidOp` with the offending values."""

    @staticmethod
    def verify_invariants(op: Any) -> bool:
        """Called by MLIR before its own checks, so attributes may be missing here."""
        location = op.operation.location
        try:
            with location.context, location:
                op.verify_op()
        except InvalidOp as error:
            location.emit_error(f"'{op.operation.name}' op {error}")
            return False
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            # Operands or regions are missing or of another kind, which IRDL would say only after this.
            location.emit_error(f"'{op.operation.name}' op is malformed: {error}")
            return False
        return True


def require(condition: bool, message: str, *values: Any) -> None:
    """Raises `InvalidOp` unless `condition` holds; `message` has a `{}` for each of `values`.

    Values are printed only then: types and maps take long to print, and verifiers run after each pass.
    """
    if not condition:
        raise InvalidOp(message.format(*values))


def int_array(op: Any, name: str) -> list[int]:
    """The integers of the `array<i64: ..>` attribute `name` of `op`; raises `InvalidOp` when it is not one."""
    attributes = op.operation.attributes
    require(name in attributes, "requires attribute '{}'", name)
    attribute = attributes[name]
    require(
        isinstance(attribute, ir.DenseI64ArrayAttr),
        "attribute '{}' must be array<i64>, got {}",
        name,
        attribute,
    )
    return list(attribute)


def integer(op: Any, name: str) -> int:
    """The value of the integer attribute `name` of `op`; raises `InvalidOp` when it is not one."""
    attributes = op.operation.attributes
    require(name in attributes, "requires attribute '{}'", name)
    attribute = attributes[name]
    require(
        isinstance(attribute, ir.IntegerAttr), "attribute '{}' must be an integer, got {}", name, attribute
    )
    return attribute.value


def require_dims(name: str, dims: Sequence[int], rank: int, *, increasing: bool = False) -> None:
    """Checks that `dims` are distinct dimensions of a tensor of `rank`, in increasing order if asked."""
    require(
        all(0 <= dim < rank for dim in dims),
        "attribute '{}' = {} names a dimension outside rank {}",
        name,
        list(dims),
        rank,
    )
    require(len(set(dims)) == len(dims), "attribute '{}' = {} repeats a dimension", name, list(dims))
    if increasing:
        require(list(dims) == sorted(dims), "attribute '{}' = {} must be increasing", name, list(dims))
