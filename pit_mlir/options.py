"""`CompileOptions`: what a user may choose about a compilation."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from pit_mlir.errors import InputError

Progress = Callable[[str, int, int], None]
FLOATS = ("real", "strict")
TARGETS = ("cpu",)


@dataclass(frozen=True)
class CompileOptions:
    """Options of `pit_mlir.compile`.

    `freeze`: the program works on a snapshot of the weights. What depends on weights alone is computed once, and
    again by `CompiledModule.refresh()`; weights may be stored in another layout. Off, weights are read live.

    `floats`: "real" lets the compiler reorder sums as if floats were real numbers, as every fast matrix product
    does; "strict" forbids it, which leaves few reductions that can be made sparse.

    `progress`: called as `progress(phase, done, total)` before each phase of the compilation.
    """

    freeze: bool = False
    floats: Literal["real", "strict"] = "real"
    progress: Progress | None = None

    def __post_init__(self) -> None:
        if self.floats not in FLOATS:
            raise InputError(f"options.floats = {self.floats!r}, expected one of {list(FLOATS)}")
