"""`pit.pin`: an opaque use of values, which keeps upstream passes from fusing or dropping what makes them."""

from collections.abc import Sequence
from typing import Any

from pit_mlir.bindings import ext, ir
from pit_mlir.dialect.pit import PitOperation


class PinOp(PitOperation, name="pin"):
    """Uses `values` and does nothing: a pinned value stays, as one of its own.

    It lives only while `pit-normalize` runs upstream's element-wise fusion, which takes producers of a single
    use.

    ```mlir
    "pit.pin"(%x, %y) : (tensor<4xf32>, tensor<f32>) -> ()
    ```
    """

    values: Sequence[ext.Operand[Any]]


def pin(values: Sequence[ir.Value]) -> ir.Operation:
    """Uses `values` at the current insertion point, until the operation returned is erased."""
    return PinOp(list(values)).operation
