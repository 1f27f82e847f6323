"""What one element of a tensor is: element-wise producers written out as an expression over iterators.

Reading tensors as expressions makes a pattern independent of how the element-wise work is cut into operations,
in which order the dimensions stand and which of them are broadcast. Casts between float types vanish: floats are
reals here.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from pit_mlir.bindings import ir
from pit_mlir.dialect.structured import Structured, owner, projection
from pit_mlir.dialect.yield_ import yielded

FLOAT_CASTS = ("arith.extf", "arith.truncf")
IGNORED_ATTRIBUTES = ("fastmath", "overflowFlags")


@dataclass(frozen=True)
class Leaf:
    """An element of tensor `value`: iterator `dims[i]` addresses dimension `i` (a scalar has no dimensions)."""

    value: ir.Value
    dims: tuple[int, ...]


@dataclass(frozen=True)
class Constant:
    """A number: `value` as Python has it; `type` is its MLIR type, "float" for every float type."""

    value: float | int
    type: str


@dataclass(frozen=True)
class Accumulator:
    """The value a reduction has so far."""


@dataclass(frozen=True)
class Apply:
    """A scalar operation applied to expressions.

    Two are equal if they compute the same: `op`, one operation to copy, and `source`, the tensor element that holds
    this very value (None if no tensor does), are not compared.
    """

    name: str
    attributes: tuple[tuple[str, str], ...]
    type: str
    args: tuple["Expression", ...]
    op: ir.Operation = field(compare=False)
    source: Leaf | None = field(compare=False)


Expression = Leaf | Constant | Accumulator | Apply


@dataclass(frozen=True)
class Fold:
    """A reduction `acc = combiner(acc, term)` over iterators, starting at `init`; `op` does it."""

    combiner: str
    term: Expression
    init: Expression
    op: ir.Operation


DEEPEST = 32
"""Producers in a row that are written out. Masks and softmax need fewer than 20; a residual stream, whose chain of
producers is as long as the model, needs an end."""


def element(value: ir.Value, dims: Sequence[int], depth: int = DEEPEST) -> Expression:
    """One element of `value`, dimension `i` addressed by iterator `dims[i]`, through element-wise producers.

    At most `depth` producers in a row are written out; what they read is a leaf.
    """
    constant = constant_of(value)
    if constant is not None:
        return constant
    leaf = Leaf(value, tuple(dims))
    if depth == 0:
        return leaf
    maker = owner(value)
    view = Structured.on_tensors(maker) if maker is not None else None
    number = ir.OpResult(value).result_number if view is not None else 0
    if view is None or "reduction" in view.iterators or not is_plain(view, number):
        return leaf
    out = projection(view.output_maps[number])
    if out is None or sorted(out) != list(range(len(view.iterators))):
        return leaf
    iterators = dict(zip(out, dims, strict=True))
    result = body_expression(
        view, number, lambda argument: operand_element(view, argument, iterators, depth - 1)
    )
    return replace(result, source=leaf) if isinstance(result, Apply) else result


def operand_element(
    view: Structured, argument: int, iterators: dict[int, int], depth: int = DEEPEST
) -> Expression:
    """The element that operand `argument` of `view` contributes, its iterators renamed by `iterators`."""
    positions = projection(view.maps[argument])
    assert positions is not None, "checked by is_plain"
    operand = (*view.inputs, *view.outputs)[argument]
    return element(operand, [iterators[position] for position in positions], depth)


def fold(leaf: Leaf, axis: int) -> Fold | None:
    """How `leaf` is reduced over one iterator, called `axis` in the result; None if it is not such a reduction."""
    maker = owner(leaf.value)
    view = Structured.on_tensors(maker) if maker is not None else None
    number = ir.OpResult(leaf.value).result_number if view is not None else 0
    if view is None or view.iterators.count("reduction") != 1 or not is_plain(view, number):
        return None
    out = projection(view.output_maps[number])
    if out is None or len(set(out)) != len(out):
        return None
    iterators = dict(zip(out, leaf.dims, strict=True))
    iterators[view.iterators.index("reduction")] = axis
    if len(iterators) != len(view.iterators):
        return None

    def bind(argument: int) -> Expression:
        if argument == len(view.inputs) + number:
            return Accumulator()
        return operand_element(view, argument, iterators)

    result = body_expression(view, number, bind)
    if not isinstance(result, Apply) or result.args.count(Accumulator()) != 1 or len(result.args) != 2:
        return None
    term = result.args[1 - result.args.index(Accumulator())]
    if Accumulator() in parts(term):
        return None
    return Fold(result.name, term, element(view.outputs[number], leaf.dims), view.op)


def body_expression(view: Structured, number: int, bind: Callable[[int], Expression]) -> Expression:
    """What the body of `view` yields for output `number`; `bind(i)` is the meaning of block argument `i`."""

    def read(value: ir.Value) -> Expression | None:
        is_argument = isinstance(value.owner, ir.Block) and value.owner == view.body
        return bind(ir.BlockArgument(value).arg_number) if is_argument else None

    return scalar_expression(view.yields[number], view.body, read)


def attend_score(op: ir.Operation, key: int) -> Expression:
    """What the body of a `pit.attend` yields, its key iterator called `key`."""
    batch = op.attributes["batch"].value
    block = op.regions[0].blocks[0]

    def read(value: ir.Value) -> Expression | None:
        maker = owner(value)
        if maker is None or maker.name != "pit.element":
            return None
        dims = projection(maker.attributes["map"].value) or ()
        return element(maker.operands[0], [key if dim == batch + 1 else dim for dim in dims])

    [score] = yielded(block)
    return scalar_expression(score, block, read)


def scalar_expression(
    result: ir.Value, block: ir.Block, read: Callable[[ir.Value], Expression | None]
) -> Expression:
    """What `result`, a scalar of `block`, is; `read` knows the values that stand for elements of operands."""
    return _Scalars(block, read).of(result)


class _Scalars:
    """The scalars of a block as expressions.

    Not functions in a function: two that call each other are a cycle, which keeps the IR alive until it is collected.
    """

    def __init__(self, block: ir.Block, read: Callable[[ir.Value], Expression | None]) -> None:
        self._block = block
        self._read = read
        self._known: dict[ir.Value, Expression] = {}

    def of(self, value: ir.Value) -> Expression:
        if value not in self._known:
            self._known[value] = constant_of(value) or self._read(value) or self._computed(value)
        return self._known[value]

    def _computed(self, value: ir.Value) -> Expression:
        maker = owner(value)
        if maker is None or maker.block != self._block:
            return Leaf(value, ())
        if maker.name in FLOAT_CASTS:
            return self.of(maker.operands[0])
        return apply(maker, [self.of(operand) for operand in maker.operands])


def apply(op: ir.Operation, args: Sequence[Expression]) -> Apply:
    """The scalar operation `op` on `args`."""
    attributes = tuple(
        sorted((name, str(op.attributes[name])) for name in op.attributes if name not in IGNORED_ATTRIBUTES)
    )
    return Apply(op.name, attributes, type_name(op.results[0].type), tuple(args), op, None)


def is_plain(view: Structured, number: int) -> bool:
    """Without an index, operands read at whole iterators, output `number` made by arithmetic on scalars alone."""
    if view.index is not None or any(projection(map_) is None for map_ in view.maps):
        return False
    seen: set[ir.Value] = set()
    work = [view.yields[number]]
    while work:
        value = work.pop()
        maker = owner(value)
        if value in seen or maker is None or maker.block != view.body:
            continue
        seen.add(value)
        if not maker.name.startswith(("arith.", "math.")) or maker.name == "arith.bitcast":
            return False
        work.extend(maker.operands)
    return True


def constant_of(value: ir.Value) -> Constant | None:
    """The number that `value`, a scalar or a tensor filled with one constant, holds everywhere."""
    maker = owner(value)
    if maker is None:
        return None
    if maker.name == "linalg.fill":
        return constant_of(maker.operands[0])
    if maker.name != "arith.constant":
        return None
    attribute = maker.attributes["value"]
    if isinstance(attribute, ir.DenseElementsAttr):
        if not attribute.is_splat:
            return None
        attribute = attribute.get_splat_value()
    if isinstance(attribute, ir.FloatAttr | ir.IntegerAttr | ir.BoolAttr):
        return Constant(attribute.value, type_name(attribute.type))
    return None


def type_name(type_: ir.Type) -> str:
    """The text of `type_`, "float" for every float type."""
    return "float" if isinstance(type_, ir.FloatType) else str(type_)


def parts(expression: Expression) -> Iterator[Expression]:
    """`expression` and everything in it, each once."""
    seen: set[Expression] = set()
    work = [expression]
    while work:
        part = work.pop()
        if part in seen:
            continue
        seen.add(part)
        yield part
        if isinstance(part, Apply):
            work.extend(part.args)


def replaced(expression: Expression, part: Expression, other: Expression) -> Expression:
    """`expression` with `other` in place of `part`."""
    if expression == part:
        return other
    if not isinstance(expression, Apply):
        return expression
    return replace(expression, args=tuple(replaced(arg, part, other) for arg in expression.args), source=None)


def leaves(expression: Expression) -> Iterable[Leaf]:
    """The tensor elements that `expression` reads, in the order of first appearance."""
    found: dict[Leaf, None] = {}
    work = [expression]
    while work:
        part = work.pop()
        if isinstance(part, Leaf):
            found.setdefault(part)
        elif isinstance(part, Apply):
            work.extend(reversed(part.args))
    return found


def emit(expression: Expression, values: dict[Leaf, ir.Value], float_type: ir.Type) -> ir.Value:
    """Builds `expression` at the insertion point with floats of `float_type`; `values` gives the leaves."""
    return _Emitter(values, float_type).value(expression)


class _Emitter:
    """Builds expressions at the insertion point, what they share once; see `_Scalars`."""

    def __init__(self, values: dict[Leaf, ir.Value], float_type: ir.Type) -> None:
        self._values = values
        self._float_type = float_type
        self._known: dict[Expression, ir.Value] = {}

    def value(self, part: Expression) -> ir.Value:
        if part not in self._known:
            self._known[part] = self._create(part)
        return self._known[part]

    def _create(self, part: Expression) -> ir.Value:
        if isinstance(part, Leaf):
            return to_float_type(self._values[part], self._float_type)
        if isinstance(part, Constant):
            return emit_constant(part, self._float_type)
        assert isinstance(part, Apply), "an accumulator has no value outside its reduction"
        result = part.op.results[0].type
        return ir.Operation.create(
            part.name,
            results=[self._float_type if isinstance(result, ir.FloatType) else result],
            operands=[self.value(arg) for arg in part.args],
            attributes={name: part.op.attributes[name] for name in part.op.attributes},
        ).results[0]


def emit_constant(constant: Constant, float_type: ir.Type) -> ir.Value:
    """`arith.constant` of the number, a float as `float_type`."""
    if constant.type == "float":
        type_, attribute = float_type, ir.FloatAttr.get(float_type, float(constant.value))
    else:
        type_ = ir.Type.parse(constant.type)
        attribute = ir.IntegerAttr.get(type_, int(constant.value))
    return ir.Operation.create("arith.constant", results=[type_], attributes={"value": attribute}).results[0]


def to_float_type(value: ir.Value, float_type: ir.Type) -> ir.Value:
    """`value`, cast to `float_type` if it is a float of another type."""
    given = value.type
    if not isinstance(given, ir.FloatType) or given == float_type:
        return value
    wider = ir.FloatType(float_type).width > given.width
    name = "arith.extf" if wider else "arith.truncf"
    return ir.Operation.create(name, results=[float_type], operands=[value]).results[0]
