"""The `pit` dialect: one operation a file, its verifier and its builder beside it."""

import os
import threading

from pit_mlir.bindings import ir, register_imported_dialects
from pit_mlir.dialect.attend import AttendOp as AttendOp
from pit_mlir.dialect.attend import attend as attend
from pit_mlir.dialect.block_mask import BlockMaskOp as BlockMaskOp
from pit_mlir.dialect.block_mask import block_mask as block_mask
from pit_mlir.dialect.check import CheckOp as CheckOp
from pit_mlir.dialect.check import check as check
from pit_mlir.dialect.choice import ChoiceOp as ChoiceOp
from pit_mlir.dialect.choice import choice as choice
from pit_mlir.dialect.contract import ContractOp as ContractOp
from pit_mlir.dialect.contract import contract as contract
from pit_mlir.dialect.detect import DetectOp as DetectOp
from pit_mlir.dialect.detect import detect as detect
from pit_mlir.dialect.element import ElementOp as ElementOp
from pit_mlir.dialect.element import element as element
from pit_mlir.dialect.generic import GenericOp as GenericOp
from pit_mlir.dialect.generic import pit_generic as pit_generic
from pit_mlir.dialect.lists import ListsOp as ListsOp
from pit_mlir.dialect.lists import lists as lists
from pit_mlir.dialect.mark import MarkOp as MarkOp
from pit_mlir.dialect.mark import mark as mark
from pit_mlir.dialect.pin import PinOp as PinOp
from pit_mlir.dialect.pin import pin as pin
from pit_mlir.dialect.pit import IndexType as IndexType
from pit_mlir.dialect.pit import Pit as Pit
from pit_mlir.dialect.segment import SegmentOp as SegmentOp
from pit_mlir.dialect.segment import segment as segment
from pit_mlir.dialect.size import SizeOp as SizeOp
from pit_mlir.dialect.size import size as size
from pit_mlir.dialect.sread import SReadOp as SReadOp
from pit_mlir.dialect.sread import sread as sread
from pit_mlir.dialect.swrite import SWriteOp as SWriteOp
from pit_mlir.dialect.swrite import swrite as swrite
from pit_mlir.dialect.window import WindowOp as WindowOp
from pit_mlir.dialect.window import window as window
from pit_mlir.dialect.yield_ import YieldOp as YieldOp
from pit_mlir.dialect.yield_ import yield_ as yield_

_LOADING = threading.RLock()
"""The class of the dialect keeps the IRDL module that it is being loaded from: one thread loads at a time, and a fork
waits for it."""
os.register_at_fork(
    before=_LOADING.acquire, after_in_parent=_LOADING.release, after_in_child=_LOADING.release
)


def load(context: ir.Context) -> None:
    """Makes the dialect known to `context`; a second call for the same context changes nothing."""
    with _LOADING, context, ir.Location.unknown():
        if context.is_dialect_loaded(Pit.DIALECT_NAMESPACE):
            return
        try:
            Pit.load()
        finally:
            # The class keeps the IRDL module it was loaded from, which would keep the context alive.
            Pit._mlir_module = None


def make_context() -> ir.Context:
    """A fresh context that knows every dialect an imported model uses, and `pit`.

    Multithreading is off: a Python verifier that runs in a threaded context deadlocks on the interpreter's lock.
    """
    context = ir.Context()
    context.enable_multithreading(False)
    register_imported_dialects(context)
    load(context)
    return context
