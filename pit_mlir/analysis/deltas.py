"""Delta facts: operations whose results are zero but at one position along an iterator.

One-hot rows and the dispatch tensors of routed experts compare a value with the position. A list of their live
positions has one entry at most, and where the value has a name it is made from the value, nothing is scanned.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import product

from pit_mlir.analysis import smt
from pit_mlir.analysis.body import Body, Node, Scheme, is_float, width
from pit_mlir.analysis.claims import Check, Level, Mode, agree, leaf_terms, readings, samples, settle
from pit_mlir.analysis.evaluate import Point, Scalar, Unevaluable, same
from pit_mlir.analysis.facts import Delta, Index, Operand
from pit_mlir.analysis.smt import Bool, both, either, negate
from pit_mlir.analysis.terms import Term, Terms, Unproved, constant_term, identical

POSITION_BITS = 31
"""Positions are at least 0 and less than 2^31: an index holds them as i32, larger shapes are rejected (T13)."""
PAIRS = 48
"""The pairs of random points that may contradict before the solver is asked."""

Value = Operand | Index | int | None


@lru_cache(maxsize=8192)
def delta(scheme: Scheme, iterator: int, mode: Mode) -> Delta | None:
    """The position along `iterator` outside of which every live result is zero (under a reduction: its init).

    The other iterators, and with them the operands that do not carry `iterator`, are held fixed. None if there may
    be several positions, or nothing is proved.
    """
    body = scheme.body
    positions = _positions(scheme, iterator)
    if not positions:
        return None
    search = _Search(scheme, iterator, mode)
    for position in positions:
        for value in (*_values(scheme, iterator), None):
            if value == position or search.contradicts(position, value):
                continue
            under = settle(body, mode, search.claim(position, value), check=search.check(position, value))
            if under is not None:
                return Delta(position, value, under)
    return None


def _positions(scheme: Scheme, iterator: int) -> list[Index | Operand]:
    """What may tell the positions apart: the iterator itself, or an operand of integers that carries it."""
    body = scheme.body
    found: list[Index | Operand] = [Index(iterator)] if iterator in body.indices(body.live) else []
    return found + [
        Operand(number)
        for number in sorted(body.read)
        if _is_integer(body.nodes[number]) and iterator in scheme.input_iterators(number)
    ]


def _values(scheme: Scheme, iterator: int) -> Iterator[Value]:
    """What may name the position: operands that do not carry the iterator, other iterators, constants."""
    body = scheme.body
    for number in sorted(body.read):
        if _is_integer(body.nodes[number]) and iterator not in scheme.input_iterators(number):
            yield Operand(number)
    yield from (Index(other) for other in sorted(body.indices(body.live) - {iterator}))
    needed = (body.nodes[node] for node in sorted(body.needed(body.live)))
    yield from dict.fromkeys(node.number for node in needed if node.op == "constant" and _is_integer(node))


def _is_integer(node: Node) -> bool:
    """Whether a scalar is an integer of more than one bit."""
    return (width(node.type) or 1) > 1


class _Search:
    """The claim that one position along `iterator` matters, tried on random points and stated for the solver."""

    def __init__(self, scheme: Scheme, iterator: int, mode: Mode) -> None:
        self.scheme, self.iterator, self.mode = scheme, iterator, mode
        self.body: Body = scheme.body
        self.tried = [point for point, _ in samples(self.body, mode)]

    def varies(self, node: Node) -> bool:
        """Whether a leaf may differ between two positions."""
        if node.op == "input":
            return self.iterator in self.scheme.input_iterators(node.number)
        return node.op == "accumulator" or (node.op == "index" and node.number == self.iterator)

    def contradicts(self, position: Index | Operand, value: Value) -> bool:
        """Whether random points show results that are not zero at another position than `value`, or at two."""
        live = [point for point in self.tried if self._is_live(point)]
        if value is not None:
            return any(_at(point, position) != _at(point, value) for point in live)
        pairs = list(product(live, self.tried))[:PAIRS]
        for point, other in pairs:
            moved = self._moved(point, other)
            if _at(moved, position) == _at(point, position):
                continue
            try:
                if self._is_live(moved):
                    return True
            except Unevaluable:
                continue
        return False

    def _moved(self, point: Point, other: Point) -> Point:
        """`point` with what varies as in `other`."""
        inputs = tuple(
            (other if self.varies(self.body.nodes[number]) else point).inputs[number]
            for number in range(self.body.inputs)
        )
        indices = tuple(
            (other if iterator == self.iterator else point).indices[iterator]
            for iterator in range(len(point.indices))
        )
        return Point(inputs, other.accumulators, point.captures, indices, point.rounding)

    def _is_live(self, point: Point) -> bool:
        """Whether results at a point are not zero, however its constants are read; raises `Unevaluable`."""
        return all(self._shows(point, yields) for yields in readings(self.body, self.mode, point))

    def _shows(self, point: Point, yields: Sequence[Scalar | None]) -> bool:
        """Whether a result is a number other than zero, or changes its accumulator; NaN is left to the solver."""
        for result in self.body.live:
            value = yields[result]
            assert value is not None
            resting = point.accumulators[result] if self.scheme.reduced(result) else 0
            if value == value and not same(value, resting):
                return True
        return False

    def check(self, position: Index | Operand, value: Value) -> Check:
        """Whether the results at one point are zero, or it is the one of `value`, for data with NaN and infinities."""

        def holds(point: Point, yields: list[Scalar | None]) -> bool:
            at_rest = all(
                same(yields[result], point.accumulators[result] if self.scheme.reduced(result) else 0)
                for result in self.body.live
            )
            return value is None or at_rest or _at(point, position) == _at(point, value)

        return holds

    def claim(self, position: Index | Operand, value: Value) -> Callable[[Terms, Level], Bool]:
        """Results that are not zero are at `value`, or, if it has no name, at the same position."""

        def holds(terms: Terms, level: Level) -> Bool:
            here, at_here = self._side(terms, level, ".i")
            if value is not None:
                named = _extended(value, at_here, self.body)
                return either(here, _extended(position, at_here, self.body) == named)
            there, at_there = self._side(terms, level, ".j")
            sides = (_extended(position, leaf, self.body) for leaf in (at_here, at_there))
            one, other = sides
            return either(here, there, one == other)

        return holds

    def _side(self, terms: Terms, level: Level, mark: str) -> tuple[Bool, Callable[[Node], Term]]:
        """Whether every live result is zero at one point (or a position is too large), and the leaves there."""
        body = self.body
        leaf = leaf_terms(
            body,
            self.mode,
            inputs=level.inputs,
            accumulators=level.accumulators,
            tag=lambda node: mark if self.varies(node) else "",
        )
        yields = terms.run(body, leaf)
        resting = [self._is_resting(result, yields[result], leaf, level) for result in body.live]
        indices = (leaf(node) for node in body.nodes if node.op == "index")
        far = (negate(smt.is_below(index, POSITION_BITS)) for index in indices)
        return either(both(*resting), *far), leaf

    def _is_resting(self, result: int, term: Term, leaf: Callable[[Node], Term], level: Level) -> Bool:
        """Whether a result is zero, or under a reduction its accumulator."""
        node = self.body.yields[result]
        assert node is not None
        type_ = self.body.nodes[node].type
        if self.scheme.reduced(result):
            accumulator = leaf(self.body.nodes[self.body.inputs + result])
            return agree(term, accumulator, type_, level, self.mode)
        if is_float(type_):
            return either(term.zero, term.nan) if level.modulo_nan else term.zero
        if width(type_) is None:
            raise Unproved(f"{type_} has no zero")
        return identical(term, constant_term(0, type_), type_)


def _at(point: Point, what: Operand | Index | int) -> Scalar:
    """The number that a position or a value is at a point."""
    if isinstance(what, Operand):
        return point.inputs[what.number]
    return point.indices[what.iterator] if isinstance(what, Index) else what


def _extended(what: Operand | Index | int, leaf: Callable[[Node], Term], body: Body) -> Term:
    """A position or a value as a bit-vector of 64 bits, with its sign."""
    if isinstance(what, int):
        return smt.bits(what, 64)
    if isinstance(what, Operand):
        node = body.nodes[what.number]
    else:
        node = next(node for node in body.nodes if node.op == "index" and node.number == what.iterator)
    bits = width(node.type)
    assert bits is not None
    return smt.resized(smt.bits(leaf(node), bits), 64, signed=True)
