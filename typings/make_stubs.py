"""Writes the stubs of the MLIR bindings, whose wheel ships none, from the installed extension modules.

python typings/make_stubs.py        (needs nanobind; run it when the pin of torch-mlir moves)
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent / "torch_mlir"

CONTEXT = """
class Context:
    def __init__(self) -> None: ...
    def __enter__(self) -> Context: ...
    def __exit__(self, *args: object) -> None: ...
    current: Context | None
    allow_unregistered_dialects: bool
    emit_error_diagnostics: bool
    dialects: Dialects
    d: Dialects
    @staticmethod
    def _get_live_count() -> int: ...
    def attach_diagnostic_handler(self, callback: Callable[[Diagnostic], bool]) -> DiagnosticHandler: ...
    def append_dialect_registry(self, registry: DialectRegistry) -> None: ...
    def enable_multithreading(self, enable: bool) -> None: ...
    def get_num_threads(self) -> int: ...
    def is_dialect_loaded(self, dialect_namespace: str) -> bool: ...
    def is_registered_operation(self, operation_name: str) -> bool: ...
    def load_all_available_dialects(self) -> None: ...
    def get_dialect_descriptor(self, dialect_name: str) -> DialectDescriptor: ...
"""

LOOSER = (
    # The class of a value's type, of its maker and of an attribute is only known at run time.
    (r'_T = TypeVar\("_T", bound=Type\)\n', ""),
    (r"\(Generic\[_T\]\)", ""),
    (r", Generic\[_T\]", ""),
    (r"\b(Value|OpResult)\[_T\]", r"\1"),
    (r"-> _T\b", "-> Any"),
    (r"\btype: _T\b", "type: Type"),
    (r"(def owner\(self\)) -> OpView \| Block", r"\1 -> Any"),
    (r"(def parent\(self\)) -> Operation \| None", r"\1 -> Any"),
    (r"(def __getitem__\(self, name: str\)) -> Attribute", r"\1 -> Any"),
    (r"(def get\(self, key: str, default: object \| None = None\)) -> Attribute \| None", r"\1 -> Any"),
    (r"(def get_asm\(.*\)) -> object", r"\1 -> str"),
    (r"(class OperationIterator:(?:.|\n)*?__next__\(self\)) -> OpView", r"\1 -> Any"),
    (r"(class OperationList:(?:.|\n)*?__getitem__\(self, arg: int, /\)) -> OpView", r"\1 -> Any"),
    (r"(def opview\(self\)) -> OpView", r"\1 -> Any"),
    (r"(def element_type\(self\)) -> Type", r"\1 -> Any"),
    (r"class (OpOperandList|OpResultList)\(Sequence\[\w+\]\)", r"class \1(Sequence[Any])"),
    (r"(class ArrayAttr\(Attribute\):(?:.|\n)*?def __getitem__\(self, arg: int, /\)) -> Attribute", r"\1 -> Any"),
    (r"(class ArrayAttributeIterator:(?:.|\n)*?def __next__\(self\)) -> Attribute", r"\1 -> Any"),
    # What the class of dialects' operations gives is a block, which its type does not say.
    (r"(beforeOperation|block): (_OperationBase|Block)\) -> None", r"\1: \2 | None) -> None"),
    (r"(def locations\(self\)) -> list\b.*:", r"\1 -> list[Location]:"),
    (r"\Aimport enum\n|\A", "from typing import Any\n"),
)


def generated(module: str) -> str:
    """What nanobind says about `module`, without docstrings."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "stub.pyi"
        command = [sys.executable, "-m", "nanobind.stubgen", "-P", "-D", "-q", "-m", module, "-o", str(path)]
        subprocess.run(command, check=True)
        return path.read_text()


def ir() -> str:
    """`torch_mlir.ir`: names are its own, the context is the class the package puts over the extension's."""
    text = generated("torch_mlir._mlir_libs._mlir.ir")
    text = re.sub(r"^import _mlir\.ir\n", "", text, flags=re.MULTILINE)
    text = re.sub(
        r"^from torch_mlir\._mlir_libs import Context as Context\n", CONTEXT, text, flags=re.MULTILINE
    )
    text = re.sub(r"\b(torch_mlir\._mlir_libs\.)?_mlir\.ir\.", "", text)
    for pattern, replacement in LOOSER:
        text, count = re.subn(pattern, replacement, text)
        assert count, f"nothing in the stub matches {pattern}"
    return text


def passmanager() -> str:
    """`torch_mlir.passmanager`: the classes of `ir` under their public names."""
    text = generated("torch_mlir._mlir_libs._mlir.passmanager")
    text = re.sub(r"\b(torch_mlir\._mlir_libs\.)?_mlir\.ir\b", "torch_mlir.ir", text)
    return re.sub(r"^import torch_mlir\.ir\n", "", text, flags=re.MULTILINE).replace(
        "from collections.abc", "import torch_mlir.ir\nfrom collections.abc", 1
    )


def main() -> None:
    """Writes all stubs."""
    stubs = {"ir.pyi": ir(), "passmanager.pyi": passmanager()}
    for name, text in stubs.items():
        path = HERE / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


if __name__ == "__main__":
    main()
