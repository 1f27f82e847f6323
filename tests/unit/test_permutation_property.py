"""Random operations are executed point by point, permuted, skipped, padded, poisoned: the prover is never contradicted."""

import itertools
import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from random_operations import random_operation
from structured_text import with_op

from pit_mlir.analysis import facts
from pit_mlir.analysis.body import Compound, Map, Scheme, is_float, scheme_of
from pit_mlir.analysis.claims import Mode, random_scalar, special_scalar
from pit_mlir.analysis.evaluate import Point, Scalar, evaluate, same
from pit_mlir.analysis.facts import Accumulator, Assumption, Delta, Expression, Index, Operand, Proof
from pit_mlir.analysis.permutation import prove
from pit_mlir.analysis.special_values import special_text

Coordinates = tuple[int, ...]
Tensor = dict[Coordinates, Scalar]


@dataclass
class Run:
    """An operation with data: sizes of its iterators, tensors of its inputs and inits, captured scalars."""

    scheme: Scheme
    extents: tuple[int, ...]
    inputs: list[Tensor]
    inits: list[Tensor]
    captures: tuple[Scalar, ...]
    rounding: bool

    @property
    def points(self) -> list[Coordinates]:
        """The iteration space, in order."""
        return list(itertools.product(*map(range, self.extents)))

    def at(self, point: Coordinates, state: tuple[Scalar, ...]) -> Point:
        """The leaves of the body at one point of the iteration space."""
        scalars = (
            tensor[place(map_, point)] for tensor, map_ in zip(self.inputs, self.scheme.maps, strict=False)
        )
        return Point(tuple(scalars), state, self.captures, point, self.rounding)

    def execute(self, skip: Callable[[Coordinates], bool] = lambda point: False) -> list[Tensor]:
        """The outputs, points visited in order, those of `skip` left out."""
        outputs = [dict(init) for init in self.inits]
        maps = self.scheme.maps[len(self.inputs) :]
        for point in self.points:
            if skip(point):
                continue
            places = [place(map_, point) for map_ in maps]
            state = tuple(output[at] for output, at in zip(outputs, places, strict=True))
            values = evaluate(self.scheme.body, self.at(point, state))
            for output, at, value in zip(outputs, places, values, strict=True):
                if value is not None:
                    assume(not isinstance(value, Fraction) or value.numerator.bit_length() < 2000)
                    output[at] = value
        return outputs

    def with_input(self, operand: int, tensor: Tensor) -> "Run":
        """The run with other data of one input."""
        return replace(self, inputs=[tensor if n == operand else old for n, old in enumerate(self.inputs)])


def place(map_: Map, point: Coordinates) -> Coordinates:
    """The coordinates that `map_` reads at `point`."""
    names = {f"d{iterator}": at for iterator, at in enumerate(point)}
    return tuple(eval(item.text, {}, names) if isinstance(item, Compound) else point[item] for item in map_)


def random_run(scheme: Scheme, rng: random.Random, mode: Mode, extents: tuple[int, ...] | None = None) -> Run:
    """`scheme` with random sizes and data."""
    sizes = extents or tuple(rng.randint(1, 3) for _ in range(scheme.iterators))
    points = list(itertools.product(*map(range, sizes)))
    nodes, count = scheme.body.nodes, scheme.body.inputs
    tensors: list[Tensor] = []
    for node, map_ in zip(nodes, scheme.maps, strict=False):
        tensors.append({place(map_, point): random_scalar(rng, node.type, mode.strict) for point in points})
    captures = [node for node in nodes if node.op == "capture"]
    scalars = tuple(random_scalar(rng, node.type, mode.strict) for node in captures)
    return Run(scheme, sizes, tensors[:count], tensors[count:], scalars, mode.strict)


def moved(tensor: Tensor, map_: Map, iterator: int, order: Mapping[int, int]) -> Tensor:
    """`tensor` with its dimension along `iterator`, if it has one, in another order."""
    if iterator not in map_:
        return tensor
    dim = map_.index(iterator)
    return {(*at[:dim], order[at[dim]], *at[dim + 1 :]): value for at, value in tensor.items()}


def is_nan(value: Scalar | None) -> bool:
    return isinstance(value, float) and math.isnan(value)


def assert_same(one: list[Tensor], other: list[Tensor], scheme: Scheme, mode: Mode, what: str) -> None:
    """The live outputs agree; NaN comes of inf - inf, which finite data excludes."""
    if any(is_nan(value) for output in (*one, *other) for value in output.values()):
        return
    for result in scheme.body.live:
        for at, value in one[result].items():
            assert same(value, other[result][at], exact=mode.strict), (
                f"{what}, at {at}: {value}, {other[result][at]}"
            )


def check_permutations(run: Run, proof: Proof, rng: random.Random, mode: Mode) -> None:
    """Permuting an axis in every operand permutes the results, or leaves them."""
    scheme, count = run.scheme, run.scheme.body.inputs
    expected = run.execute()
    for iterator, axis in enumerate(proof.axes):
        if axis.verdict == "none":
            continue
        there = list(range(run.extents[iterator]))
        rng.shuffle(there)
        order = dict(enumerate(there))
        back = {to: at for at, to in order.items()}
        inputs = [moved(t, m, iterator, order) for t, m in zip(run.inputs, scheme.maps, strict=False)]
        inits = [moved(t, m, iterator, order) for t, m in zip(run.inits, scheme.maps[count:], strict=True)]
        results = replace(run, inputs=inputs, inits=inits).execute()
        found = [moved(t, m, iterator, back) for t, m in zip(results, scheme.maps[count:], strict=True)]
        assert_same(expected, found, scheme, mode, f"d{iterator} is {axis.verdict} in the order {there}")


def check_skipping(run: Run, proof: Proof, rng: random.Random, mode: Mode) -> None:
    """Points where an operand is neutral may be left out."""
    scheme = run.scheme
    for operand, values in enumerate(proof.neutral):
        for value in values:
            scalar = special_scalar(value, scheme.body.nodes[operand].type, mode.strict)
            dead = {at for at in run.inputs[operand] if rng.random() < 0.5}
            tensor = {at: scalar if at in dead else old for at, old in run.inputs[operand].items()}
            changed = run.with_input(operand, tensor)
            map_ = scheme.maps[operand]
            skipped = changed.execute(lambda point, map_=map_, dead=dead: place(map_, point) in dead)
            assert_same(changed.execute(), skipped, scheme, mode, f"input {operand} is neutral at {value}")


def check_background(run: Run, proof: Proof, rng: random.Random, mode: Mode) -> None:
    """Where an operand is zero in whole slices along a parallel axis, each slice of a result is its background."""
    scheme = run.scheme
    for operand, background in enumerate(proof.background):
        for iterator in scheme.input_iterators(operand):
            if background is None or proof.axes[iterator].verdict != "parallel" or scheme.has_reductions:
                continue
            if proof.background_along(operand, iterator) is None or iterator not in scheme.maps[operand]:
                continue
            dim = scheme.maps[operand].index(iterator)
            dead = {at for at in range(run.extents[iterator]) if rng.random() < 0.6}
            scalar = special_scalar(background.value, scheme.body.nodes[operand].type, mode.strict)
            tensor = {at: scalar if at[dim] in dead else value for at, value in run.inputs[operand].items()}
            outputs = run.with_input(operand, tensor).execute()
            for result in scheme.body.live:
                slices: dict[Coordinates, Scalar] = {}
                place_ = scheme.output_map(result).index(iterator)
                for at, value in outputs[result].items():
                    if at[place_] not in dead or not isinstance(background.results[result], Expression):
                        continue
                    first = slices.setdefault((*at[:place_], *at[place_ + 1 :]), value)
                    assert is_nan(first) or is_nan(value) or same(first, value, exact=mode.strict), (
                        f"input {operand}, d{iterator}: {background}"
                    )


def check_fill(scheme: Scheme, proof: Proof, rng: random.Random, mode: Mode) -> None:
    """One more point along a reduction that holds the fill changes nothing."""
    for iterator, fill in enumerate(proof.fill):
        if fill is None:
            continue
        extents = tuple(rng.randint(1, 3) for _ in range(scheme.iterators))
        larger = tuple(size + (number == iterator) for number, size in enumerate(extents))
        padded = random_run(scheme, rng, mode, larger)
        for operand, value in enumerate(fill):
            if value is None:
                continue
            dim = scheme.maps[operand].index(iterator)
            scalar = special_scalar(value, scheme.body.nodes[operand].type, mode.strict)
            padded.inputs[operand] = {
                at: scalar if at[dim] == extents[iterator] else old
                for at, old in padded.inputs[operand].items()
            }
        expected = replace(padded, extents=extents).execute()
        assert_same(expected, padded.execute(), scheme, mode, f"fill {fill} along d{iterator}")


def check_point(run: Run, proof: Proof, mode: Mode) -> None:
    """At one point: zero gives the background."""
    body = run.scheme.body
    point = run.at(run.points[0], tuple(next(iter(tensor.values())) for tensor in run.inits))
    for operand, background in enumerate(proof.background):
        if background is None:
            continue
        zeroed = list(point.inputs)
        zeroed[operand] = special_scalar(background.value, body.nodes[operand].type, mode.strict)
        results = evaluate(body, replace(point, inputs=tuple(zeroed)))
        for result in body.live:
            outcome, type_ = background.results[result], body.nodes[body.inputs + result].type
            if isinstance(outcome, Expression) or outcome is None:
                continue
            if isinstance(outcome, Accumulator):
                expected = point.accumulators[result]
            elif isinstance(outcome, Operand):
                expected = zeroed[outcome.number]
            else:
                expected = special_scalar(outcome, type_, mode.strict)
            assert same(expected, results[result], exact=mode.strict), f"input {operand}: {background}"


def check_masks(run: Run, proof: Proof, rng: random.Random, mode: Mode) -> None:
    """Where an operand masks others, they hold anything, NaN included unless the fact is about finite data."""
    body = run.scheme.body
    state = tuple(next(iter(tensor.values())) for tensor in run.inits)
    for operand, masks in enumerate(proof.masks):
        for value, unread in masks.items():
            under = proof.assumptions[f"input {operand} = {special_text(value)} masks"]
            given = run.at(run.points[-1], state)
            inputs = list(given.inputs)
            inputs[operand] = special_scalar(value, body.nodes[operand].type, mode.strict)
            expected = evaluate(body, replace(given, inputs=tuple(inputs)))
            for other in unread:
                type_ = body.nodes[other].type
                poison = is_float(type_) and Assumption.FINITE_DATA not in under
                inputs[other] = math.nan if poison else random_scalar(rng, type_, mode.strict)
            found = evaluate(body, replace(given, inputs=tuple(inputs)))
            for result in body.live:
                one, other = expected[result], found[result]
                assert same(one, other, exact=mode.strict) or (under and (is_nan(one) or is_nan(other))), (
                    f"input {operand} = {value} masks {unread}: {one}, {other}"
                )


def check_delta(run: Run, proof: Proof, rng: random.Random, iterator: int, delta: Delta) -> None:
    """Along `iterator` the results are zero, or their inits stay, but at one position, which is where it is said."""
    scheme, body = run.scheme, run.scheme.body
    if isinstance(delta.position, Operand):
        operand = delta.position.number
        if scheme.maps[operand].count(iterator) != 1:
            return
        distinct(run, operand, iterator, rng)
    live: dict[Coordinates, int] = {}
    for at in run.points:
        state = tuple(
            random_scalar(rng, node.type, run.rounding) for node in body.nodes[body.inputs :][: body.outputs]
        )
        point = run.at(at, state)
        values = evaluate(body, point)
        rest = [state[result] if scheme.reduced(result) else 0 for result in range(body.outputs)]
        if any(is_nan(value) for value in values):
            continue
        if all(same(values[result], rest[result]) for result in body.live):
            continue
        line = (*at[:iterator], *at[iterator + 1 :])
        assert live.setdefault(line, at[iterator]) == at[iterator], f"d{iterator}: {delta}"
        if delta.value is not None:
            assert leaf(delta.position, point) == leaf(delta.value, point), f"d{iterator}: {delta}"


def distinct(run: Run, operand: int, iterator: int, rng: random.Random) -> None:
    """Makes the entries of an input along `iterator` distinct: those of an iota, or any."""
    dim = run.scheme.maps[operand].index(iterator)
    entries = rng.sample(range(-5, 12), 1 + max(at[dim] for at in run.inputs[operand]))
    if rng.random() < 0.5:
        entries = list(range(len(entries)))
    run.inputs[operand] = {at: entries[at[dim]] for at in run.inputs[operand]}


def leaf(what: Operand | Index | int, point: Point) -> Scalar:
    """The number that a position or a value of a delta is at a point."""
    if isinstance(what, Operand):
        return point.inputs[what.number]
    return point.indices[what.iterator] if isinstance(what, Index) else what


def check(seed: int, floats: facts.Floats, runs: int = 4) -> Proof:
    """Proves a random operation, and executes it."""
    rng = random.Random(seed)
    text = random_operation(rng)
    mode = Mode(floats, 500)
    scheme, proof = with_op(text, lambda op: (scheme_of(op), prove(op, floats=floats, timeout_ms=500)))
    assert scheme is not None
    assert proof is not None
    for _ in range(runs):
        run = random_run(scheme, rng, mode)
        check_permutations(run, proof, rng, mode)
        check_skipping(run, proof, rng, mode)
        check_background(run, proof, rng, mode)
        check_fill(scheme, proof, rng, mode)
        check_point(run, proof, mode)
        check_masks(run, proof, rng, mode)
        for iterator, delta in enumerate(proof.deltas):
            if delta is not None:
                check_delta(random_run(scheme, rng, mode), proof, rng, iterator, delta)
    return proof


@pytest.mark.parametrize("floats", ["real", "strict"])
@settings(max_examples=40, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32))
def test_prover_is_never_contradicted(floats: facts.Floats, seed: int) -> None:
    check(seed, floats)
