"""The micro-kernel: an outer product of a few packed rows and a panel of packed columns, held in registers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pit_mlir.bindings import arith, func, ir, memref, scf, vector, x86
from pit_mlir.codegen.build import (
    Index,
    add,
    compare,
    either,
    flat,
    floor_div,
    fold,
    minimum,
    mul,
    remainder,
    splat,
    sub,
    value,
    zero,
)
from pit_mlir.target import LINE_BYTES

PREFETCH = 32
"""Steps ahead that listed columns are asked for, as no processor foresees a list.

Measured at 256 x 2048 x 5504, 32x1 blocks, half of them zero: none takes 1.8 times as long, 8 1.3, 16 1.1.
"""


@dataclass(frozen=True)
class Asks:
    """What a micro-kernel asks memory for while it multiplies: two lines of elements of type `element` at each step.

    Pair i is pair `i mod run` of run `i div run`; inside of a run, one follows the other.
    """

    element: ir.FloatType | ir.IntegerType
    run: int

    @property
    def line(self) -> int:
        """The elements of a cache line."""
        return LINE_BYTES * 8 // self.element.width

    @property
    def types(self) -> list[ir.Type]:
        """The types of what tells a micro-kernel where: see `ask`, and the number of pairs."""
        return [flat(self.element), *[ir.IndexType.get()] * 5]

    def ask(
        self, step: Index, buffer: ir.Value, base: Index, first: Index, distance: Index, partner: Index
    ) -> None:
        """Asks for pair `first + step`: from `base` on runs lie `distance` apart, the lines of a pair `partner`."""
        number = add(first, step)
        run, inside = floor_div(number, self.run), remainder(number, self.run)
        place = add(base, add(mul(run, distance), mul(inside, 2 * self.line)))
        for line in (place, add(place, partner)):
            memref.prefetch(buffer, [value(line)], False, 2, True)


@dataclass(frozen=True)
class MicroKernel:
    """`rows` x (`vectors` * `lanes`) accumulators over buffers of type `element`.

    Rows are packed one after another at a distance of `pitch` elements, so that the address of each is the first
    one's plus a constant; columns are packed as a panel, `vectors * lanes` elements for each k. If `listed`,
    step k takes the columns at the k-th entry of a list, in a panel or where they lie. In `pairs`, what is packed is
    two bf16 in an i32, whose products are both added to a sum of f32. `ahead` steps of the panel ahead are asked for,
    which comes from memory. Rows that
    are not packed are elements of type `lying`, at a distance that a call gives after the other arguments of all.
    """

    element: ir.Type
    rows: int
    vectors: int
    lanes: int
    pitch: int
    kind: Literal["dense", "listed", "pairs"] = "dense"
    ahead: int = 0
    asks: Asks | None = None
    lying: ir.Type | None = None

    @property
    def name(self) -> str:
        """The name of the function; equal micro-kernels of a module are one function."""
        pitch = f"p{self.pitch}" if self.lying is None else f"_lying_{self.lying}"
        shape = f"{self.rows}x{self.vectors}x{self.lanes}{pitch}"
        ahead = f"a{self.ahead}" if self.ahead else ""
        asks = "" if self.asks is None else f"_asks_{self.asks.element}_{self.asks.run}"
        return f"pit_micro_{self.kind}_{self.element}_{shape}{ahead}{asks}"

    @property
    def packed(self) -> ir.Type:
        """The type of a packed element."""
        return ir.IntegerType.get_signless(32) if self.kind == "pairs" else self.element

    @property
    def halves(self) -> int:
        """How many elements of the rows a step takes: two where pairs are not packed."""
        return 2 if self.kind == "pairs" and self.lying is not None else 1

    def row_element(self, rows: ir.Value, place: Index) -> ir.Value:
        """A step of a row, as it would be packed."""
        if self.lying is None or self.halves == 1:
            return memref.load(rows, [value(place)])
        halves = vector.load(ir.VectorType.get([2], self.lying), rows, [value(place)])
        pair = vector.bitcast(ir.VectorType.get([1], self.packed), halves)
        return vector.extract(pair, [], [0])

    def multiply_add(self, left: ir.Value, right: ir.Value, total: ir.Value) -> ir.Value:
        """`left * right + total` on packed vectors."""
        return (multiply_add_pairs if self.kind == "pairs" else multiply_add)(left, right, total)

    def get(self, module: ir.Operation) -> str:
        """The name of the function in `module`, which is built on first use.

        Its arguments are rows, first row, panel, first element of the panel, accumulators, first accumulator,
        steps along k, and whether the accumulators start from 0 instead of from what the buffer holds; with a list
        also its entries, the first of them, how far the columns of one step lie from those of the next, and what to
        ask memory for at each step: so many steps, and so many columns, ahead. With `asks` those of `Asks.ask` follow
        and in how many steps it asks.
        """
        if self.name not in ir.SymbolTable(module):
            self._build(module)
        return self.name

    def _build(self, module: ir.Operation) -> None:
        index, i1 = ir.IndexType.get(), ir.IntegerType.get_signless(1)
        sums, packed = flat(self.element), flat(self.packed)
        rows = packed if self.lying is None else flat(self.lying)
        types = [rows, index, packed, index, sums, index, index, i1]
        if self.lying is not None:
            types.append(index)
        if self.kind == "listed":
            types += [flat(ir.IntegerType.get_signless(32)), index, index, index, index]
        asked = [] if self.asks is None else self.asks.types
        types += asked
        with ir.InsertionPoint.at_block_begin(module.regions[0].blocks[0]):
            function = func.FuncOp(self.name, (types, []), visibility="private")
        function.attributes["no_inline"] = ir.UnitAttr.get()
        with ir.InsertionPoint(function.add_entry_block()):
            arguments = list(function.entry_block.arguments)
            pitch = self.pitch if self.lying is None else arguments.pop(8)
            count = len(arguments) - len(asked)
            self._body(*arguments[:count], pitch=pitch, asked=arguments[count:])
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
        first_entry: Index = 0,
        distance: Index = 0,
        steps_ahead: Index = 0,
        columns_ahead: Index = 0,
        *,
        pitch: Index,
        asked: Sequence[ir.Value] = (),
    ) -> None:
        width = self.vectors * self.lanes
        type_ = ir.VectorType.get([self.lanes], self.element)
        packed = ir.VectorType.get([self.lanes], self.packed)
        places = [
            add(first_sum, i * width + v * self.lanes) for i in range(self.rows) for v in range(self.vectors)
        ]
        # Asked for now, wanted at the end: sums need not be in the first-level cache.
        for place in places:
            memref.prefetch(sums, [place], True, 3, True)

        def step(k: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
            def place_of(step: Index) -> Index:
                if entries is None:
                    return add(column, mul(step, width))
                entry = memref.load(entries, [value(add(first_entry, step))])
                return add(column, mul(arith.index_cast(ir.IndexType.get(), entry), distance))

            at = place_of(k)
            if entries is not None or self.ahead:
                later = minimum(add(k, steps_ahead), sub(steps, 1)) if entries else add(k, self.ahead)
                ahead = add(place_of(later), columns_ahead)
                for v in range(self.vectors):
                    memref.prefetch(panel, [value(add(ahead, v * self.lanes))], False, 3, True)
            columns = [vector.load(packed, panel, [add(at, v * self.lanes)]) for v in range(self.vectors)]
            first = add(row, mul(k, self.halves))
            result: list[ir.Value] = []
            for i in range(self.rows):
                scalar = splat(self.row_element(rows, add(first, mul(i, pitch))), self.lanes)
                result += [
                    self.multiply_add(scalar, columns[v], carried[i * self.vectors + v])
                    for v in range(self.vectors)
                ]
            return result

        def asking_step(k: ir.Value, carried: list[ir.Value]) -> list[ir.Value]:
            assert self.asks is not None, "there is something to ask for"
            self.asks.ask(k, *asked[:-1])
            return step(k, carried)

        totals: list[ir.Value] = [zero(type_)] * len(places)
        asking = minimum(asked[-1], steps) if asked else 0
        if asked:
            totals = fold(0, asking, 1, totals, asking_step)
        totals = fold(asking, steps, 1, totals, step)

        def add_to_sums() -> None:
            for place, total in zip(places, totals, strict=True):
                vector.store(plus(vector.load(type_, sums, [place]), total), sums, [place])

        def set_sums() -> None:
            for place, total in zip(places, totals, strict=True):
                vector.store(total, sums, [place])

        either(fresh, set_sums, add_to_sums)


def plus(left: ir.Value, right: ir.Value) -> ir.Value:
    """The sum of two vectors."""
    is_float = isinstance(ir.VectorType(left.type).element_type, ir.FloatType)
    return arith.addf(left, right) if is_float else arith.addi(left, right)


def multiply_add(left: ir.Value, right: ir.Value, total: ir.Value) -> ir.Value:
    """`left * right + total` on vectors; one rounding where the elements are floats."""
    if isinstance(ir.VectorType(total.type).element_type, ir.FloatType):
        return vector.fma(left, right, total)
    return arith.addi(arith.muli(left, right), total)


def multiply_add_pairs(left: ir.Value, right: ir.Value, total: ir.Value) -> ir.Value:
    """`total` with both products of each pair of `left` and `right` added: i32 of two bf16, sums of f32."""
    halves = ir.VectorType.get([2 * ir.VectorType(total.type).shape[0]], ir.BF16Type.get())
    return x86.DotBF16Op(total, vector.bitcast(halves, left), vector.bitcast(halves, right)).dst


def call_smallest(kernels: Sequence[tuple[int, str]], rows: Index, arguments: Sequence[ir.Value]) -> None:
    """Calls the lowest of `kernels` (height, name) that does `rows`; the highest does any number."""
    (height, name), *higher = kernels
    if not higher:
        func.CallOp([], ir.FlatSymbolRefAttr.get(name), list(arguments))
        return
    choice = scf.IfOp(compare("sle", rows, height), has_else=True)
    with ir.InsertionPoint(choice.then_block):
        func.CallOp([], ir.FlatSymbolRefAttr.get(name), list(arguments))
        scf.yield_([])
    with ir.InsertionPoint(choice.else_block):
        call_smallest(higher, rows, arguments)
        scf.yield_([])
