"""Small dense matrices in fast memory: what a task packs its operands into, their products and transposes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pit_mlir.bindings import ir, memref, vector
from pit_mlir.codegen import build
from pit_mlir.codegen.build import Index
from pit_mlir.codegen.vectorize import vector_type

ROWS = 4
"""Rows of a register tile of several vectors."""
TALL = 8
"""Rows of a register tile of one vector: as many sums must be under way as an addition takes steps."""


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


@dataclass(frozen=True)
class Product:
    """`result[rows, columns] (+)= left(row, k) * right[k, columns]` summed over `depth`, on register tiles.

    `left` gives a scalar; `multiply_add` takes it in all lanes, a vector of `right`, and the sums. `rows` is rounded up
    to a multiple of `TALL` and `columns` is one of `lanes`: the panels have room for both.
    """

    left: Callable[[Index, Index], ir.Value]
    right: Panel
    result: Panel
    lanes: int
    multiply_add: Callable[[ir.Value, ir.Value, ir.Value], ir.Value]
    accumulate: bool

    def emit(self, rows: Index, depth: Index, columns: Index, vectors: int) -> None:
        """Tiles of `ROWS` x `vectors` vectors, and of `TALL` x 1 for the columns that are left."""
        width = vectors * self.lanes
        whole = build.mul(build.floor_div(columns, width), width)
        with build.loop(0, rows, ROWS) as row, build.loop(0, whole, width) as column:
            self.tile((row, column), depth, ROWS, vectors)
        with build.loop(0, rows, TALL) as row, build.loop(whole, columns, self.lanes) as column:
            self.tile((row, column), depth, TALL, 1)

    def tile(self, origin: tuple[Index, Index], depth: Index, rows: int, vectors: int) -> None:
        """One register tile at `origin`."""
        row, column = origin
        places = [
            (build.add(row, r), build.add(column, v * self.lanes))
            for r in range(rows)
            for v in range(vectors)
        ]
        if self.accumulate:
            initial = [self.result.load_vector(r, c, self.lanes) for r, c in places]
        else:
            initial = [build.zero(vector_type(self.result.type, self.lanes))] * len(places)

        def step(k: ir.Value, sums: list[ir.Value]) -> list[ir.Value]:
            columns = [
                self.right.load_vector(k, build.add(column, v * self.lanes), self.lanes)
                for v in range(vectors)
            ]
            scalars = [build.splat(self.left(build.add(row, r), k), self.lanes) for r in range(rows)]
            return [
                self.multiply_add(scalars[r], columns[v], sums[r * vectors + v])
                for r in range(rows)
                for v in range(vectors)
            ]

        for total, (r, c) in zip(build.fold(0, depth, 1, initial, step), places, strict=True):
            self.result.store_vector(total, r, c)


def transposed(rows: Sequence[ir.Value]) -> list[ir.Value]:
    """The columns of a square whose `rows` are vectors; their number is a power of two.

    One stage for each bit of a position: it swaps the quarters off the diagonal of squares of twice that size.
    """
    lanes = len(rows)
    current = list(rows)
    stride = 1
    while stride < lanes:
        upper = [j if j & stride == 0 else lanes + j - stride for j in range(lanes)]
        lower = [j + stride if j & stride == 0 else lanes + j for j in range(lanes)]
        result = list(current)
        for i in range(lanes):
            if i & stride == 0:
                pair = current[i], current[i + stride]
                result[i] = vector.shuffle(*pair, upper)
                result[i + stride] = vector.shuffle(*pair, lower)
        current = result
        stride *= 2
    return current
