"""Two orders of an iterator that give different results: why it may not be permuted, in numbers."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pit_mlir.analysis.body import Body, is_float, width
from pit_mlir.analysis.evaluate import Scalar, float_of

Coordinates = tuple[int, ...]
Tensor = Mapping[Coordinates, Scalar]
"""The elements of a small tensor; one that is read with gaps has only those that are read."""


class Names(Protocol):
    """What a program calls its parts, each in order."""

    @property
    def inputs(self) -> Sequence[str]:
        """The inputs."""
        ...

    @property
    def results(self) -> Sequence[str]:
        """The results."""
        ...

    @property
    def iterators(self) -> Sequence[str]:
        """The iterators."""
        ...

    @property
    def captures(self) -> Sequence[str]:
        """The captured values."""
        ...


@dataclass(frozen=True)
class Swap:
    """Two points `x` and `y` folded into `accumulators` in both orders; `results` are the numbers of those shown.

    `x` and `y` are the values of the inputs, `x_at` and `y_at` the positions along the iterators `positions`, which
    the body reads, `captures` the captured scalars by number. `x_then_y` and `y_then_x` are what the accumulators
    become; `digits` is the format of a float.
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
    captures: Mapping[int, Scalar] = field(default_factory=dict[int, Scalar], hash=False)
    digits: str = "g"

    def __str__(self) -> str:
        letters = [f"d{iterator}" for iterator in range(1 + max(self.positions, default=0))]
        x, y = self._point(self.x, self.x_at, letters), self._point(self.y, self.y_at, letters)
        held = [
            f"captured {number} = {scalar_text(value, self.digits)}"
            for number, value in self.captures.items()
        ]
        given = ", ".join([*held, f"acc = {self._shown(self.accumulators)}", f"x = {x}", f"y = {y}"])
        return f"{given}: x then y gives {self._shown(self.x_then_y)}, y then x gives {self._shown(self.y_then_x)}"

    def text(self, names: Names) -> str:
        """The counterexample in the words of a program."""
        shown = grouped([names.results[number] for number in self.results])
        x, y = (self._point(*point, names.iterators) for point in ((self.x, self.x_at), (self.y, self.y_at)))
        held = [
            f"{names.captures[number]} = {scalar_text(value, self.digits)}"
            for number, value in self.captures.items()
        ]
        begin = ", ".join([*held, f"{shown} = {self._shown(self.accumulators)}"])
        return (
            f"{begin}; {grouped(names.inputs) or 'points'} = {x}, then {y}: "
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
    `extents` are those of all iterators, `inputs` the operands and `captures` the captured scalars that the body
    reads, by number. Result number `result` begins as `init` (None if that is not read), was `before`, must be `due`
    afterwards (moved alike, if it has the iterator), and is `after`.
    """

    iterator: int
    order: tuple[int, ...]
    extents: tuple[int, ...]
    inputs: Mapping[int, Tensor] = field(hash=False)
    captures: Mapping[int, Scalar] = field(hash=False)
    init: Tensor | None = field(hash=False)
    result: int
    before: Tensor = field(hash=False)
    due: Tensor = field(hash=False)
    after: Tensor = field(hash=False)
    digits: str = "g"

    def __str__(self) -> str:
        inputs = {number: f"input {number}" for number in self.inputs}
        captures = {number: f"captured {number}" for number in self.captures}
        return self._text(inputs, captures, f"result {self.result}", f"d{self.iterator}")

    def text(self, names: Names) -> str:
        """The counterexample in the words of a program."""
        inputs = {number: names.inputs[number] for number in self.inputs}
        captures = {number: names.captures[number] for number in self.captures}
        return self._text(inputs, captures, names.results[self.result], names.iterators[self.iterator])

    def _text(
        self, inputs: Mapping[int, str], captures: Mapping[int, str], result: str, iterator: str
    ) -> str:
        given = [f"{inputs[n]} = {tensor_text(tensor, self.digits)}" for n, tensor in self.inputs.items()]
        given += [f"{captures[n]} = {scalar_text(value, self.digits)}" for n, value in self.captures.items()]
        if self.init is not None and any(value != 0 for value in self.init.values()):
            given.append(f"init = {tensor_text(self.init, self.digits)}")
        before, due, after = (tensor_text(t, self.digits) for t in (self.before, self.due, self.after))
        order = ", ".join(map(str, self.order))
        return (
            f"{', '.join(given)}{': ' if given else ''}{result} is {before}; "
            f"with the slices along {iterator} in the order {order} it is {after}, not {due}"
        )


Counterexample = Swap | Move


def captured_scalars(body: Body, captures: Sequence[Scalar]) -> dict[int, Scalar]:
    """The values of captured scalars by number; a captured tensor stands for any table."""
    nodes = [node for node in body.nodes if node.op == "capture" and isinstance(node.detail, int)]
    scalars = [node.number for node in nodes if is_float(node.type) or width(node.type) is not None]
    return {number: captures[number] for number in sorted(scalars)}


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
