"""When the passes of a pipeline are followed by MLIR's verifier."""

import os
from typing import Literal, get_args

from pit_mlir.errors import InputError

Verify = Literal["each", "ours", "never"]
"""After each pass; after each pass of ours, and at the end; never.

After each pass of MLIR as well it takes half of a compilation, to look for what MLIR's own tests look for.
"""
VARIABLE = "PIT_VERIFY"


def verify_by_default() -> Verify:
    """`$PIT_VERIFY`, else "ours"; raises `InputError` for any other word."""
    chosen = os.environ.get(VARIABLE) or "ours"
    for word in get_args(Verify):
        if chosen == word:
            return word
    raise InputError(f"{VARIABLE}={chosen}, expected one of {list(get_args(Verify))}")
