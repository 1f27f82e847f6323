"""Small builders for loops, index arithmetic and vectors, used by everything that generates code.

An `Index` is a Python integer where the value is known, else an SSA value of type `index`; arithmetic folds what it
can, so that generated code holds no `x * 1`.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from pit_mlir.bindings import arith, ir, scf, vector

Index = int | ir.Value


def value(index: Index) -> ir.Value:
    """`index` as an SSA value."""
    return arith.constant(ir.IndexType.get(), index) if isinstance(index, int) else index


def add(left: Index, right: Index) -> Index:
    """`left + right`."""
    if isinstance(left, int) and isinstance(right, int):
        return left + right
    if isinstance(left, int) and left == 0:
        return right
    if isinstance(right, int) and right == 0:
        return left
    return arith.addi(value(left), value(right))


def sub(left: Index, right: Index) -> Index:
    """`left - right`."""
    if isinstance(right, int):
        return add(left, -right)
    return arith.subi(value(left), right)


def mul(left: Index, right: Index) -> Index:
    """`left * right`."""
    if isinstance(left, int) and isinstance(right, int):
        return left * right
    for one, other in ((left, right), (right, left)):
        if isinstance(one, int) and one in (0, 1):
            return other if one == 1 else 0
    return arith.muli(value(left), value(right))


def minimum(left: Index, right: Index) -> Index:
    """The smaller one, as signed numbers."""
    if isinstance(left, int) and isinstance(right, int):
        return min(left, right)
    return arith.minsi(value(left), value(right))


def maximum(left: Index, right: Index) -> Index:
    """The larger one, as signed numbers."""
    if isinstance(left, int) and isinstance(right, int):
        return max(left, right)
    return arith.maxsi(value(left), value(right))


def floor_div(left: Index, right: Index) -> Index:
    """`left / right` for numbers that are not negative, rounded down."""
    if isinstance(left, int) and isinstance(right, int):
        return left // right
    if isinstance(right, int) and right == 1:
        return left
    return arith.divui(value(left), value(right))


def remainder(left: Index, right: Index) -> Index:
    """`left mod right` for numbers that are not negative."""
    if isinstance(left, int) and isinstance(right, int):
        return left % right
    if isinstance(right, int) and right == 1:
        return 0
    return arith.remui(value(left), value(right))


def ceil_div(left: Index, right: Index) -> Index:
    """`left / right` for numbers that are not negative, rounded up."""
    return floor_div(add(left, sub(right, 1)), right)


def product(indices: Sequence[Index]) -> Index:
    """The product of `indices`; 1 of none."""
    result: Index = 1
    for index in indices:
        result = mul(result, index)
    return result


def delinearize(linear: Index, extents: Sequence[Index]) -> list[Index]:
    """The coordinates of `linear` in a space of `extents`, the last one running fastest."""
    coordinates: list[Index] = []
    for extent in reversed(extents[1:]):
        coordinates.append(remainder(linear, extent))
        linear = floor_div(linear, extent)
    if extents:
        coordinates.append(linear)
    return coordinates[::-1]


def dot(coordinates: Sequence[Index], strides: Sequence[Index]) -> Index:
    """The sum of `coordinates[i] * strides[i]`."""
    result: Index = 0
    for coordinate, stride in zip(coordinates, strides, strict=True):
        result = add(result, mul(coordinate, stride))
    return result


def compare(predicate: str, left: Index, right: Index) -> ir.Value:
    """The `i1` of an integer comparison; `predicate` as arith names it: eq, ne, slt, sle, ..."""
    return arith.cmpi(arith.CmpIPredicate[predicate], value(left), value(right))


def is_less(left: Index, right: Index) -> ir.Value:
    """`left < right` as `i1`."""
    return compare("slt", left, right)


def select(condition: ir.Value, left: Index, right: Index) -> ir.Value:
    """`left` if `condition` else `right`, of type `index`."""
    return arith.select(condition, value(left), value(right))


@contextmanager
def loop(start: Index, stop: Index, step: Index = 1) -> Iterator[ir.Value]:
    """Builds an `scf.for`; inside, its counter."""
    op = scf.ForOp(value(start), value(stop), value(step))
    with ir.InsertionPoint(op.body):
        yield op.induction_variable
        scf.yield_([])


def fold(
    start: Index,
    stop: Index,
    step: Index,
    initial: Sequence[ir.Value],
    body: Callable[[ir.Value, list[ir.Value]], Sequence[ir.Value]],
) -> list[ir.Value]:
    """An `scf.for` that carries values: `body` gets the counter and the carried values, and returns the next ones."""
    op = scf.ForOp(value(start), value(stop), value(step), list(initial))
    with ir.InsertionPoint(op.body):
        scf.yield_(list(body(op.induction_variable, list(op.inner_iter_args))))
    return list(op.results)


def sum_over(count: Index, at: Callable[[ir.Value], Index]) -> ir.Value:
    """The sum of `count` indices, of which `at` gives each by its number."""
    return fold(0, count, 1, [value(0)], lambda number, sums: [value(add(sums[0], at(number)))])[0]


DYNAMIC = "pit.dynamic"
"""The attribute of an `scf.parallel` whose trips cost so differently that threads take them as they get free."""


@contextmanager
def parallel(count: Index, *, dynamic: bool = False) -> Iterator[ir.Value]:
    """Builds an `scf.parallel` over `0 .. count`; inside, its counter. `dynamic`: its trips cost what the data says."""
    op = scf.ParallelOp([], [value(0)], [value(count)], [value(1)], [])
    if dynamic:
        op.operation.attributes[DYNAMIC] = ir.UnitAttr.get()
    block = op.regions[0].blocks.append(ir.IndexType.get())
    with ir.InsertionPoint(block):
        yield block.arguments[0]
        scf.ReduceOp([], 0)


@contextmanager
def when(condition: ir.Value) -> Iterator[None]:
    """Builds an `scf.if` without results."""
    op = scf.IfOp(condition)
    with ir.InsertionPoint(op.then_block):
        yield
        scf.yield_([])


def choose(
    condition: ir.Value,
    types: Sequence[ir.Type],
    then: Callable[[], Sequence[ir.Value]],
    otherwise: Callable[[], Sequence[ir.Value]],
) -> list[ir.Value]:
    """An `scf.if` with results of `types`: those of `then()` or of `otherwise()`."""
    op = scf.IfOp(condition, list(types), has_else=True)
    for block, branch in ((op.then_block, then), (op.else_block, otherwise)):
        with ir.InsertionPoint(block):
            scf.yield_(list(branch()))
    return list(op.results)


def either(condition: ir.Value, then: Callable[[], None], otherwise: Callable[[], None]) -> None:
    """An `scf.if` without results: what `then()` or what `otherwise()` emits."""
    op = scf.IfOp(condition, has_else=True)
    for block, branch in ((op.then_block, then), (op.else_block, otherwise)):
        with ir.InsertionPoint(block):
            branch()
            scf.yield_([])


def flat(element: ir.Type) -> ir.MemRefType:
    """The type of a one-dimensional buffer of `element`, the only kind the kernels address."""
    return ir.MemRefType.get([ir.ShapedType.get_dynamic_size()], element)


def splat(scalar: ir.Value, lanes: int) -> ir.Value:
    """`scalar` in every lane."""
    return vector.broadcast(ir.VectorType.get([lanes], scalar.type), scalar)


def zero(type_: ir.Type) -> ir.Value:
    """0 of a scalar or vector type."""
    element = ir.VectorType(type_).element_type if isinstance(type_, ir.VectorType) else type_
    is_float = isinstance(element, ir.FloatType)
    scalar = ir.FloatAttr.get(element, 0.0) if is_float else ir.IntegerAttr.get(element, 0)
    if isinstance(type_, ir.VectorType):
        return arith.constant(type_, ir.DenseElementsAttr.get_splat(type_, scalar))
    return arith.constant(type_, scalar)


def move_here(op: ir.Operation) -> None:
    """Moves `op` to the insertion point."""
    point = ir.InsertionPoint.current
    if point.ref_operation is None:
        point.block.append(op)
    else:
        op.move_before(point.ref_operation.operation)


def bytes_of(element: ir.Type) -> int:
    """The bytes of an element in memory."""
    if isinstance(element, ir.IndexType):
        return 8
    bits = (
        ir.IntegerType(element).width if isinstance(element, ir.IntegerType) else ir.FloatType(element).width
    )
    return -(-bits // 8)


def truth_type() -> ir.Type:
    """The type of a truth value."""
    return ir.IntegerType.get_signless(1)


def truth(given: bool) -> ir.Value:
    """A truth value that is known."""
    return arith.constant(truth_type(), int(given))


def is_truth(type_: ir.Type) -> bool:
    """Whether `type_` is i1."""
    return type_ == ir.IntegerType.get_signless(1)
