"""Random programs over (batch, token, width) tensors: what the padding rules must carry rows through."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pit_mlir.analysis.extents import extent
from pit_mlir.bindings import arith, func, ir, linalg, math, tensor
from pit_mlir.dialect.structured import build_generic, projection_map

Axes = str
"""The dimensions of a value in order: `b` batch, `t` token, `d` width."""


@dataclass(frozen=True)
class Tensor:
    """A value and what its dimensions are."""

    value: ir.Value
    axes: Axes


class Program:
    """Builds one random function; `choose(n)` picks a number below n."""

    WIDTH = 3

    def __init__(self, choose: Callable[[int], int], sizes: tuple[int | None, int | None]) -> None:
        self.choose = choose
        self.sizes = {"b": sizes[0], "t": sizes[1], "d": self.WIDTH}
        self.values: list[Tensor] = []
        self.results: list[Tensor] = []

    def build(self, steps: int) -> ir.Module:
        """`@main(x: btd, mask: bt, pos: td, per_batch: bd, bias: d, weight: dd)` with `steps` operations."""
        module = ir.Module.create()
        f32, i1 = ir.F32Type.get(), ir.IntegerType.get_signless(1)
        arguments = [("btd", f32), ("bt", i1), ("td", f32), ("bd", f32), ("d", f32), ("dd", f32)]
        types = [self.type_of(axes, element) for axes, element in arguments]
        with ir.InsertionPoint(module.body):
            function = func.FuncOp("main", (types, []))
        block = function.add_entry_block()
        values = [Tensor(value, axes) for value, (axes, _) in zip(block.arguments, arguments, strict=True)]
        self.weight, self.mask = values[5], values[1]
        self.tables = values[2:5]
        self.values = [values[0]]
        with ir.InsertionPoint(block):
            # Ties the axes of x to those of the mask, as a model's embeddings and masks are tied.
            self.values = [self.pointwise([values[0], self.mask], "btd", lambda x, m, _o: [x])]
            for _ in range(steps):
                self.values.append(STEPS[self.choose(len(STEPS))](self))
            self.results = [self.values[-1], self.any_value()][: 1 + self.choose(2)]
            func.ReturnOp([result.value for result in self.results])
        result_types = [result.value.type for result in self.results]
        function.attributes["function_type"] = ir.TypeAttr.get(ir.FunctionType.get(types, result_types))
        return module

    def type_of(self, axes: Axes, element: ir.Type) -> ir.RankedTensorType:
        """The type of a tensor over `axes`."""
        dynamic = ir.ShapedType.get_dynamic_size()
        sizes = [self.sizes[axis] for axis in axes]
        return ir.RankedTensorType.get([dynamic if size is None else size for size in sizes], element)

    def any_value(self, rank: int | None = None) -> Tensor:
        """A value made before, of `rank` if there is one."""
        fitting = [value for value in self.values if rank is None or len(value.axes) == rank]
        return fitting[self.choose(len(fitting))] if fitting else self.values[0]

    def any_order(self) -> Axes:
        """An order of the three axes."""
        return ("btd", "tbd", "bdt", "dtb")[self.choose(4)]

    def out(self, axes: Axes, fill: float | None = None) -> ir.Value:
        """An empty tensor over `axes`, or one full of `fill`."""
        sizes = []
        for axis in axes:
            size = self.sizes[axis]
            sizes.append(extent(self.mask.value, "bt".index(axis)) if size is None else size)
        empty = tensor.EmptyOp(sizes, ir.F32Type.get()).result
        if fill is None:
            return empty
        return linalg.fill(
            arith.ConstantOp(ir.F32Type.get(), ir.FloatAttr.get(ir.F32Type.get(), fill)).result, outs=[empty]
        )

    def pointwise(self, inputs: Sequence[Tensor], axes: Axes, body: Callable) -> Tensor:
        """An element-wise operation with a result over `axes`."""
        order = "btd"[: len(axes)] if set(axes) == set("btd"[: len(axes)]) else axes
        maps = [
            projection_map(len(axes), [order.index(axis) for axis in one])
            for one in (*(i.axes for i in inputs), axes)
        ]
        values = [i.value for i in inputs]
        return Tensor(
            build_generic(values, [self.out(axes)], maps, ["parallel"] * len(axes), body).results[0], axes
        )

    def unary(self) -> Tensor:
        """exp of a value, in another order."""
        x = self.any_value(3)
        return self.pointwise([x], self.any_order(), lambda a, _o: [math.exp(arith.negf(math.absf(a)))])

    def binary(self) -> Tensor:
        """A sum of two values, of any rank and order."""
        inputs = [self.any_value(3), self.any_value()]
        return self.pointwise(inputs, self.any_order(), lambda a, b, _o: [arith.addf(a, b)])

    def table(self) -> Tensor:
        """A product with something that carries a part of the axes only."""
        inputs = [self.any_value(3), self.tables[self.choose(len(self.tables))]]
        return self.pointwise(inputs, self.any_order(), lambda a, b, _o: [arith.mulf(a, b)])

    def row_sum(self) -> Tensor:
        """The sum over the width: a value over (b, t) or (t, b)."""
        x = self.any_value(3)
        axes = ("bt", "tb")[self.choose(2)]
        maps = [projection_map(3, ["btd".index(axis) for axis in one]) for one in (x.axes, axes)]
        kinds = ["parallel", "parallel", "reduction"]
        op = build_generic([x.value], [self.out(axes, 0.0)], maps, kinds, lambda a, acc: [arith.addf(acc, a)])
        return Tensor(op.results[0], axes)

    def linear(self) -> Tensor:
        """x W: the weight carries no token axis."""
        x, axes = self.any_value(3), self.any_order()
        letters = "btdk"
        named = (x.axes.replace("d", "k"), "dk", axes)
        maps = [projection_map(4, [letters.index(axis) for axis in one]) for one in named]
        kinds = ["parallel", "parallel", "parallel", "reduction"]

        def body(a: ir.Value, w: ir.Value, acc: ir.Value) -> list[ir.Value]:
            return [arith.addf(acc, arith.mulf(a, w))]

        outs = [self.out(axes, 0.0) if self.choose(2) else self.any_init(axes)]
        return Tensor(build_generic([x.value, self.weight.value], outs, maps, kinds, body).results[0], axes)

    def any_init(self, axes: Axes) -> ir.Value:
        """An accumulator with values in it."""
        return self.pointwise([self.any_value(3)], axes, lambda a, _o: [a]).value

    def position(self) -> Tensor:
        """A sum with the position of the token, which an iota holds."""
        index = ir.IndexType.get()
        size = self.sizes["t"]
        sizes = [extent(self.mask.value, 1) if size is None else size]
        i64 = ir.IntegerType.get_signless(64)
        empty = tensor.EmptyOp(sizes, i64).result
        body = lambda _o: [arith.IndexCastOp(i64, linalg.IndexOp(0).result).result]
        iota = build_generic([], [empty], [projection_map(1, [0])], ["parallel"], body).results[0]
        assert index is not None

        def add(a: ir.Value, i: ir.Value, _o: ir.Value) -> list[ir.Value]:
            return [arith.addf(a, arith.SIToFPOp(ir.F32Type.get(), i).result)]

        return self.pointwise([self.any_value(3), Tensor(iota, "t")], self.any_order(), add)

    def split(self) -> Tensor:
        """The width cut in two and put together the other way round."""
        x = self.any_value(3)
        along = x.axes.index("d")
        sizes = [extent(x.value, dim) for dim in range(3)]
        parts = []
        for first, count in ((1, self.WIDTH - 1), (0, 1)):
            offsets = [first if dim == along else 0 for dim in range(3)]
            counts = [count if dim == along else size for dim, size in enumerate(sizes)]
            parts.append(slice_of(x.value, offsets, counts))
        return Tensor(tensor.ConcatOp(x.value.type, along, parts).result, x.axes)


def slice_of(value: ir.Value, offsets: Sequence[int], sizes: Sequence[int | ir.Value]) -> ir.Value:
    """`tensor.extract_slice` with stride 1."""
    dynamic = ir.ShapedType.get_dynamic_size()
    static = [dynamic if isinstance(size, ir.Value) else size for size in sizes]
    values = [size for size in sizes if isinstance(size, ir.Value)]
    type_ = ir.RankedTensorType.get(static, ir.RankedTensorType(value.type).element_type)
    return tensor.ExtractSliceOp(
        type_, value, [], values, [], list(offsets), static, [1] * len(static)
    ).result


STEPS: tuple[Callable[[Program], Tensor], ...] = (
    Program.unary,
    Program.binary,
    Program.binary,
    Program.table,
    Program.row_sum,
    Program.linear,
    Program.position,
    Program.split,
)
