"""`wgmma`: four warps multiply 64 rows by up to 256 columns, both in shared memory (sm_90a).

Both factors lie in lines of 128 bytes, eight of which make an *atom* that is swizzled (`layout.SharedTile`); tiles
begin at multiples of 1024 bytes. PTX ISA 8.x, "Asynchronous warpgroup level matrix instructions".
"""

from dataclasses import dataclass

from pit_mlir.bindings import arith, ir, llvm, nvvm
from pit_mlir.codegen.build import Index, add, value
from pit_mlir.codegen.gpu.layout import WAVE_BYTES

ROWS, DEPTH = 64, 16
"""Rows of the product of four warps, and steps of one instruction."""
WIDTHS = tuple(range(8, 257, 8))
"""Columns that there are instructions for."""
THREADS = 128
"""Four warps, the first of which has a number that is a multiple of four."""
ATOM_BYTES = 8 * WAVE_BYTES
ALIGNMENT = ATOM_BYTES
ADDRESS_MASK, UNIT_BITS, LEADING_BIT, STRIDE_BIT = 0x3FFFF, 4, 16, 32
SWIZZLE_128 = 1 << 62


@dataclass(frozen=True)
class Matrix:
    """A factor in shared memory from the address `start` (an index) on.

    Along the depth (`across` false), a line is a row (or a column), and atoms follow one another. Across it, a line is
    a step of the depth that holds 64 rows (or columns), and the next 64 lie `block` bytes further.
    """

    start: Index
    across: bool
    block: int

    def descriptor(self, step: int) -> ir.Value:
        """How the instruction finds the factor from step `step` of the depth on."""
        i64 = ir.IntegerType.get_signless(64)
        moved = add(self.start, step * WAVE_BYTES if self.across else step * 2)
        address = arith.andi(arith.index_cast(i64, value(moved)), arith.constant(i64, ADDRESS_MASK))
        leading = self.block if self.across else 1 << UNIT_BITS
        fixed = (leading >> UNIT_BITS << LEADING_BIT) | (ATOM_BYTES >> UNIT_BITS << STRIDE_BIT) | SWIZZLE_128
        return arith.ori(arith.shrui(address, arith.constant(i64, UNIT_BITS)), arith.constant(i64, fixed))


def sums_type(columns: int) -> ir.Type:
    """The sums of a thread: for each eight columns two neighbours of a row, and two of the eighth row after it."""
    assert columns in WIDTHS, f"no wgmma has {columns} columns"
    return ir.Type.parse(f"!llvm.struct<({', '.join(['f32'] * (columns // 2))})>")


def no_sums(columns: int) -> ir.Value:
    """Sums of nothing."""
    return llvm.mlir_zero(sums_type(columns))


def multiply_add(
    rows: Matrix, columns: Matrix, depth: int, width: int, element: ir.Type, sums: ir.Value
) -> ir.Value:
    """Starts `sums + rows * columns` over `depth` steps, `width` columns; nobody may read it before `wait`."""
    for step in range(0, depth, DEPTH):
        sums = _multiply_add(
            rows.descriptor(step), columns.descriptor(step), rows, columns, width, element, sums
        )
    return sums


def _multiply_add(
    left: ir.Value,
    right: ir.Value,
    rows: Matrix,
    columns: Matrix,
    width: int,
    element: ir.Type,
    sums: ir.Value,
) -> ir.Value:
    one_in, type_ = (
        ir.Attribute.parse("#nvvm.wgmma_scale_in<one>"),
        ir.Attribute.parse(f"#nvvm.wgmma_type<{element}>"),
    )
    layouts = ("col" if rows.across else "row"), ("row" if columns.across else "col")
    row_layout, column_layout = (ir.Attribute.parse(f"#nvvm.mma_layout<{layout}>") for layout in layouts)
    return nvvm.WgmmaMmaAsyncOp(
        sums.type,
        sums,
        left,
        right,
        ir.Attribute.parse(f"#nvvm.shape<m = {ROWS}, n = {width}, k = {DEPTH}>"),
        type_,
        type_,
        ir.Attribute.parse("#nvvm.wgmma_type<f32>"),
        ir.Attribute.parse("#nvvm.wgmma_scale_out<one>"),
        one_in,
        one_in,
        row_layout,
        column_layout,
    ).operation.results[0]


def fence() -> None:
    """Registers that the thread wrote are seen by the instructions that follow."""
    nvvm.WgmmaFenceAlignedOp()


def commit() -> None:
    """Makes a group of all instructions that were started since the last one."""
    nvvm.WgmmaGroupSyncAlignedOp()


def wait(pending: int) -> None:
    """Waits until at most the last `pending` groups are under way."""
    nvvm.WgmmaWaitGroupSyncOp(pending)


def sum_at(sums: ir.Value, block: int, half: int, inside: int) -> ir.Value:
    """The sum of the thread in column `inside` (0, 1) of its two in block `block` of eight columns; in the upper or the
    lower `half` of its rows."""
    position = ir.DenseI64ArrayAttr.get([4 * block + 2 * half + inside])
    return llvm.extractvalue(ir.F32Type.get(), sums, position)


def take_registers(count: int) -> None:
    """Gives each thread of the four warps `count` registers."""
    nvvm.SetMaxRegisterOp(count, ir.Attribute.parse("#nvvm<action increase>"))


def give_registers(count: int) -> None:
    """Leaves each thread of the four warps `count` registers."""
    nvvm.SetMaxRegisterOp(count, ir.Attribute.parse("#nvvm<action decrease>"))
