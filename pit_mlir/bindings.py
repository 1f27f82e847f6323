"""The only gate to the MLIR Python bindings: another build of them is put in here and nowhere else.

Nothing in this module imports torch. What needs torch as well (`FxImporter`, torch-mlir's lowering) is
behind `torch_importer()`, which only the frontend calls.
"""

import re
import sys
from collections.abc import Callable
from importlib import import_module, metadata
from types import ModuleType
from typing import TYPE_CHECKING, Any

import torch_mlir.dialects.ext as ext
from torch_mlir import ir as ir
from torch_mlir._mlir_libs import _torchMlir
from torch_mlir.passmanager import PassManager as PassManager

if TYPE_CHECKING:
    from torch_mlir.dialects import affine as affine
    from torch_mlir.dialects import arith as arith
    from torch_mlir.dialects import bufferization as bufferization
    from torch_mlir.dialects import cf as cf
    from torch_mlir.dialects import func as func
    from torch_mlir.dialects import gpu as gpu
    from torch_mlir.dialects import linalg as linalg
    from torch_mlir.dialects import math as math
    from torch_mlir.dialects import memref as memref
    from torch_mlir.dialects import nvgpu as nvgpu
    from torch_mlir.dialects import nvvm as nvvm
    from torch_mlir.dialects import scf as scf
    from torch_mlir.dialects import tensor as tensor
    from torch_mlir.dialects import vector as vector
    from torch_mlir.dialects import x86 as x86
    from torch_mlir.execution_engine import ExecutionEngine as ExecutionEngine

    # Its types are made in C++, of which checkers see nothing.
    llvm: Any

# The modules of dialects take 10 to 60 ms each to import, which a tool that starts often should not pay for all.
_LAZY = {
    "affine": "torch_mlir.dialects.affine",
    "arith": "torch_mlir.dialects.arith",
    "bufferization": "torch_mlir.dialects.bufferization",
    "cf": "torch_mlir.dialects.cf",
    "func": "torch_mlir.dialects.func",
    "gpu": "torch_mlir.dialects.gpu",
    "linalg": "torch_mlir.dialects.linalg",
    "llvm": "torch_mlir.dialects.llvm",
    "math": "torch_mlir.dialects.math",
    "memref": "torch_mlir.dialects.memref",
    "nvgpu": "torch_mlir.dialects.nvgpu",
    "nvvm": "torch_mlir.dialects.nvvm",
    "scf": "torch_mlir.dialects.scf",
    "tensor": "torch_mlir.dialects.tensor",
    "vector": "torch_mlir.dialects.vector",
    "x86": "torch_mlir.dialects.x86",
}


def __getattr__(name: str) -> Any:
    if name == "ExecutionEngine":
        return import_module("torch_mlir.execution_engine").ExecutionEngine
    if name not in _LAZY:
        raise AttributeError(f"module 'pit_mlir.bindings' has no attribute '{name}'")
    return import_module(_LAZY[name])


def _process_attr(definition: ext.AttributeDef, attribute: ir.Attribute | None) -> ir.Attribute | None:
    """What upstream's method of this name means to do: it tests the truth of the attribute, and `false`, `[]` and
    `array<i64>` are not true."""
    if attribute is not None or definition.default_factory is None:
        return attribute
    return definition.default_factory()


ext.AttributeDef.process_attr = _process_attr


_walk = ir.Operation.walk


def _walk_and_raise(
    self: Any,
    callback: Callable[[ir.Operation], ir.WalkResult],
    walk_order: ir.WalkOrder = ir.WalkOrder.POST_ORDER,
    op_class: type[ir.OpView] | None = None,
) -> None:
    """Upstream's method of this name, out of which what `callback` raises comes as it was raised: upstream makes a
    RuntimeError of it, with the traceback as its text."""
    raised: list[BaseException] = []

    def guarded(op: ir.Operation) -> ir.WalkResult:
        try:
            return callback(op)
        except BaseException as error:  # noqa: BLE001 raised again after the walk
            raised.append(error)
            return ir.WalkResult.INTERRUPT

    _walk(self, guarded, walk_order, op_class)
    if raised:
        raise raised.pop()


ir._OperationBase.walk = _walk_and_raise


# The bindings look for a Python module of an operation's dialect whenever they meet the operation, and remember
# only what they find: 22 us each time for a dialect without one, against 0.8 us (measured on 1000 pit.check). That of
# `torch` exists, has classes that nobody needs, and takes 0.25 s and 13 MiB.
for _dialect in ("pit", "tm_tensor", "torch"):
    sys.modules.setdefault(f"torch_mlir.dialects.{_dialect}", ModuleType(_dialect))


def register_imported_dialects(context: ir.Context) -> None:
    """Makes `torch` and `tm_tensor`, which imported models use, known to `context`."""
    # Not through `dialects.torch`, whose op classes nobody needs and which take 70 ms to import.
    _torchMlir.register_dialect(context)
    # `tm_tensor` has no registration of its own: it is loaded with the first pass that can produce its operations.
    with context, ir.Location.unknown():
        PassManager.parse("builtin.module(func.func(convert-torch-to-tmtensor))").run(
            ir.Module.create().operation
        )


def load_irdl(module: ir.Module) -> None:
    """Makes the dialects that the IRDL operations in `module` define known to its context."""
    import_module("torch_mlir.dialects.irdl").load_dialects(module)


def translate_to_llvm_ir(module: ir.Operation) -> str:
    """The text in LLVM IR of `module`, which is in dialects that translate to it."""
    return import_module("torch_mlir.dialects.llvm").translate_module_to_llvmir(module)


def gpu_object(target: ir.Attribute, format_: int, content: bytes) -> ir.Attribute:
    """An object of a `gpu.binary`: `content`, for `target`, in a format as the dialect numbers it."""
    return import_module("torch_mlir.dialects.gpu").ObjectAttr.get(target, format_, content)


def gpu_object_content(attribute: ir.Attribute) -> tuple[str, int, bytes]:
    """The chip, the format and the content of an object of a `gpu.binary`."""
    view = import_module("torch_mlir.dialects.gpu").ObjectAttr(attribute)
    # Nothing else tells what is in the attribute of a target.
    chip = re.search(r'chip = "(\w+)"', str(view.target))
    return "sm_52" if chip is None else chip[1], view.format, view.object


def available_dialects(context: ir.Context) -> list[str]:
    """The names of the dialects that `context` knows; MLIR lists them only in a note on an unknown one."""
    try:
        ir.Module.parse("no_such_dialect.op", context)
    except ir.MLIRError as error:
        listed = str(error.error_diagnostics[0].notes[0].message)
    else:
        raise AssertionError("an operation of no dialect was parsed")
    names = listed.removeprefix("Available dialects: ").partition(" (* ")[0].partition(";")[0]
    return sorted(name.removesuffix(" (*)") for name in names.split(", "))


def version() -> str:
    """The version of the bindings and of the MLIR in them."""
    return metadata.version("torch-mlir")


def libraries() -> tuple[str, ...]:
    """The names of the files of machine code that a compilation runs: MLIR with LLVM, and the solver."""
    return "libTorchMLIRAggregateCAPI.so", "libz3.so"


def live_contexts() -> int:
    """How many MLIR contexts are alive in the process; a test that leaves one behind leaks."""
    return ir.Context._get_live_count()


def torch_importer() -> ModuleType:
    """torch-mlir's FX importer module; importing it imports torch (about 2 s)."""
    from torch_mlir.extras import fx_importer

    return fx_importer


def torch_decompositions() -> dict[Any, Any]:
    """The operators that torch-mlir wants taken apart before an import, and into what; imports torch."""
    from torch_mlir.extras.fx_decomp_util import get_decomposition_table

    return get_decomposition_table()
