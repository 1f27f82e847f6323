"""Tells whether a module changed, an order of magnitude faster than by its text."""

import hashlib
from io import BytesIO

from pit_mlir.bindings import ir


def fingerprint(module: ir.Operation) -> bytes:
    """A digest of `module`; equal for equal modules (its bytecode is deterministic)."""
    buffer = BytesIO()
    module.write_bytecode(buffer)
    return hashlib.blake2b(buffer.getbuffer(), digest_size=16).digest()
