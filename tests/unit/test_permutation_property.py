"""Random operations are executed point by point, permuted, skipped and padded: the prover is never contradicted."""

import itertools
import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from structured_text import Operand, generic, with_op

from pit_mlir.analysis import facts
from pit_mlir.analysis.body import Compound, Map, Scheme, scheme_of
from pit_mlir.analysis.claims import Mode, random_scalar, special_scalar
from pit_mlir.analysis.evaluate import Point, Scalar, evaluate, same
from pit_mlir.analysis.facts import Accumulator, Expression, Proof
from pit_mlir.analysis.masking import body_masks
from pit_mlir.analysis.permutation import prove

Coordinates = tuple[int, ...]
Tensor = dict[Coordinates, Scalar]

BINARY = {
    "f32": "addf addf subf mulf mulf maximumf minimumf".split(),
    "i8": "addi subi muli andi ori xori maxsi minui".split(),
    "i1": "andi ori xori".split(),
}
CONSTANTS = {
    "f32": ["0.0", "1.0", "-2.0", "0.5", "0xFF800000"],
    "i8": ["0", "1", "-1", "3"],
    "i1": ["false", "true"],
}
CASTS = [("i1", "uitofp", "f32"), ("i1", "extui", "i8"), ("i8", "sitofp", "f32"), ("i8", "trunci", "i1")]
UNARY = ["arith.negf", "math.absf"]


class Lines:
    """A random body: every value made so far may be used by the next line."""

    def __init__(self, rng: random.Random, inputs: list[Operand], outputs: list[Operand]) -> None:
        self.rng = rng
        self.text: list[str] = []
        self.values = [(f"%x{n}", type_) for n, (_, type_) in enumerate(inputs)]
        self.values += [(f"%a{n}", type_) for n, (_, type_) in enumerate(outputs)]

    def pick(self, type_: str) -> str:
        """A value of `type_`, one made lately being likely."""
        known = [name for name, other in self.values if other == type_]
        if not known or self.rng.random() < 0.1:
            return self.make(
                f"arith.constant {self.rng.choice(CONSTANTS[type_])}", type_, shown=type_ != "i1"
            )
        return self.rng.choice(known[-3:] if self.rng.random() < 0.7 else known)

    def make(self, operation: str, type_: str, *, shown: bool = True, types: str | None = None) -> str:
        """A new value of `type_`."""
        name = f"%n{len(self.text)}"
        self.text.append(f"{name} = {operation}{f' : {types or type_}' if shown else ''}")
        self.values.append((name, type_))
        return name

    def line(self) -> None:
        """One more operation."""
        kind, pick = self.rng.randrange(6), self.pick
        if kind <= 2:
            type_ = self.rng.choice(("f32", "f32", "i8", "i1"))
            self.make(f"arith.{self.rng.choice(BINARY[type_])} {pick(type_)}, {pick(type_)}", type_)
        elif kind == 3:
            name, type_ = self.rng.choice((("cmpf ogt", "f32"), ("cmpf oeq", "f32"), ("cmpi slt", "i8")))
            self.make(f"arith.{name}, {pick(type_)}, {pick(type_)}", "i1", types=type_)
        elif kind == 4:
            type_ = self.rng.choice(("f32", "i8"))
            self.make(f"arith.select {pick('i1')}, {pick(type_)}, {pick(type_)}", type_)
        elif self.rng.random() < 0.5:
            self.make(f"{self.rng.choice(UNARY)} {pick('f32')}", "f32")
        else:
            source, cast, target = self.rng.choice(CASTS)
            self.make(f"arith.{cast} {pick(source)}", target, types=f"{source} to {target}")


def random_map(rng: random.Random, iterators: int) -> str:
    """Some iterators in some order, now and then the sum of two."""
    chosen = rng.sample(range(iterators), rng.randint(0, iterators))
    results = [f"d{iterator}" for iterator in chosen]
    if len(results) > 1 and rng.random() < 0.1:
        results = [f"{results[0]} + {results[1]}", *results[2:]]
    return ", ".join(results)


def random_operation(rng: random.Random) -> str:
    """A `linalg.generic` with up to three iterators and inputs and one or two outputs."""
    iterators = rng.randint(1, 3)
    every = ", ".join(f"d{iterator}" for iterator in range(iterators))
    inputs: list[Operand] = [(every, rng.choice(("f32", "f32", "i8", "i1")))]
    inputs += [
        (random_map(rng, iterators), rng.choice(("f32", "f32", "i8", "i1"))) for _ in range(rng.randint(0, 2))
    ]
    outputs: list[Operand] = []
    for _ in range(rng.choice((1, 1, 2))):
        kept = sorted(rng.sample(range(iterators), rng.randint(0, iterators)))
        outputs.append(
            (", ".join(f"d{iterator}" for iterator in kept), rng.choice(("f32", "f32", "i8", "i1")))
        )
    lines = Lines(rng, inputs, outputs)
    for _ in range(rng.randint(0, 4)):
        lines.line()
    results: list[str] = []
    for number, (_, type_) in enumerate(outputs):
        value = lines.pick(type_)
        if rng.random() < 0.8:
            value = lines.make(f"arith.{rng.choice(BINARY[type_])} %a{number}, {value}", type_)
        results.append(value)
    types = ", ".join(type_ for _, type_ in outputs)
    body = "\n".join([*lines.text, f"yield {', '.join(results)} : {types}"])
    return generic(inputs, outputs, body, iterators=iterators)


@dataclass
class Run:
    """An operation with data: sizes of its iterators, tensors of its inputs and inits."""

    scheme: Scheme
    extents: tuple[int, ...]
    inputs: list[Tensor]
    inits: list[Tensor]
    rounding: bool

    def execute(self, skip: Callable[[Coordinates], bool] = lambda point: False) -> list[Tensor]:
        """The outputs, points visited in order, those of `skip` left out."""
        outputs = [dict(init) for init in self.inits]
        count = len(self.inputs)
        for point in itertools.product(*map(range, self.extents)):
            if skip(point):
                continue
            places = [place(map_, point) for map_ in self.scheme.maps]
            scalars = tuple(tensor[at] for tensor, at in zip(self.inputs, places, strict=False))
            state = tuple(output[at] for output, at in zip(outputs, places[count:], strict=True))
            values = evaluate(self.scheme.body, Point(scalars, state, rounding=self.rounding))
            for output, at, value in zip(outputs, places[count:], values, strict=True):
                if value is not None:
                    assume(not isinstance(value, Fraction) or value.numerator.bit_length() < 2000)
                    output[at] = value
        return outputs


def place(map_: Map, point: Coordinates) -> Coordinates:
    """The coordinates that `map_` reads at `point`."""
    names = {f"d{iterator}": at for iterator, at in enumerate(point)}
    return tuple(eval(item.text, {}, names) if isinstance(item, Compound) else point[item] for item in map_)


def random_run(scheme: Scheme, rng: random.Random, mode: Mode, extents: tuple[int, ...] | None = None) -> Run:
    """`scheme` with random sizes and data."""
    sizes = extents or tuple(rng.randint(1, 3) for _ in range(scheme.iterators))
    points = list(itertools.product(*map(range, sizes)))
    tensors: list[Tensor] = []
    for node, map_ in zip(scheme.body.nodes, scheme.maps, strict=False):
        tensors.append({place(map_, point): random_scalar(rng, node.type, mode.strict) for point in points})
    count = scheme.body.inputs
    return Run(scheme, sizes, tensors[:count], tensors[count:], mode.strict)


def moved(tensor: Tensor, map_: Map, iterator: int, order: Mapping[int, int]) -> Tensor:
    """`tensor` with its dimension along `iterator`, if it has one, in another order."""
    if iterator not in map_:
        return tensor
    dim = map_.index(iterator)
    return {(*at[:dim], order[at[dim]], *at[dim + 1 :]): value for at, value in tensor.items()}


def assert_same(one: list[Tensor], other: list[Tensor], scheme: Scheme, mode: Mode, what: str) -> None:
    """The live outputs agree; NaN comes of inf - inf, which finite data excludes."""
    values = [value for output in (*one, *other) for value in output.values()]
    if any(isinstance(value, float) and math.isnan(value) for value in values):
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
        results = Run(scheme, run.extents, inputs, inits, run.rounding).execute()
        found = [moved(t, m, iterator, back) for t, m in zip(results, scheme.maps[count:], strict=True)]
        assert_same(expected, found, scheme, mode, f"d{iterator} is {axis.verdict} in the order {there}")


def check_skipping(run: Run, proof: Proof, rng: random.Random, mode: Mode) -> None:
    """Points where an operand is neutral may be left out; where it is not, backgrounds hold."""
    scheme = run.scheme
    for operand, values in enumerate(proof.neutral):
        for value in values:
            scalar = special_scalar(value, scheme.body.nodes[operand].type, mode.strict)
            dead = {at for at in run.inputs[operand] if rng.random() < 0.5}
            tensor = {at: scalar if at in dead else old for at, old in run.inputs[operand].items()}
            inputs = [tensor if number == operand else old for number, old in enumerate(run.inputs)]
            changed = Run(scheme, run.extents, inputs, run.inits, run.rounding)
            map_ = scheme.maps[operand]
            skipped = changed.execute(lambda point, map_=map_, dead=dead: place(map_, point) in dead)
            assert_same(changed.execute(), skipped, scheme, mode, f"input {operand} is neutral at {value}")


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
        expected = Run(scheme, extents, padded.inputs, padded.inits, mode.strict).execute()
        assert_same(expected, padded.execute(), scheme, mode, f"fill {fill} along d{iterator}")


def check_point(scheme: Scheme, proof: Proof, rng: random.Random, mode: Mode) -> None:
    """At one point: zero gives the background, and what it masks is not read."""
    body = scheme.body
    run = random_run(scheme, rng, mode, (1,) * scheme.iterators)
    scalars = [next(iter(tensor.values())) for tensor in run.inputs]
    state = tuple(next(iter(tensor.values())) for tensor in run.inits)
    for operand, background in enumerate(proof.background):
        if background is None:
            continue
        zeroed = list(scalars)
        zeroed[operand] = special_scalar(background.value, body.nodes[operand].type, mode.strict)
        results = evaluate(body, Point(tuple(zeroed), state, rounding=mode.strict))
        for result in body.live:
            outcome, type_ = background.results[result], body.nodes[body.inputs + result].type
            if isinstance(outcome, Expression) or outcome is None:
                continue
            if isinstance(outcome, Accumulator):
                expected = state[result]
            elif isinstance(outcome, facts.Operand):
                expected = zeroed[outcome.number]
            else:
                expected = special_scalar(outcome, type_, mode.strict)
            assert same(expected, results[result], exact=mode.strict), f"input {operand}: {background}"
        for other in body_masks(body, ((operand, background.value),), mode):
            read = list(zeroed)
            read[other] = random_scalar(rng, body.nodes[other].type, mode.strict)
            again = evaluate(body, Point(tuple(read), state, rounding=mode.strict))
            for result in body.live:
                assert same(results[result], again[result], exact=mode.strict), f"input {other} is read"


@pytest.mark.parametrize("floats", ["real", "strict"])
@settings(max_examples=60, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32))
def test_prover_is_never_contradicted(floats: facts.Floats, seed: int) -> None:
    rng = random.Random(seed)
    text = random_operation(rng)
    mode = Mode(floats, 500)
    scheme, proof = with_op(text, lambda op: (scheme_of(op), prove(op, floats=floats, timeout_ms=500)))
    assert scheme is not None
    assert proof is not None
    for _ in range(4):
        run = random_run(scheme, rng, mode)
        check_permutations(run, proof, rng, mode)
        check_skipping(run, proof, rng, mode)
        check_fill(scheme, proof, rng, mode)
        check_point(scheme, proof, rng, mode)
