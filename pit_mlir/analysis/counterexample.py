"""Two orders of an iterator that give different results: why it may not be permuted, in numbers."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pit_mlir.analysis.body import Body
from pit_mlir.analysis.evaluate import Scalar, float_of

Coordinates = tuple[int, ...]
Tensor = Mapping[Coordinates, Scalar]
"""The elements of a small tensor; one that is read with gaps has only those that are read."""


@dataclass(frozen=True)
class Swap:
    """Two points `x` and `y` folded into `accumulators` in both orders; `results` are the numbers of those shown.

    `x` and `y` are the values of the inputs, `x_at` and `y_at` the positions along the iterators `positions`, which
    the body reads. `x_then_y` and `y_then_x` are what the accumulators become; `digits` is the format of a float.
    """

    results: tuple[int, ...]
    accumulators: tuple[Scalar, ...]
    x: tuple[Scalar, ...]
    y: tuple[Scalar, ...]
    x_then_y: tuple[Scalar, ...]
    y_then_x: tuple[Scalar, ...]
    positions: tuple[int, ...] = ()
    x_at: tuple[int, ...] = ()
    y_at: tuple[int, ...] = ()
    digits: str = "g"

    def __str__(self) -> str:
        letters = [f"d{iterator}" for iterator in range(1 + max(self.positions, default=0))]
        x, y = self._point(self.x, self.x_at, letters), self._point(self.y, self.y_at, letters)
        return (
            f"acc = {self._shown(self.accumulators)}, x = {x}, y = {y}: "
            f"x then y gives {self._shown(self.x_then_y)}, y then x gives {self._shown(self.y_then_x)}"
        )

    def text(self, inputs: Sequence[str], results: Sequence[str], iterators: Sequence[str]) -> str:
        """The counterexample in the words of a program: the names of its inputs, results and iterators."""
        shown = grouped([results[number] for number in self.results])
        x, y = self._point(self.x, self.x_at, iterators), self._point(self.y, self.y_at, iterators)
        return (
            f"{shown} = {self._shown(self.accumulators)}; {grouped(inputs) or 'points'} = {x}, then {y}: "
            f"{shown} = {self._shown(self.x_then_y)}, in the other order {self._shown(self.y_then_x)}"
        )

    def _point(self, values: Sequence[Scalar], at: Sequence[int], iterators: Sequence[str]) -> str:
        places = [f"{iterators[d]} = {place}" for d, place in zip(self.positions, at, strict=True)]
        shown = [self._shown(values)] if values else []
        return " at ".join([*shown, ", ".join(places)] if places else shown)

    def _shown(self, values: Sequence[Scalar]) -> str:
        return grouped([scalar_text(value, self.digits) for value in values])


@dataclass(frozen=True)
class Move:
    """The operation on small tensors, with the slices along `iterator` as they are and in another `order`.

    Whatever has the iterator as a whole dimension was moved alike, so that slice j is the former slice `order[j]`.
    Result number `result` was `before`, must be `due` afterwards (moved alike, if it has the iterator), and is
    `after`. `inits` are the results' accumulators to begin with.
    """

    iterator: int
    order: tuple[int, ...]
    inputs: tuple[Tensor, ...]
    inits: tuple[Tensor, ...]
    result: int
    before: Tensor
    due: Tensor
    after: Tensor
    digits: str = "g"

    def __str__(self) -> str:
        inputs = [f"input {number}" for number in range(len(self.inputs))]
        return self.text(inputs, f"result {self.result}", f"d{self.iterator}")

    def text(self, inputs: Sequence[str], result: str, iterator: str) -> str:
        """The counterexample in the words of a program: the names of its inputs, of the result, of the iterator."""
        given = [
            f"{name} = {tensor_text(tensor, self.digits)}"
            for name, tensor in zip(inputs, self.inputs, strict=True)
        ]
        init = self.inits[self.result]
        if any(value != 0 for value in init.values()):
            given.append(f"init = {tensor_text(init, self.digits)}")
        before, due, after = (tensor_text(t, self.digits) for t in (self.before, self.due, self.after))
        order = ", ".join(map(str, self.order))
        return (
            f"{', '.join(given)}{': ' if given else ''}{result} is {before}; "
            f"with the slices along {iterator} in the order {order} it is {after}, not {due}"
        )


Counterexample = Swap | Move


def grouped(texts: Sequence[str]) -> str:
    """One text bare, several as a tuple."""
    return ", ".join(texts) if len(texts) < 2 else f"({', '.join(texts)})"


def digits(strict: bool, body: Body) -> str:
    """The format of the floats of `body`: six digits, in strict mode those that tell two numbers apart."""
    if not strict:
        return "g"
    return ".17g" if any(node.type == "f64" for node in body.nodes) else ".9g"


def scalar_text(value: Scalar, digits: str = "g") -> str:
    """A number for a reader: an integer as it is, a float with `digits`."""
    return str(int(value)) if isinstance(value, int) else format(float_of(value), digits)


def tensor_text(tensor: Tensor, digits: str = "g") -> str:
    """A tensor for a reader: nested lists without dimensions of one place, or `[2]: 5` by element where it has gaps."""
    ranges = [sorted(set(places)) for places in zip(*tensor, strict=True)]
    kept = [dim for dim, places in enumerate(ranges) if len(places) > 1]
    elements = {tuple(at[dim] for dim in kept): value for at, value in sorted(tensor.items())}
    extents = [1 + ranges[dim][-1] for dim in kept]

    def nested(at: Coordinates) -> str:
        if len(at) == len(extents):
            return scalar_text(elements[at], digits)
        return f"[{', '.join(nested((*at, place)) for place in range(extents[len(at)]))}]"

    if math.prod(extents) == len(elements):
        return nested(())
    texts = (f"{list(at)}: {scalar_text(value, digits)}" for at, value in elements.items())
    return f"{{{', '.join(texts)}}}"
