"""`CompileOptions`: what a user may choose about a compilation."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from pit_mlir.errors import InputError

Progress = Callable[[str, int, int], None]
FLOATS = ("real", "strict")
SELECT = r"|dense|[1-9]\d*x[1-9]\d*"


@dataclass(frozen=True)
class CompileOptions:
    """Options of `pit_mlir.compile`.

    `freeze`: the program works on a snapshot of the weights. What depends on weights alone is computed once, and
    again by `CompiledModule.refresh()`; weights may be stored in another layout. Off, weights are read live, as is in
    any case what the model itself writes to, such as a cache of keys and values.

    `floats`: "real" lets the compiler reorder sums as if floats were real numbers, as every fast matrix product
    does; "strict" forbids it, which leaves few reductions that can be made sparse.

    `check_finite`: every call first reads all its inputs and weights of floating point and raises `InputError` where
    one holds a NaN or an infinity, with its name and the first such place. It costs one more reading of them, as the
    plan of what is zero takes everything else for finite: 0 * inf is left out where the 0 is. Frozen weights are
    read when the snapshot is taken. A mask of -inf counts as not finite: pass truth values or the lowest number.

    `deterministic`: calls with equal arguments and weights give equal bits, whatever the number of threads and
    whatever else runs. Indices are listed in ascending order, sums have one order each that no thread changes, and a
    program that would break this is an error of `compile`. Every kernel of the CPU keeps to it at no cost. Of a GPU,
    some are faster without it: large lists in no order, additions to memory by whoever comes first. Other sizes,
    another processor or another version may give other bits.

    `select`: empty lets every call choose, by counts and by the costs in the tile database, which list a contraction
    follows, if any. The shape of a micro-tile, such as "8x1" or "1x64", has all contractions that could follow it
    always do, and "dense" has them follow none: for tests, measurements and programs whose data is known.

    `cache`: what compiling gives is kept in the cache directory and found there by the next process that compiles the
    same; see `pit_mlir.cache`.

    `tf32`: kernels of a GPU may round the factors of matrix products of f32 to 10 bits behind the point ("tf32") and
    multiply them by tensor cores, sums are f32; softmax(Q K^T) V stays exact. None: as torch says when the program is
    compiled, by `torch.backends.cuda.matmul.fp32_precision` or `torch.set_float32_matmul_precision`; torch's own
    default is exact. The CPU is always exact.

    `progress`: called as `progress(phase, done, total)` before each phase of the compilation.
    """

    freeze: bool = False
    floats: Literal["real", "strict"] = "real"
    check_finite: bool = False
    deterministic: bool = False
    cache: bool = True
    tf32: bool | None = None
    select: str = ""
    progress: Progress | None = None

    def __post_init__(self) -> None:
        if self.floats not in FLOATS:
            raise InputError(f"options.floats = {self.floats!r}, expected one of {list(FLOATS)}")
        if not re.fullmatch(SELECT, self.select):
            raise InputError(
                f"options.select = {self.select!r}, expected a micro-tile such as '8x1', or 'dense', or '' to "
                "choose in each call"
            )
