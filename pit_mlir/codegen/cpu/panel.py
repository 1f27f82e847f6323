"""Small dense matrices in fast memory: what a task packs its operands into, and their products."""

from collections.abc import Callable
from dataclasses import dataclass

from pit_mlir.bindings import arith, ir, memref, vector
from pit_mlir.codegen.cpu import build
from pit_mlir.codegen.cpu.build import Index
from pit_mlir.codegen.cpu.vectorize import vector_type

ROWS = 4
"""Rows of a register tile."""
VECTORS = 4
"""Vectors of a register tile: 4 x 4 accumulators and 4 operands fit 32 registers, and nearly 16."""


@dataclass(frozen=True)
class Panel:
    """A row-major matrix on the stack of a task."""

    buffer: ir.Value
    rows: Index
    columns: Index

    @staticmethod
    def alloca(type_: ir.Type, rows: Index, columns: Index) -> "Panel":
        """A fresh panel of `rows` x `columns` elements, aligned to a cache line, its contents undefined."""
        dynamic = ir.ShapedType.get_dynamic_size()
        shape = [size if isinstance(size, int) else dynamic for size in (rows, columns)]
        sizes = [size for size in (rows, columns) if not isinstance(size, int)]
        alignment = ir.IntegerAttr.get(ir.IntegerType.get_signless(64), 64)
        buffer = memref.alloca(ir.MemRefType.get(shape, type_), sizes, [], alignment=alignment)
        return Panel(buffer, rows, columns)

    @property
    def type(self) -> ir.Type:
        """The type of an element."""
        return ir.MemRefType(self.buffer.type).element_type

    def load(self, row: Index, column: Index) -> ir.Value:
        """One element."""
        return memref.load(self.buffer, [build.value(row), build.value(column)])

    def store(self, scalar: ir.Value, row: Index, column: Index) -> None:
        """Sets one element."""
        memref.store(scalar, self.buffer, [build.value(row), build.value(column)])

    def load_vector(self, row: Index, column: Index, lanes: int) -> ir.Value:
        """`lanes` neighbouring elements of a row."""
        return vector.load(
            vector_type(self.type, lanes), self.buffer, [build.value(row), build.value(column)]
        )

    def store_vector(self, values: ir.Value, row: Index, column: Index) -> None:
        """Sets neighbouring elements of a row."""
        vector.store(values, self.buffer, [build.value(row), build.value(column)])

    def fill(self, scalar: ir.Value, lanes: int) -> None:
        """Sets every element; the columns are a multiple of `lanes`."""
        values = vector.broadcast(vector_type(self.type, lanes), scalar)
        with build.loop(0, self.rows) as row, build.loop(0, self.columns, lanes) as column:
            self.store_vector(values, row, column)

    def clear_columns(self, start: Index, zero: ir.Value, lanes: int) -> None:
        """Sets the last columns to zero, from the vector that holds column `start`; none if that is full."""
        if isinstance(start, int) and start % lanes == 0:
            return
        values = vector.broadcast(vector_type(self.type, lanes), zero)
        first = build.mul(build.floor_div(start, lanes), lanes)
        with build.loop(0, self.rows) as row, build.loop(first, self.columns, lanes) as column:
            self.store_vector(values, row, column)

    def scale_row(self, row: Index, factor: ir.Value, lanes: int) -> None:
        """Multiplies a row by `factor`."""
        factors = vector.broadcast(vector_type(self.type, lanes), factor)
        with build.loop(0, self.columns, lanes) as column:
            self.store_vector(arith.mulf(self.load_vector(row, column, lanes), factors), row, column)


def pack(
    panel: Panel,
    rows: Index,
    columns: Index,
    load: Callable[[Index, Index], ir.Value],
    *,
    transposed: bool = False,
) -> None:
    """Fills `panel` with `load(row, column)`, or its transpose."""
    with build.loop(0, rows) as row, build.loop(0, columns) as column:
        scalar = load(row, column)
        if transposed:
            panel.store(scalar, column, row)
        else:
            panel.store(scalar, row, column)


def multiply(
    left: Panel, right: Panel, result: Panel, rows: Index, depth: Index, lanes: int, *, accumulate: bool
) -> None:
    """`result (+)= left[rows, depth] * right[depth, columns]`, on register tiles of `ROWS` x `VECTORS` vectors.

    `rows` is rounded up to whole tiles, which the panels have room for; the columns of `result` are a multiple
    of `lanes`.
    """
    width = VECTORS * lanes
    columns = result.columns
    whole = build.mul(build.floor_div(columns, width), width)
    with build.loop(0, rows, ROWS) as row:
        with build.loop(0, whole, width) as column:
            tile(left, right, result, (row, column), depth, VECTORS, lanes, accumulate)
        with build.loop(whole, columns, lanes) as column:
            tile(left, right, result, (row, column), depth, 1, lanes, accumulate)


def tile(
    left: Panel,
    right: Panel,
    result: Panel,
    origin: tuple[Index, Index],
    depth: Index,
    vectors: int,
    lanes: int,
    accumulate: bool,
) -> None:
    """One register tile of `multiply` at `origin`."""
    row, column = origin
    type_ = vector_type(result.type, lanes)
    places = [(build.add(row, r), build.add(column, v * lanes)) for r in range(ROWS) for v in range(vectors)]
    if accumulate:
        initial = [result.load_vector(r, c, lanes) for r, c in places]
    else:
        initial = [build.zero(type_)] * len(places)

    def step(k: ir.Value, sums: list[ir.Value]) -> list[ir.Value]:
        panels = [right.load_vector(k, build.add(column, v * lanes), lanes) for v in range(vectors)]
        scalars = [vector.broadcast(type_, left.load(build.add(row, r), k)) for r in range(ROWS)]
        return [
            vector.fma(scalars[r], panels[v], sums[r * vectors + v])
            for r in range(ROWS)
            for v in range(vectors)
        ]

    for value, (r, c) in zip(build.fold(0, depth, 1, initial, step), places, strict=True):
        result.store_vector(value, r, c)
