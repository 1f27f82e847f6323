"""The tile of a contraction on a GPU: how much of the result a block of threads computes at a time, and with what."""

from dataclasses import dataclass
from typing import Any, Literal

from pit_mlir.bindings import ir
from pit_mlir.codegen.build import bytes_of
from pit_mlir.codegen.contract_plan import ContractPlan
from pit_mlir.codegen.gpu.contract_frame import Frame, View
from pit_mlir.codegen.gpu.instr import mbarrier, wgmma
from pit_mlir.codegen.gpu.instr.mma import has_mma
from pit_mlir.codegen.gpu.kernels.contract_stage import stored_element
from pit_mlir.codegen.gpu.launch import WARP
from pit_mlir.codegen.gpu.layout import CHUNK_BYTES, MMA_ROWS
from pit_mlir.dialect.structured import owner

SHARED_BYTES = 48 << 10
"""Shared memory that a block has without asking for more."""
WGMMA_BYTES = 220 << 10
"""Shared memory for the stages of a block that has a multiprocessor of its own, of 227 KiB."""
MOST_STAGES = 6
"""Steps that are on their way at a time: more than memory takes to answer."""
FEW_ROWS = 16
"""Rows up to which the time is that of reading the columns: blocks are many, and each asks for much at once."""
STAGES = 4
"""Tiles of a factor in shared memory: one is multiplied while the others are on their way."""


@dataclass(frozen=True)
class GpuTile:
    """`rows` x `columns` sums of a block, `depth` steps a stage, `stages` of them.

    The sums are those of `high` x `wide` warps where tensor cores multiply, `mma` factors of 16 bits or `tf32` those of
    f32, else of as many threads, which do so by `fma`; `teams` of these share out the steps of a stage.
    """

    rows: int
    columns: int
    depth: int
    stages: int
    cores: Literal["fma", "mma", "tf32"]
    high: int
    wide: int
    teams: int = 1

    @property
    def is_mma(self) -> bool:
        """Whether tensor cores multiply."""
        return self.cores != "fma"

    @property
    def threads(self) -> int:
        """Threads of a block."""
        return self.high * self.wide * self.teams * (WARP if self.is_mma else 1)


@dataclass(frozen=True)
class WgmmaTile:
    """`rows` x `columns` sums of a block of `consumers` groups of four warps beside one that brings `stages` steps."""

    rows: int
    columns: int
    stages: int
    depth: int = 64

    @property
    def consumers(self) -> int:
        """Groups of four warps that multiply, 64 rows each."""
        return self.rows // wgmma.ROWS

    @property
    def threads(self) -> int:
        """Threads of a block."""
        return (self.consumers + 1) * wgmma.THREADS

    @property
    def row_bytes(self) -> int:
        """The rows of a stage."""
        return self.rows * self.depth * 2

    @property
    def barriers_at(self) -> int:
        """Where the barriers lie in shared memory: behind all stages."""
        return (self.rows + self.columns) * self.depth * 2 * self.stages

    @property
    def shared_bytes(self) -> int:
        """All that a block keeps in shared memory."""
        return self.barriers_at + 2 * self.stages * mbarrier.BYTES


def wgmma_tile_of(frame: Frame) -> WgmmaTile | None:
    """The tile of `frame` for chips with `wgmma`; None where it is small, or has no factors for it."""
    plan = frame.plan
    rows, columns = height(plan), most_columns(plan)
    if narrow_factors(plan) is None or rows < wgmma.ROWS or columns < wgmma.ROWS:
        return None
    factors = [narrow_factor(factor) for factor in plan.factors]
    if not all(factor in frame.views and is_in_chunks(frame.views[factor]) for factor in factors if factor):
        return None
    wide = side(columns, (64, 128, 256))
    stage = (rows + wide) * WgmmaTile.depth * 2
    return WgmmaTile(rows, wide, min(MOST_STAGES, WGMMA_BYTES // stage))


def is_in_chunks(view: View) -> bool:
    """Whether 16 bytes of the operand are copied at once."""
    return view.piece() * bytes_of(view.access.element) == CHUNK_BYTES


def narrow_factor(factor: ir.Value) -> ir.Value | None:
    """What `factor`, an f32, is before its last step, a cast from bf16 or f16; None if it is anything else."""
    maker = owner(factor)
    if maker is None or maker.name != "arith.extf" or not isinstance(factor.type, ir.F32Type):
        return None
    scalar = maker.operands[0]
    return scalar if has_mma(scalar.type) else None


def narrow_factors(plan: ContractPlan) -> tuple[ir.Value, ir.Value] | None:
    """The factors of `plan` as tensor cores take them; None where they are not of one type of 16 bits."""
    rows, columns = map(narrow_factor, plan.factors)
    if rows is None or columns is None or rows.type != columns.type:
        return None
    return rows, columns


def tile_of(frame: Frame, *, tf32: bool) -> GpuTile:
    """The tile for `frame`, by its types and the sizes that they tell; with `tf32` tensor cores multiply f32 too."""
    plan = frame.plan
    rows = height(plan)
    columns = side(most_columns(plan), (32, 64, 128))
    if narrow_factors(plan) is not None:
        return mma_tile("mma", max(MMA_ROWS, rows), columns)
    if tf32 and isinstance(plan.sum_type, ir.F32Type):
        return mma_tile("tf32", max(MMA_ROWS, rows), columns)
    # Threads that bring elements one by one keep a place for each: they have fewer registers for sums.
    most = 128 if come_in_chunks(frame) else 64
    return fma_tile(plan.sum_type, min(rows, most), min(columns, most))


def come_in_chunks(frame: Frame) -> bool:
    """Whether both factors are plain elements that lie so that 16 bytes of them are copied at once."""
    views = [frame.views.get(factor) for factor in frame.plan.factors]
    return all(view is not None and is_in_chunks(view) for view in views)


def height(plan: ContractPlan) -> int:
    """The rows of a tile: no more than share a list."""
    block = plan.block_of("row") if plan.listed == "depth" else None
    most = plan.most_rows
    return side(min(block or 128, 128 if most is None else most), (8, 16, 32, 64, 128))


def most_columns(plan: ContractPlan) -> int:
    """The columns of the result, as far as types tell, else many; those of a strip, if each has a list."""
    sizes: dict[int, int] = {}
    for access in (*plan.read_accesses, plan.result):
        sizes |= access.extents
    [number] = plan.of_role("column")
    count = 1
    for position in plan.axes[number].iterators:
        count *= sizes.get(position, 128)
    return min(count, (plan.block_of("column") or count) if plan.listed == "strips" else count)


def side(count: int, choices: tuple[int, ...]) -> int:
    """The smallest of `choices` that holds `count`, else the largest."""
    return next((choice for choice in choices if choice >= count), choices[-1])


def mma_tile(cores: Literal["mma", "tf32"], rows: int, columns: int) -> GpuTile:
    """A tile for tensor cores: warps of 64 x 32 sums where it is large; of few rows, deep stages of few columns."""
    size = 2 if cores == "mma" else 4
    if rows <= FEW_ROWS:
        return GpuTile(rows, min(columns, 32), 256 // size, 3, cores, 1, 1, teams=4)
    depth = 64 // size
    stages = SHARED_BYTES // ((rows + columns) * depth * size)
    return GpuTile(
        rows, columns, depth, max(2, min(STAGES, stages)), cores, max(1, rows // 64), columns // 32
    )


def fma_tile(sum_type: Any, rows: int, columns: int) -> GpuTile:
    """A tile for multiply-adds: threads of at most 8 x 8 sums of 4 bytes, or half as many of 8.

    Of few rows, deep stages of few columns, so that more blocks ask for more of the memory at once.
    """
    size = bytes_of(stored_element(sum_type))
    if rows <= FEW_ROWS:
        return GpuTile(rows, 32, 256 // size, 3, "fma", rows // 4, 8, teams=4)
    if size > 4:
        rows, columns = min(rows, 64), min(columns, 64)
    depth = max(16, 16 // size)
    stages = SHARED_BYTES // ((rows + columns) * depth * size)
    return GpuTile(rows, columns, depth, max(2, min(STAGES, stages)), "fma", 16, 16)
