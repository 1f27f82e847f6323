"""Written by hand: what of torch-mlir's own extension module is used."""

from torch_mlir import ir

def register_dialect(context: ir.Context) -> None: ...
