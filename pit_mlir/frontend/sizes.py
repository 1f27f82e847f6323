"""What the exporter knows about sizes, told to MLIR: equal sizes become one value, comparisons of sizes fold.

MLIR sees two unrelated dynamic dimensions where the exporter knows one symbol. Here each symbol is read from the
first argument that has it, every integer of the function is written as a polynomial over the symbols, equal
polynomials become one value, and comparisons that the ranges of the symbols decide become constants: the clamps of
slices, the sign tests of `expand` and the asserts that compare sizes disappear. Calls are checked against the
same symbols and ranges.
"""

# sympy's hints are narrower than what its functions take and give.
# pyright: reportArgumentType=false, reportReturnType=false, reportCallIssue=false, reportAttributeAccessIssue=false

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import sympy

from pit_mlir.analysis.extents import extent_source
from pit_mlir.bindings import arith, func, ir, tensor
from pit_mlir.frontend.signature import Argument, SymbolRange
from pit_mlir.frontend.views import group_dimensions

Bounds = tuple[int, int]
CLEANUP = "builtin.module(canonicalize,cse)"
LARGEST = 1 << 40
"""No extent is larger."""


def fold_sizes(
    module: ir.Module,
    function: func.FuncOp,
    arguments: Sequence[Argument],
    symbols: dict[str, SymbolRange],
    clean: Callable[[str], None],
) -> None:
    """Rewrites the sizes in `function` as described above; `clean` runs a pipeline on `module`."""
    if not symbols:
        return
    with module.context:
        _read_symbols_once(function, arguments)
        clean(CLEANUP)
        if _Folder(function, arguments, symbols).run():
            clean(CLEANUP)


def _read_symbols_once(function: func.FuncOp, arguments: Sequence[Argument]) -> None:
    """Reads each symbol from the first argument and dimension that has it, at the top of the function."""
    block = function.regions[0].blocks[0]
    first: dict[str, ir.Value] = {}
    with ir.InsertionPoint.at_block_begin(block), function.location:
        for value, argument in zip(block.arguments, arguments, strict=True):
            readers = [use.owner.operation for use in value.uses if use.owner.operation.name == "tensor.dim"]
            for dim, size in enumerate(argument.shape):
                if isinstance(size, int):
                    continue
                if size not in first:
                    first[size] = tensor.dim(value, arith.constant(ir.IndexType.get(), dim))
                for reader in readers:
                    if _number(reader.operands[1]) == dim:
                        reader.results[0].replace_all_uses_with(first[size])


class _Folder:
    """Integers of one function as polynomials over its symbols and over values nothing is known of."""

    def __init__(
        self, function: func.FuncOp, arguments: Sequence[Argument], symbols: dict[str, SymbolRange]
    ) -> None:
        self._block = function.regions[0].blocks[0]
        self._arguments = arguments
        self._symbols = {name: sympy.Symbol(name, integer=True, nonnegative=True) for name in symbols}
        self._bounds: dict[sympy.Symbol, Bounds] = {
            self._symbols[name]: (range_.minimum, LARGEST if range_.maximum is None else range_.maximum)
            for name, range_ in symbols.items()
        }
        self._expressions: dict[ir.Value, sympy.Expr] = {}
        self._values: dict[tuple[sympy.Expr, str], ir.Value] = {}

    def run(self) -> bool:
        """Whether anything was replaced."""
        changed = False
        for op in list(self._block.operations):
            operation = op.operation
            if operation.name == "tensor.reshape":
                changed |= self._expand(operation)
                continue
            replacement = self._replacement(operation)
            if replacement is not None:
                operation.results[0].replace_all_uses_with(replacement)
                changed = True
            for nested in _nested(operation):
                outcome = self._outcome(nested) if nested.name == "arith.cmpi" else None
                if outcome is not None:
                    nested.results[0].replace_all_uses_with(_constant_before(nested, int(outcome)))
                    changed = True
        return changed

    def _replacement(self, op: ir.Operation) -> ir.Value | None:
        """An earlier value, or a constant, that equals the only result of `op`."""
        if op.name == "arith.cmpi":
            outcome = self._outcome(op)
            return None if outcome is None else _constant_before(op, int(outcome))
        if len(op.results) != 1 or not isinstance(op.results[0].type, ir.IntegerType | ir.IndexType):
            return None
        result = op.results[0]
        if op.name == "arith.constant" or result.type == ir.IntegerType.get_signless(1):
            return None
        expression = self.expression(result)
        if expression.is_Integer:
            return _constant_before(op, int(expression))
        known = self._values.setdefault((expression, str(result.type)), result)
        return None if known == result else known

    def _outcome(self, op: ir.Operation) -> bool | None:
        """What a comparison gives for all sizes in range; None if that depends, or if it is unsigned."""
        predicate = arith.CmpIPredicate(ir.IntegerAttr(op.attributes["predicate"]).value)
        if not isinstance(op.operands[0].type, ir.IntegerType | ir.IndexType):
            return None
        low, high = self._range(self.expression(op.operands[0]) - self.expression(op.operands[1]))
        outcomes = {
            arith.CmpIPredicate.eq: True if low == high == 0 else False if low > 0 or high < 0 else None,
            arith.CmpIPredicate.ne: False if low == high == 0 else True if low > 0 or high < 0 else None,
            arith.CmpIPredicate.slt: True if high < 0 else False if low >= 0 else None,
            arith.CmpIPredicate.sle: True if high <= 0 else False if low > 0 else None,
            arith.CmpIPredicate.sgt: True if low > 0 else False if high <= 0 else None,
            arith.CmpIPredicate.sge: True if low >= 0 else False if high < 0 else None,
        }
        return outcomes.get(predicate)

    def expression(self, value: ir.Value) -> sympy.Expr:
        """`value` as a polynomial."""
        if value not in self._expressions:
            self._expressions[value] = sympy.expand(self._expression(value))
        return self._expressions[value]

    def _expression(self, value: ir.Value) -> sympy.Expr:
        if isinstance(value.owner, ir.Block):
            return self._unknown(value, -sympy.oo)
        op = value.owner.operation
        number = _number(value)
        if number is not None:
            return sympy.Integer(number)
        match op.name:
            case "tensor.dim":
                return self._dim(value, op)
            case "linalg.index":
                return self._unknown(value, 0)
            case "arith.index_cast":
                return self.expression(op.operands[0])
            case "affine.apply":
                operands = [self.expression(operand) for operand in op.operands]
                return self._affine(value, op, operands)
            case "arith.select":
                chosen = _number(op.operands[0])
                return (
                    self._unknown(value, -sympy.oo)
                    if chosen is None
                    else self.expression(op.operands[1 if chosen else 2])
                )
            case "arith.addi" | "arith.subi" | "arith.muli" | "arith.divsi" | "arith.minsi" | "arith.maxsi":
                return self._binary(value, op.name, *(self.expression(operand) for operand in op.operands))
            case _:
                return self._unknown(value, -sympy.oo)

    def _binary(self, value: ir.Value, name: str, a: sympy.Expr, b: sympy.Expr) -> sympy.Expr:
        """Sums and products as such; quotients that are exact; minima and maxima that the ranges decide."""
        match name:
            case "arith.addi":
                return a + b
            case "arith.subi":
                return a - b
            case "arith.muli":
                return a * b
            case "arith.divsi":
                quotient = sympy.expand(sympy.cancel(a / b)) if b.is_Integer and b > 0 else None
                exact = quotient is not None and all(c.is_Integer for c in _coefficients(quotient))
                return quotient if exact else self._unknown(value, -sympy.oo)
            case _:
                low, high = self._range(a - b)
                smaller, larger = (a, b) if high <= 0 else (b, a)
                if high > 0 and low < 0:
                    return self._unknown(value, -sympy.oo)
                return smaller if name == "arith.minsi" else larger

    def _affine(self, value: ir.Value, op: ir.Operation, operands: list[sympy.Expr]) -> sympy.Expr:
        """An `affine.apply` of sums and products."""
        map_: ir.AffineMap = op.attributes["map"].value
        dims, symbols = operands[: map_.n_dims], operands[map_.n_dims :]
        expression = _evaluate(map_.results[0], dims, symbols)
        return self._unknown(value, -sympy.oo) if expression is None else expression

    def _dim(self, value: ir.Value, op: ir.Operation) -> sympy.Expr:
        """A dimension: the symbol of an argument's, else what the size of the producer's result was made from."""
        dim = _number(op.operands[1])
        extent = None if dim is None else self._extent(op.operands[0], dim)
        return self._unknown(value, 0) if extent is None else extent

    def _extent(self, tensor_: ir.Value, dim: int) -> sympy.Expr | None:
        """Dimension `dim` of `tensor_`; None if nothing is known of it."""
        size = extent_source(tensor_, dim)
        if not isinstance(size, tuple):
            return self.expression(size) if isinstance(size, ir.Value) else sympy.Integer(size)
        source, dim = size
        if isinstance(source, ir.BlockArgument):
            return sympy.sympify(str(self._arguments[source.arg_number].shape[dim]), locals=self._symbols)
        op, type_ = source.owner.operation, ir.RankedTensorType(source.type)
        if op.name == "tensor.expand_shape":
            return self.expression(op.operands[1 + sum(type_.is_dynamic_dim(d) for d in range(dim))])
        if op.name.startswith("tm_tensor."):
            init = op.operands[len(op.operands) - len(op.results) + source.result_number]
            return self._extent(init, dim)
        if op.name == "tensor.collapse_shape":
            group = [ir.IntegerAttr(d).value for d in op.attributes["reassociation"][dim]]
            extents = [self._extent(op.operands[0], d) for d in group]
            return None if None in extents else sympy.expand(sympy.Mul(*extents))
        return None

    def _expand(self, op: ir.Operation) -> bool:
        """Turns a `tensor.reshape` that only splits dimensions into `tensor.expand_shape`; whether it did.

        torch-mlir writes it for `unflatten` into several dynamic sizes, since it cannot know that they fit.
        """
        source, shape = op.operands
        if isinstance(shape.owner, ir.Block) or shape.owner.operation.name != "tensor.from_elements":
            return False
        extents = [self._extent(source, dim) for dim in range(ir.RankedTensorType(source.type).rank)]
        sizes = list(shape.owner.operation.operands)
        groups = (
            None if None in extents else group_dimensions(extents, [self.expression(size) for size in sizes])
        )
        if groups is None or any(len(from_) != 1 for from_, _ in groups):
            return False
        type_ = ir.RankedTensorType(op.results[0].type)
        with ir.InsertionPoint(op), op.location:
            dynamic = [
                arith.index_cast(ir.IndexType.get(), size) if size.type != ir.IndexType.get() else size
                for dim, size in enumerate(sizes)
                if type_.is_dynamic_dim(dim)
            ]
            expanded = tensor.expand_shape(type_, source, [to for _, to in groups], dynamic, type_.shape)
        op.results[0].replace_all_uses_with(expanded)
        return True

    def _unknown(self, value: ir.Value, lowest: Any) -> sympy.Symbol:
        """A symbol of its own for `value`, which is not below `lowest`."""
        symbol = sympy.Symbol(f"v{len(self._expressions)}", integer=True)
        self._bounds[symbol] = (0 if lowest == 0 else -(1 << 63), 1 << 63)
        return symbol

    def _range(self, expression: sympy.Expr) -> Bounds:
        """The least and greatest value of a polynomial for all symbols in range (not always reached)."""
        low = high = 0
        for term in sympy.Add.make_args(sympy.expand(expression)):
            term_low, term_high = 1, 1
            for factor in sympy.Mul.make_args(term):
                base, exponent = factor.as_base_exp()
                for _ in range(int(exponent) if base.is_Symbol else 1):
                    bounds = self._bounds[base] if base.is_Symbol else (int(factor), int(factor))
                    corners = [x * y for x in (term_low, term_high) for y in bounds]
                    term_low, term_high = min(corners), max(corners)
            low, high = low + term_low, high + term_high
        return low, high


def _coefficients(expression: sympy.Expr) -> list[sympy.Expr]:
    return [term.as_coeff_Mul()[0] for term in sympy.Add.make_args(expression)]


def _evaluate(
    expression: ir.AffineExpr, dims: Sequence[sympy.Expr], symbols: Sequence[sympy.Expr]
) -> sympy.Expr | None:
    """An affine expression as a polynomial; None for divisions and remainders."""
    if isinstance(expression, ir.AffineConstantExpr):
        return sympy.Integer(expression.value)
    if isinstance(expression, ir.AffineDimExpr):
        return dims[expression.position]
    if isinstance(expression, ir.AffineSymbolExpr):
        return symbols[expression.position]
    if not isinstance(expression, ir.AffineAddExpr | ir.AffineMulExpr):
        return None
    lhs = _evaluate(expression.lhs, dims, symbols)
    rhs = _evaluate(expression.rhs, dims, symbols)
    if lhs is None or rhs is None:
        return None
    return lhs + rhs if isinstance(expression, ir.AffineAddExpr) else lhs * rhs


def _nested(op: ir.Operation) -> Iterable[ir.Operation]:
    """The operations in the regions of `op`."""
    for region in op.regions:
        for block in region.blocks:
            for inner in list(block.operations):
                yield inner.operation
                yield from _nested(inner.operation)


def _constant_before(op: ir.Operation, number: int) -> ir.Value:
    """The constant `number` of the type of `op`'s result."""
    with ir.InsertionPoint(op), op.location:
        return arith.constant(op.results[0].type, number)


def _number(value: ir.Value) -> int | None:
    """The number of an integer constant; 0 or 1 for a truth value."""
    if isinstance(value.owner, ir.Block) or value.owner.operation.name != "arith.constant":
        return None
    attribute = value.owner.operation.attributes["value"]
    return int(attribute.value) if isinstance(attribute, ir.IntegerAttr | ir.BoolAttr) else None
