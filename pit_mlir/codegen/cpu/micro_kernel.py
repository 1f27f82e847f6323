"""The micro-kernel: an outer product of a few packed rows and a panel of packed columns, held in registers."""

from dataclasses import dataclass

from pit_mlir.bindings import arith, func, ir, memref, vector
from pit_mlir.codegen.cpu.build import add, flat, fold, mul, splat, zero


@dataclass(frozen=True)
class MicroKernel:
    """`rows` x (`vectors` * `lanes`) accumulators over buffers of type `element`.

    Rows are packed one after another at a distance of `pitch` elements, so that the address of each is the first
    one's plus a constant; columns are packed as a panel, `vectors * lanes` elements for each k. With `listed`,
    step k takes the columns of the panel at the k-th entry of a list.
    """

    element: ir.Type
    rows: int
    vectors: int
    lanes: int
    pitch: int
    listed: bool = False

    @property
    def name(self) -> str:
        """The name of the function; equal micro-kernels of a module are one function."""
        kind = "listed" if self.listed else "dense"
        return f"pit_micro_{kind}_{self.element}_{self.rows}x{self.vectors}x{self.lanes}p{self.pitch}"

    def get(self, module: ir.Operation) -> str:
        """The name of the function in `module`, which is built on first use.

        Its arguments are rows, first row, panel, first element of the panel, accumulators, first accumulator,
        steps along k, and whether the accumulators start from 0 instead of from what the buffer holds; with a list
        also its entries and the first of them.
        """
        if self.name not in ir.SymbolTable(module):
            self._build(module)
        return self.name

    def _build(self, module: ir.Operation) -> None:
        buffer, index, i1 = flat(self.element), ir.IndexType.get(), ir.IntegerType.get_signless(1)
        types = [buffer, index, buffer, index, buffer, index, index, i1]
        if self.listed:
            types += [flat(ir.IntegerType.get_signless(32)), index]
        with ir.InsertionPoint.at_block_begin(module.regions[0].blocks[0]):
            function = func.FuncOp(self.name, (types, []), visibility="private")
        function.attributes["no_inline"] = ir.UnitAttr.get()
        with ir.InsertionPoint(function.add_entry_block()):
            self._body(*function.entry_block.arguments)
            func.ReturnOp([])

    def _body(
        self,
        rows: ir.Value,
        row: ir.Value,
        panel: ir.Value,
        column: ir.Value,
        sums: ir.Value,
        first_sum: ir.Value,
        steps: ir.Value,
        fresh: ir.Value,
        entries: ir.Value | None = None,
        first_entry: ir.Value | None = None,
    ) -> None:
        width = self.vectors * self.lanes
        type_ = ir.VectorType.get([self.lanes], self.element)
        places = [
            add(first_sum, i * width + v * self.lanes) for i in range(self.rows) for v in range(self.vectors)
        ]
        none = zero(type_)
        initial = [arith.select(fresh, none, vector.load(type_, sums, [place])) for place in places]

        def step(k: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
            place = k
            if entries is not None and first_entry is not None:
                entry = memref.load(entries, [arith.addi(first_entry, k)])
                place = arith.index_cast(ir.IndexType.get(), entry)
            at = add(column, mul(place, width))
            columns = [vector.load(type_, panel, [add(at, v * self.lanes)]) for v in range(self.vectors)]
            first = add(row, k)
            result: list[ir.Value] = []
            for i in range(self.rows):
                scalar = splat(memref.load(rows, [add(first, i * self.pitch)]), self.lanes)
                result += [
                    multiply_add(scalar, columns[v], carried[i * self.vectors + v])
                    for v in range(self.vectors)
                ]
            return result

        for place, total in zip(places, fold(0, steps, 1, initial, step), strict=True):
            vector.store(total, sums, [place])


def multiply_add(left: ir.Value, right: ir.Value, total: ir.Value) -> ir.Value:
    """`left * right + total` on vectors; one rounding where the elements are floats."""
    if isinstance(ir.VectorType(total.type).element_type, ir.FloatType):
        return vector.fma(left, right, total)
    return arith.addi(arith.muli(left, right), total)
