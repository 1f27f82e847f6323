"""What a program must compute: by the interpreter, in float64, with a bound of the error that rounding may make.

The bound is measured: the program is run again with random relative errors of the size of each type's rounding in
every operation (Monte Carlo arithmetic). Where that changes the result a lot, the result is allowed to differ a lot,
and integers that come of such floats are not compared.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pit_mlir.bindings import PassManager, ir
from tests import interpreter

# The reference itself rounds to f64: what is compared with it may be off by the same once more.
EPSILON = {"f64": 2.0**-50, "f32": 2.0**-23, "f16": 2.0**-10, "bf16": 2.0**-7}
LARGEST = {
    "f64": np.inf,
    "f32": float(np.finfo(np.float32).max),
    "f16": 65504.0,
    "bf16": 3.3895313892515355e38,
}
SMALLEST = {"f64": 1e-300, "f32": 1e-37, "f16": 1e-6, "bf16": 1e-37}
EXACT = {
    *"arith.select arith.maximumf arith.minimumf arith.negf math.absf arith.constant arith.extf".split(),
    *"arith.sitofp arith.uitofp tensor.extract".split(),
}
ROUNDS = 3
SLACK = 16


class NoisyMachine(interpreter.Machine):
    """The interpreter; integers wrap around, floats overflow, and have errors of up to `noise` roundings."""

    def __init__(self, noise: float, seed: int) -> None:
        super().__init__()
        self.noise = noise
        self.rng = np.random.default_rng(seed)

    def operation(self, op: ir.Operation, operands: list) -> list:
        """See `Machine`."""
        results = super().operation(op, operands)
        if not op.name.startswith(("arith.", "math.")):
            return results
        return [self.rounded(op, value, operands) for value in results]

    def rounded(self, op: ir.Operation, value: object, operands: list) -> object:
        """`value`, the result of `op`, as its type can hold it."""
        type_ = op.results[0].type
        element = str(type_.element_type if isinstance(type_, ir.RankedTensorType) else type_)
        if element in EPSILON:
            value = np.asarray(value, dtype=np.float64)
            if self.noise and (op.name not in EXACT or element in ("bf16", "f16")):
                value = value + self.error(op, value, operands, EPSILON[element])
            return overflowed(value, LARGEST[element])
        if element in ("i8", "i32"):
            bits = int(element[1:])
            return (np.asarray(value) + 2 ** (bits - 1)) % 2**bits - 2 ** (bits - 1)
        return value

    def error(self, op: ir.Operation, value: np.ndarray, operands: list, epsilon: float) -> np.ndarray:
        """A random error. A sum is not further off than its smaller part: then it is the larger part itself."""
        size = np.abs(value) * epsilon * self.noise * (4 if op.name.startswith("math.") else 1)
        if op.name in ("arith.addf", "arith.subf"):
            size = np.minimum(size, np.minimum(*map(np.abs, operands)))
        size = np.where(np.isfinite(size), size, 0)
        return size * self.rng.uniform(-1, 1, np.shape(value))


def overflowed(value: np.ndarray, largest: float) -> np.ndarray:
    """Infinite beyond `largest` and the rounding of it."""
    finite = np.clip(value, -largest, largest)
    return np.where(
        np.abs(value) > largest * (1 + 2.0**-8),
        np.copysign(np.inf, value),
        np.where(np.isinf(value), value, finite),
    )


@dataclass(frozen=True)
class Expected:
    """A result in float64 (or an integer type), and how far from it each element may be; inf: not compared."""

    value: np.ndarray
    tolerance: np.ndarray


def plain(text: str) -> ir.Module:
    """The module in `text`, in the current context, with named operations as generic ones."""
    module = ir.Module.parse(text)
    PassManager.parse("builtin.module(linalg-generalize-named-ops)").run(module.operation)
    return module


def run(
    module: ir.Module, arguments: Sequence[np.ndarray], noise: float = 0.0, seed: int = 0
) -> list[np.ndarray]:
    """The results of @main, with or without errors."""
    function = next(op.operation for op in module.body.operations if op.operation.name == "func.func")
    block = function.regions[0].blocks[0]
    machine = NoisyMachine(noise, seed)
    for value, array in zip(block.arguments, arguments, strict=True):
        machine.values[value] = interpreter.as_working(np.asarray(array))
    with np.errstate(all="ignore"):
        return [np.asarray(value) for value in machine.block(block)]


def expect(module: ir.Module, arguments: Sequence[np.ndarray], rounds: int = ROUNDS) -> list[Expected]:
    """What @main must give, with tolerances from `rounds` noisy runs."""
    exact = run(module, arguments)
    noisy = [run(module, arguments, 1.0, seed) for seed in range(rounds)]
    function = next(op.operation for op in module.body.operations if op.operation.name == "func.func")
    elements = [
        str(type_.element_type)
        for type_ in ir.FunctionType(function.attributes["function_type"].value).results
    ]
    return [
        Expected(value, tolerance(value, [one[number] for one in noisy], element))
        for number, (value, element) in enumerate(zip(exact, elements, strict=True))
    ]


def tolerance(exact: np.ndarray, noisy: Sequence[np.ndarray], element: str) -> np.ndarray:
    """How far off each element may be, from how far off it was in noisy runs."""
    if element not in EPSILON:
        same = np.all([np.equal(exact, one) for one in noisy], axis=0)
        return np.where(same, 0.0, np.inf)
    with np.errstate(all="ignore"):
        spread = np.max([np.abs(one - exact) for one in noisy], axis=0)
        bound = SLACK * spread + 4 * EPSILON[element] * np.abs(exact) + SMALLEST[element]
        return np.where(np.isfinite(bound) & np.isfinite(exact), bound, np.inf)


@dataclass(frozen=True)
class Difference:
    """Where a result is not what it must be."""

    result: int
    at: tuple[int, ...]
    expected: float
    given: float
    allowed: float
    count: int

    def __str__(self) -> str:
        return (
            f"result {self.result} at {list(self.at)}: {self.given!r}, expected {self.expected!r} +- {self.allowed:.3g} "
            f"({self.count} elements differ)"
        )


def compare(expected: Sequence[Expected], given: Sequence[np.ndarray]) -> tuple[Difference | None, int]:
    """The first difference, and how many elements could be compared."""
    compared = 0
    found: Difference | None = None
    for number, (one, array) in enumerate(zip(expected, given, strict=True)):
        if array.shape != one.value.shape:
            return Difference(number, (), float(np.prod(one.value.shape)), float(array.size), 0.0, -1), 0
        usable = np.isfinite(one.tolerance)
        compared += int(usable.sum())
        with np.errstate(all="ignore"):
            actual = array.astype(one.value.dtype)
            difference = np.abs(actual.astype(float) - one.value.astype(float))
            wrong = usable & ~(difference <= one.tolerance)
        if wrong.any() and found is None:
            at = tuple(int(i) for i in np.argwhere(wrong)[0])
            found = Difference(
                number,
                at,
                float(one.value[at]),
                float(actual[at]),
                float(one.tolerance[at]),
                int(wrong.sum()),
            )
    return found, compared
