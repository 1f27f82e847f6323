"""A scalar body, evaluated for several neighbouring points at once: every operation on vectors."""

from collections.abc import Mapping

from pit_mlir.bindings import arith, ir, vector
from pit_mlir.dialect.location import location_text
from pit_mlir.errors import UnsupportedError

ELEMENTWISE = ("arith.", "math.")


def vector_type(type_: ir.Type, lanes: int) -> ir.VectorType:
    """The vector of `lanes` elements of `type_`."""
    return ir.VectorType.get([lanes], type_)


def evaluate(block: ir.Block, values: Mapping[ir.Value, ir.Value], lanes: int) -> list[ir.Value]:
    """Emits the body `block` on vectors of `lanes` and returns what it yields.

    `values` gives a vector for each argument of the block and each `pit.element`; what the body captures from
    outside must be there too, as a scalar, or be a constant. Raises `UnsupportedError` for an operation that is
    not element-wise.
    """
    known = dict(values)
    for op in block.operations:
        operation = op.operation
        if operation.name == "pit.element":
            assert operation.results[0] in known, "every element is given"
            continue
        operands = [widened(value, known, lanes) for value in operation.operands]
        if operation.name in ("pit.yield", "linalg.yield"):
            return operands
        if not operation.name.startswith(ELEMENTWISE):
            raise UnsupportedError(
                f"'{operation.name}' in the body of an operation cannot be evaluated on vectors",
                location=location_text(operation.location),
            )
        if operation.name == "arith.constant":
            known[operation.results[0]] = constant(operation)
            continue
        made = ir.Operation.create(
            operation.name,
            results=[vector_type(result.type, lanes) for result in operation.results],
            operands=operands,
            attributes={name: operation.attributes[name] for name in operation.attributes},
        )
        known.update(zip(operation.results, made.results, strict=True))
    raise AssertionError("a body ends in a yield")


def constant(operation: ir.Operation) -> ir.Value:
    """A copy of an `arith.constant` at the insertion point."""
    return operation.clone().results[0]


def widened(value: ir.Value, known: dict[ir.Value, ir.Value], lanes: int) -> ir.Value:
    """The vector that stands for `value`: as known, or its one scalar in every lane."""
    scalar = known.get(value)
    if scalar is None:
        maker = value.owner
        assert not isinstance(maker, ir.Block) and maker.operation.name == "arith.constant", (
            "captures are given"
        )
        scalar = constant(maker.operation)
    if isinstance(scalar.type, ir.VectorType):
        return scalar
    return vector.broadcast(vector_type(scalar.type, lanes), scalar)


def plus(left: ir.Value, right: ir.Value) -> ir.Value:
    """The sum of two vectors."""
    is_float = isinstance(ir.VectorType(left.type).element_type, ir.FloatType)
    return arith.addf(left, right) if is_float else arith.addi(left, right)
