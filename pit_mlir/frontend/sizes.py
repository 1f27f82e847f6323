"""What the exporter knows about sizes, told to MLIR: equal dimensions are one value, ranges fold comparisons.

Each symbol of the exporter is read from the first argument that has it. Range arithmetic over these sizes folds
the clamps of slices (`x[:, :t]` with t at most the table) and the sign tests of `expand`, so that equal sizes end
up as one value and the asserts that compare them disappear. Calls are checked against the same ranges.
"""

from collections.abc import Sequence

from pit_mlir.bindings import PassManager, arith, func, ir, tensor
from pit_mlir.frontend.signature import Argument, SymbolRange

Bounds = tuple[int, int]
UNBOUNDED = 1 << 40  # No extent is larger; sums and products of two of them stay inside 64 bits and more.
EQUAL, DIFFERENT = arith.CmpIPredicate.eq, arith.CmpIPredicate.ne


def fold_sizes(
    module: ir.Module,
    function: func.FuncOp,
    arguments: Sequence[Argument],
    symbols: dict[str, SymbolRange],
) -> None:
    """Rewrites the sizes in `function` as described above, then canonicalizes."""
    with module.context:
        _share_dims(function, arguments)
        PassManager.parse("builtin.module(canonicalize,cse)").run(module.operation)
        folder = _Folder(function, arguments, symbols)
        if folder.run():
            PassManager.parse("builtin.module(canonicalize,cse)").run(module.operation)


def _share_dims(function: func.FuncOp, arguments: Sequence[Argument]) -> None:
    """Reads each symbol from the first argument and dimension that has it, at the top of the function."""
    block = function.regions[0].blocks[0]
    first: dict[str, ir.Value] = {}
    with ir.InsertionPoint.at_block_begin(block), function.location:
        for value, argument in zip(block.arguments, arguments, strict=True):
            readers = _readers(value)
            for dim, size in enumerate(argument.shape):
                if isinstance(size, int):
                    continue
                if size not in first:
                    number = arith.constant(ir.IndexType.get(), dim)
                    first[size] = tensor.dim(value, number)
                for reader in readers:
                    if _constant(reader.operands[1]) == dim:
                        reader.results[0].replace_all_uses_with(first[size])


def _readers(value: ir.Value) -> list[ir.Operation]:
    """The `tensor.dim` operations of `value`."""
    owners = [use.owner.operation for use in value.uses]
    return [owner for owner in owners if owner.name == "tensor.dim"]


class _Folder:
    """Folds integer comparisons, selects, minima and maxima whose outcome follows from the ranges of sizes."""

    def __init__(
        self, function: func.FuncOp, arguments: Sequence[Argument], symbols: dict[str, SymbolRange]
    ) -> None:
        self._block = function.regions[0].blocks[0]
        self._arguments = arguments
        self._symbols = symbols
        self._bounds: dict[ir.Value, Bounds | None] = {}

    def run(self) -> bool:
        """Whether anything was folded."""
        changed = False
        for op in list(self._block.operations):
            operation = op.operation
            replacement = self._replacement(operation)
            if replacement is not None:
                operation.results[0].replace_all_uses_with(replacement)
                changed = True
        return changed

    def _replacement(self, op: ir.Operation) -> ir.Value | None:
        """A value known to equal the result of `op`, or None."""
        if op.name == "arith.cmpi":
            outcome = self._compare(op)
            if outcome is None:
                return None
            with ir.InsertionPoint(op), op.location:
                return arith.constant(ir.IntegerType.get_signless(1), int(outcome))
        if op.name == "arith.select":
            chosen = _constant(op.operands[0])
            return None if chosen is None else op.operands[1 if chosen else 2]
        if op.name in ("arith.minsi", "arith.maxsi"):
            a, b = (self.bounds(operand) for operand in op.operands)
            if a is None or b is None:
                return None
            lower, upper = (0, 1) if op.name == "arith.minsi" else (1, 0)
            if a[1] <= b[0]:
                return op.operands[lower]
            return op.operands[upper] if b[1] <= a[0] else None
        return None

    def _compare(self, op: ir.Operation) -> bool | None:
        """The outcome of a signed or equality comparison, where the ranges decide it."""
        predicate = ir.IntegerAttr(op.attributes["predicate"]).value
        a, b = (self.bounds(operand) for operand in op.operands)
        if a is None or b is None:
            return None
        less, less_equal = _ordered(a, b)
        greater, greater_equal = _ordered(b, a)
        apart = False if less or greater else None
        outcomes = {
            EQUAL: apart,
            DIFFERENT: None if apart is None else True,
            arith.CmpIPredicate.slt: True if less else False if greater_equal else None,
            arith.CmpIPredicate.sle: True if less_equal else False if greater else None,
            arith.CmpIPredicate.sgt: True if greater else False if less_equal else None,
            arith.CmpIPredicate.sge: True if greater_equal else False if less else None,
        }
        return next((outcome for known, outcome in outcomes.items() if int(known) == predicate), None)

    def bounds(self, value: ir.Value) -> Bounds | None:
        """The range of an integer or index value, both ends included; None if nothing is known."""
        if value not in self._bounds:
            self._bounds[value] = self._value_bounds(value)
        return self._bounds[value]

    def _value_bounds(self, value: ir.Value) -> Bounds | None:
        if isinstance(value.owner, ir.Block):
            return None
        op = value.owner.operation
        if op.name == "arith.constant":
            number = _constant(value)
            return None if number is None else (number, number)
        if op.name == "tensor.dim":
            return self._dim_bounds(op)
        if op.name == "arith.index_cast":
            return self.bounds(op.operands[0])
        if op.name not in ("arith.addi", "arith.subi", "arith.muli", "arith.minsi", "arith.maxsi"):
            return None
        a, b = (self.bounds(operand) for operand in op.operands)
        if a is None or b is None:
            return None
        return _combine(op.name, a, b)

    def _dim_bounds(self, op: ir.Operation) -> Bounds:
        """An extent: not negative, and in the range of its symbol for an argument."""
        source, dim = op.operands[0], _constant(op.operands[1])
        if isinstance(source, ir.BlockArgument) and source.owner == self._block and dim is not None:
            size = self._arguments[source.arg_number].shape[dim]
            range_ = self._symbols.get(str(size))
            if range_ is not None:
                return range_.minimum, UNBOUNDED if range_.maximum is None else range_.maximum
        return 0, UNBOUNDED


def _ordered(a: Bounds, b: Bounds) -> tuple[bool, bool]:
    """Whether all of `a` is less than, and less than or equal to, all of `b`."""
    return a[1] < b[0], a[1] <= b[0]


def _combine(name: str, a: Bounds, b: Bounds) -> Bounds | None:
    """The range of an operation on two ranges; None where 64 bits might overflow."""
    if name == "arith.addi":
        result = (a[0] + b[0], a[1] + b[1])
    elif name == "arith.subi":
        result = (a[0] - b[1], a[1] - b[0])
    elif name == "arith.muli":
        corners = [x * y for x in a for y in b]
        result = (min(corners), max(corners))
    elif name == "arith.minsi":
        result = (min(a[0], b[0]), min(a[1], b[1]))
    else:
        result = (max(a[0], b[0]), max(a[1], b[1]))
    return result if -(1 << 62) < result[0] and result[1] < 1 << 62 else None


def _constant(value: ir.Value) -> int | None:
    """The number of an integer constant."""
    if isinstance(value.owner, ir.Block) or value.owner.operation.name != "arith.constant":
        return None
    attribute = value.owner.operation.attributes["value"]
    return attribute.value if isinstance(attribute, ir.IntegerAttr) else None
