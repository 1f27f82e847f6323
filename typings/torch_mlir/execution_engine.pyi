"""Written by hand: the bindings' class with what their own stub forgets."""

from collections.abc import Sequence

from torch_mlir import ir

class ExecutionEngine:
    def __init__(
        self,
        module: ir.Module | ir.Operation,
        opt_level: int = 2,
        shared_libs: Sequence[str] = ...,
        enable_object_dump: bool = True,
        enable_pic: bool = False,
    ) -> None: ...
    def initialize(self) -> None: ...
    def raw_lookup(self, func_name: str) -> int: ...
    def raw_register_runtime(self, name: str, callback: object) -> None: ...
    def dump_to_object_file(self, file_name: str) -> None: ...
