"""Runs a structured operation on small tensors, and looks for two orders of an iterator that differ there."""

import math
import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count as counting
from itertools import product

from pit_mlir.analysis.affine import affine_value
from pit_mlir.analysis.body import Compound, Map, Scheme, is_float
from pit_mlir.analysis.claims import Mode, random_scalar
from pit_mlir.analysis.counterexample import Coordinates, Move, Tensor, captured_scalars, digits
from pit_mlir.analysis.evaluate import Point, Scalar, Unevaluable, evaluate, number, same

LARGEST_EXTENT = 9
LARGEST_DOMAIN = 64
SMALL_TRIES = 6


@dataclass(frozen=True)
class Instance:
    """An operation with an extent for each iterator, and data: inputs, inits, captured scalars."""

    scheme: Scheme
    extents: tuple[int, ...]
    inputs: tuple[Tensor, ...]
    inits: tuple[Tensor, ...]
    captures: tuple[Scalar, ...]
    mode: Mode

    def run(self) -> Sequence[Tensor]:
        """The results, the points of the iteration space visited in their order; raises `Unevaluable`."""
        scheme, count = self.scheme, len(self.inputs)
        results = [dict(init) for init in self.inits]
        for point in product(*map(range, self.extents)):
            places = [place(map_, point) for map_ in scheme.maps]
            inputs = [tensor[at] for tensor, at in zip(self.inputs, places, strict=False)]
            state = [result[at] for result, at in zip(results, places[count:], strict=True)]
            values = evaluate(scheme.body, Point(inputs, state, self.captures, point, self.mode.strict))
            for result, at, value in zip(results, places[count:], values, strict=True):
                if value is not None:
                    result[at] = value
        return results

    def moved(self, iterator: int, order: Sequence[int]) -> "Instance":
        """The instance whose operands have their slices along `iterator` in another order."""
        count, maps = len(self.inputs), self.scheme.maps
        tensors = [
            moved(tensor, map_, iterator, order)
            for tensor, map_ in zip((*self.inputs, *self.inits), maps, strict=True)
        ]
        inputs, inits = tuple(tensors[:count]), tuple(tensors[count:])
        return Instance(self.scheme, self.extents, inputs, inits, self.captures, self.mode)


def moved(tensor: Tensor, map_: Map, iterator: int, order: Sequence[int]) -> Tensor:
    """`tensor` with slice `order[j]` at j in each dimension that is `iterator` as a whole."""
    source = (
        tuple(order[j] if item == iterator else j for j, item in zip(at, map_, strict=True)) for at in tensor
    )
    return dict(zip(tensor, (tensor[at] for at in source), strict=True))


def place(map_: Map, point: Coordinates) -> Coordinates:
    """The coordinates that `map_` gives to a point of the iteration space."""
    try:
        return tuple(
            affine_value(item.text, point) if isinstance(item, Compound) else point[item] for item in map_
        )
    except ZeroDivisionError as error:
        raise Unevaluable("division by zero in a map") from error


def search_move(scheme: Scheme, iterator: int, mode: Mode) -> Move | None:
    """A small instance in which another order of `iterator` does not move the results alike; None if all tried do.

    Raises `Unevaluable` where nothing can be run.
    """
    ran = False
    for instance in _instances(scheme, iterator, mode):
        last = instance.extents[iterator] - 1
        order = (last, *range(1, last), 0)
        before, after = instance.run(), instance.moved(iterator, order).run()
        if any(_is_nan(value) for tensor in (*before, *after) for value in tensor.values()):
            continue
        ran = True
        for result in scheme.body.live:
            due = moved(before[result], scheme.output_map(result), iterator, order)
            if any(not same(due[at], after[result][at], exact=mode.strict) for at in due):
                inputs = {number: instance.inputs[number] for number in sorted(scheme.body.read)}
                init = instance.inits[result] if result in scheme.body.accumulators([result]) else None
                captures = captured_scalars(scheme.body, instance.captures)
                given = (iterator, order, instance.extents, inputs, captures, init, result)
                return Move(*given, before[result], due, after[result], digits(mode.strict, scheme.body))
    if not ran:
        raise Unevaluable("no small instance")
    return None


def _instances(scheme: Scheme, iterator: int, mode: Mode) -> Iterator[Instance]:
    """Instances with the fewest and simplest numbers first."""
    items = (item for map_ in scheme.maps for item in map_ if isinstance(item, Compound))
    constants = [int(word) for item in items for word in re.findall(r"(?<![\w])\d+", item.text)]
    # Positions are compared with constants of the body.
    constants += [node.number for node in scheme.body.nodes if node.op == "constant" and not node.is_float]
    farthest = max((constant for constant in constants if 0 < constant < LARGEST_EXTENT), default=1)
    rng = random.Random(0)
    for own, others in dict.fromkeys(((2, 1), (2, 2), (3, 2), (1 + farthest, 1))):
        extents = tuple(own if other == iterator else others for other in range(scheme.iterators))
        if own <= LARGEST_EXTENT and math.prod(extents) <= LARGEST_DOMAIN:
            for numbers in (_counted(), *(_small(rng) for _ in range(SMALL_TRIES)), _any(rng)):
                yield _instance(scheme, extents, mode, numbers)


Numbers = Callable[[str, bool, bool], Scalar]
"""A number of a type; whether floats round, and whether it is for an input."""


def _counted() -> Numbers:
    """1, 2, 3, .. for the inputs, 0 for the inits."""
    numbers = counting(1)
    return lambda type_, strict, is_input: number(_as(next(numbers) if is_input else 0, type_), type_, strict)


def _small(rng: random.Random) -> Numbers:
    """0, 1 and 2 for the inputs, which positions may equal; 0 for the inits."""
    return lambda type_, strict, is_input: number(_as(rng.randrange(3 * is_input or 1), type_), type_, strict)


def _any(rng: random.Random) -> Numbers:
    return lambda type_, strict, is_input: random_scalar(rng, type_, strict)


def _as(value: int, type_: str) -> Scalar:
    return float(value) if is_float(type_) else value


def _instance(scheme: Scheme, extents: tuple[int, ...], mode: Mode, numbers: Numbers) -> Instance:
    """An instance whose data `numbers` gives."""
    body = scheme.body
    points = list(product(*map(range, extents)))
    tensors: list[Tensor] = []
    for operand, (node, map_) in enumerate(zip(body.nodes, scheme.maps, strict=False)):
        places = sorted({place(map_, point) for point in points})
        if any(isinstance(item, Compound) for item in map_):
            # Another order reads places that this one does not, as `x[d0, d0 + d1]` does.
            places = list(product(*(sorted(set(along)) for along in zip(*places, strict=True))))
        tensors.append({at: numbers(node.type, mode.strict, operand < body.inputs) for at in places})
    captures = [node for node in body.nodes if node.op == "capture" and isinstance(node.detail, int)]
    scalars = tuple(random_scalar(random.Random(0), node.type, mode.strict) for node in captures)
    inputs, inits = tuple(tensors[: body.inputs]), tuple(tensors[body.inputs :])
    return Instance(scheme, extents, inputs, inits, scalars, mode)


def _is_nan(value: Scalar) -> bool:
    return isinstance(value, float) and math.isnan(value)
