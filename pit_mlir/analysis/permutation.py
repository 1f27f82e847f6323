"""The prover: along which iterators may the points of a structured operation be permuted, and which may be skipped.

The theorem and its conditions are T1 to T4 of `docs/design.md`; nothing here knows a named operator:
matrix products, convolutions and row maxima are found to be what they are from maps and body alone.
"""

import math
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache, partial

from pit_mlir.analysis import exponentials, skipping, smt
from pit_mlir.analysis.body import Body, Compound, Node, Scheme, scheme_of
from pit_mlir.analysis.claims import (
    Mode,
    fixed,
    leaf_terms,
    unchanged,
)
from pit_mlir.analysis.counterexample_search import search_swap, surviving_swap
from pit_mlir.analysis.deltas import delta
from pit_mlir.analysis.evaluate import Unevaluable
from pit_mlir.analysis.execution import search_move
from pit_mlir.analysis.facts import (
    Accumulator,
    Assumption,
    Assumptions,
    Axis,
    Background,
    Delta,
    Floats,
    Image,
    Masked,
    Proof,
)
from pit_mlir.analysis.masking import body_background, body_image, body_masks
from pit_mlir.analysis.smt import OutOfTime, both, in_time
from pit_mlir.analysis.special_values import Special
from pit_mlir.analysis.terms import Domain, Term, Terms, Unproved, identical
from pit_mlir.bindings import ir

TIMEOUT_MS = 5000
ALL_QUESTIONS = 4
"""How many times the limit of one question all that are asked about an operation may take."""
LEAST_MS = 1000
"""What they may take in any case."""
ABSORBING = frozenset(
    (
        "arith.addf arith.subf arith.mulf arith.divf arith.negf arith.maximumf arith.minimumf arith.extf arith.truncf "
        "arith.select math.absf math.fma"
    ).split()
)
"""The operations on floats that no NaN and no infinity takes part in without a trace. Others may hide one: `exp` of
-inf is 0, a comparison is true or false; whether the order matters to data that is not finite is asked anew there."""

_SOLVER = threading.RLock()
"""Z3's terms live in one context of the process, which one thread at a time may use."""
os.register_at_fork(
    # A process that is forked while another thread proves would wait for that thread, which it does not have.
    before=_SOLVER.acquire,
    after_in_parent=_SOLVER.release,
    after_in_child=_SOLVER.release,
)


@contextmanager
def _asking(timeout_ms: int) -> Iterator[None]:
    """The solver for this thread, and a limit on all that it is asked inside."""
    with _SOLVER, smt.deadline(max(LEAST_MS, ALL_QUESTIONS * timeout_ms)):
        yield


def prove(
    op: ir.Operation | ir.OpView, *, floats: Floats = "real", timeout_ms: int = TIMEOUT_MS
) -> Proof | None:
    """Every fact about `op`, a linalg operation or `pit.generic`; None for an operation without iterators' maps."""
    scheme = scheme_of(op)
    if scheme is None:
        return None
    with _asking(timeout_ms):
        try:
            return prove_scheme(scheme, Mode(floats, timeout_ms))
        except Unfinished as cut:
            return cut.proof


def image(
    op: ir.Operation | ir.OpView,
    values: Mapping[int, Special],
    *,
    floats: Floats = "real",
    timeout_ms: int = TIMEOUT_MS,
) -> Image:
    """What each result of `op` becomes where input operand i holds `values[i]`, whatever the other inputs are.

    An outcome is a number, `Operand(i)`, `Accumulator()` (under a reduction: the init stays) or None where the
    result depends on more, or nothing is proved. `LOWEST` stands for a finite constant of at most -1e30.
    """
    scheme = scheme_of(op)
    assert scheme is not None, f"{op.operation.name} has no indexing maps"
    if scheme.obstacle:
        return Image((None,) * scheme.body.outputs)
    mode, nothing = Mode(floats, timeout_ms), Image((None,) * scheme.body.outputs)
    with _asking(timeout_ms):
        return in_time(lambda: body_image(scheme.body, fixed(values), mode), nothing)


def masks(
    op: ir.Operation | ir.OpView,
    operand: int,
    value: Special,
    *,
    floats: Floats = "real",
    timeout_ms: int = TIMEOUT_MS,
) -> Masked:
    """The other input operands that no result reads where `operand` holds `value`: f(x=z, y) = f(x=z, y')."""
    scheme = scheme_of(op)
    assert scheme is not None, f"{op.operation.name} has no indexing maps"
    if scheme.obstacle:
        return Masked(frozenset())
    mode, given = Mode(floats, timeout_ms), fixed({operand: value})
    with _asking(timeout_ms):
        return in_time(lambda: body_masks(scheme.body, given, mode), Masked(frozenset()))


def deltas(
    op: ir.Operation | ir.OpView, *, floats: Floats = "real", timeout_ms: int = TIMEOUT_MS
) -> tuple[Delta | None, ...]:
    """Per iterator of `op`, where along it the results are not zero: at one position at most, None if not proved."""
    scheme = scheme_of(op)
    assert scheme is not None, f"{op.operation.name} has no indexing maps"
    if scheme.obstacle:
        return (None,) * scheme.iterators
    with _asking(timeout_ms):
        return _deltas(scheme, Mode(floats, timeout_ms))


def _deltas(scheme: Scheme, mode: Mode) -> tuple[Delta | None, ...]:
    return tuple(in_time(partial(delta, scheme, each, mode), None) for each in range(scheme.iterators))


class Unfinished(Exception):
    """The time was over before `proof` had all its facts: it holds, and is not kept as the answer for ever."""

    def __init__(self, proof: Proof) -> None:
        super().__init__()
        self.proof = proof


@lru_cache(maxsize=4096)
def prove_scheme(scheme: Scheme, mode: Mode) -> Proof:
    """Every fact about `scheme`; its caller is `_asking`. Raises `Unfinished`.

    What a machine under load had no time for is asked again the next time; the answers that were found are kept, so
    the next time gets further. A question that takes longer than its own limit, which `mode` has, is not asked again.
    """
    proof = _proof(scheme, mode)
    if smt.current_deadline().has_cut:
        raise Unfinished(proof)
    return proof


def _proof(scheme: Scheme, mode: Mode) -> Proof:
    """Every fact about `scheme` that there is time for."""
    body = scheme.body
    types = tuple(node.type for node in body.nodes[: body.inputs])
    if scheme.obstacle:
        axis = Axis("none", scheme.obstacle)
        return Proof(
            (axis,) * scheme.iterators,
            (False,) * body.inputs,
            (frozenset(),) * body.inputs,
            (None,) * body.inputs,
            (None,) * scheme.iterators,
            ({},) * body.inputs,
            (None,) * scheme.iterators,
            carried=tuple(map(scheme.input_iterators, range(body.inputs))),
            types=types,
        )
    orders = {group: _order_free(scheme, group, mode) for group in scheme.groups if scheme.reduced(group[0])}
    axes = tuple(_axis(scheme, iterator, orders, mode) for iterator in range(scheme.iterators))
    inputs = range(body.inputs)
    assumed: dict[str, Assumptions] = {}
    neutral = tuple(skipping.neutral_values(scheme, operand, mode, assumed) for operand in inputs)
    return Proof(
        axes,
        tuple(skipping.annihilates(scheme, operand, neutral[operand], mode, assumed) for operand in inputs),
        neutral,
        tuple(skipping.background(scheme, operand, neutral[operand], mode) for operand in inputs),
        tuple(
            skipping.fill(scheme, iterator, mode, assumed) if axis.verdict == "reduction" else None
            for iterator, axis in enumerate(axes)
        ),
        tuple(skipping.masks(scheme, operand, mode, assumed) for operand in inputs),
        _deltas(scheme, mode),
        assumed,
        tuple(map(scheme.input_iterators, inputs)),
        types,
    )


def _axis(scheme: Scheme, iterator: int, orders: Mapping[tuple[int, ...], Axis], mode: Mode) -> Axis:
    """The verdict on one iterator, given whether each state that reduces is order-free."""
    tied = _tied(scheme, iterator)
    if tied:
        return _refused(scheme, iterator, tied, mode)
    body = scheme.body
    if iterator in body.indices(body.live):
        return _refused(scheme, iterator, f"the body reads the position linalg.index {iterator}", mode)
    reducing = [group for group in scheme.groups if iterator in scheme.reduced(group[0])]
    if not reducing:
        return Axis("parallel", f"every result has d{iterator} as a whole dimension")
    crossing = _crossing(scheme)
    if crossing is not None:
        return _refused(scheme, iterator, crossing, mode)
    failed = next((orders[group] for group in reducing if orders[group].verdict == "none"), None)
    if failed is not None:
        return failed
    assumed = frozenset[Assumption]().union(*(orders[group].assumptions for group in reducing))
    return Axis("reduction", orders[reducing[0]].reason, assumptions=assumed)


def _refused(scheme: Scheme, iterator: int, reason: str, mode: Mode) -> Axis:
    """`none`, because a condition fails: with two orders that differ on small tensors, or that none was found."""
    try:
        found = search_move(scheme, iterator, mode)
    except Unevaluable:
        return Axis("none", reason)
    if found is None:
        return Axis("none", f"{reason} (yet no order that was tried changes a result)")
    return Axis("none", reason, found)


def _crossing(scheme: Scheme) -> str | None:
    """Which result reads the accumulator of an output with another map, whose state then depends on the order."""
    for group in scheme.groups:
        foreign = sorted(scheme.body.accumulators(group) - set(group))
        if foreign:
            return f"a result reads the accumulator of output {foreign[0]}, which has another map"
    return None


def _tied(scheme: Scheme, iterator: int) -> str | None:
    """Why a map ties `iterator` to its position (T1), None if it is isolated in each."""
    for number, map_ in enumerate(scheme.maps):
        inputs = scheme.body.inputs
        name = f"input {number}" if number < inputs else f"output {number - inputs}"
        for item in map_:
            if isinstance(item, Compound) and iterator in item.iterators:
                return f"d{iterator} is not isolated: {name} is read at {item.text}"
        if map_.count(iterator) > 1:
            return f"d{iterator} is not isolated: it occurs {map_.count(iterator)} times in the map of {name}"
    return None


def _order_free(scheme: Scheme, group: tuple[int, ...], mode: Mode) -> Axis:
    """Whether the state `group` (results with equal maps) is the same in whatever order its points are folded."""
    body, reduced = scheme.body, scheme.reduced(group[0])
    varies = _varies(scheme, reduced)
    counterexample = search_swap(body, group, varies, mode)
    if counterexample is not None:
        return Axis(
            "none", "the combiner depends on the order: f(f(acc, x), y) != f(f(acc, y), x)", counterexample
        )
    extended = any(isinstance(c, float) and math.isinf(c) for c in body.constants())
    domain = (
        Domain.EXTENDED if extended or any(node.op == "math.isinf" for node in body.nodes) else Domain.FINITE
    )
    try:
        answer, points = _left_commutes(body, group, varies, mode, Domain.ANY if mode.strict else domain)
    except Unproved as reason:
        return Axis("none", f"not proved: {reason}")
    except OutOfTime:
        return Axis("none", "not proved that the order does not matter, within the limit on all questions")
    if answer.verdict == "unknown":
        return Axis("none", f"not proved that the order does not matter, within {mode.timeout_ms} ms")
    if answer.verdict == "refuted":
        shown = surviving_swap(body, group, answer, points, mode)
        if shown is None:
            return Axis("none", "not proved that the order does not matter")
        return Axis("none", "the combiner depends on the order: f(f(acc, x), y) != f(f(acc, y), x)", shown)
    assumptions: Assumptions = frozenset()
    if not mode.strict and any(_hides(body, node) for node in body.nodes):
        with_nan = in_time(
            lambda: _left_commutes(body, group, varies, mode, Domain.ANY)[0].verdict, "unknown"
        )
        assumptions = frozenset() if with_nan == "proved" else frozenset({Assumption.FINITE_DATA})
    reason = "f(f(acc, x), y) = f(f(acc, y), x) for all acc, x, y"
    has_floats = any(node.is_float for node in body.nodes)
    return Axis(
        "reduction",
        f"{reason}, floats as reals" if has_floats and not mode.strict else reason,
        None,
        assumptions,
    )


def _hides(body: Body, node: Node) -> bool:
    """Whether a NaN or an infinity may go into `node` and leave no trace in what comes out."""
    takes_floats = any(body.nodes[operand].is_float for operand in node.operands)
    return takes_floats and node.op not in ABSORBING


def _varies(scheme: Scheme, reduced: frozenset[int]) -> Callable[[Node], bool]:
    """Which leaves may differ between two points that meet in one element of a result."""

    def varies(node: Node) -> bool:
        if node.op == "input":
            return bool(scheme.input_iterators(node.number) & reduced)
        return node.op == "index" and node.number in reduced

    return varies


def _left_commutes(
    body: Body, group: Sequence[int], varies: Callable[[Node], bool], mode: Mode, domain: Domain
) -> tuple[smt.Answer, dict[str, Callable[[Node], Term]]]:
    """The solver's answer to f(f(acc, x), y) = f(f(acc, y), x), and the leaves at the points x and y."""
    terms = Terms(strict=mode.strict, tables=domain)
    has_powers = any(node.op in exponentials.LAWFUL for node in body.nodes)
    # What a fold of finite data starts from may be infinite, as that of extrema is. Bodies with exponentials would
    # take ten times as long (4.3 s for an online softmax): they assume it finite with the data.
    start = Domain.EXTENDED if domain is Domain.FINITE and not has_powers else domain

    def leaves(mark: str, state: Mapping[int, Term] | None = None) -> Callable[[Node], Term]:
        def tag(node: Node) -> str:
            return mark if varies(node) else ""

        return leaf_terms(body, mode, inputs=domain, accumulators=start, tag=tag, state=state)

    def step(mark: str, state: Mapping[int, Term] | None = None) -> dict[int, Term]:
        yields = terms.run(body, leaves(mark, state))
        return {result: yields[result] for result in group}

    one, other = step(".y", step(".x")), step(".x", step(".y"))
    claim = both(
        *(
            identical(one[result], other[result], body.nodes[body.inputs + result].type, mode.strict)
            for result in group
        )
    )
    answer = smt.ask(claim, terms.hypotheses, mode.timeout_ms)
    if answer.verdict != "proved" and has_powers and domain is not Domain.ANY:
        by_law = exponentials.ask_by_cases(claim, terms.hypotheses, mode.timeout_ms)
        answer = by_law if by_law.verdict == "proved" else answer
    return answer, {"x": leaves(".x"), "y": leaves(".y")}


def background(
    op: ir.Operation | ir.OpView,
    operand: int,
    value: Special,
    *,
    floats: Floats = "real",
    timeout_ms: int = TIMEOUT_MS,
) -> Background | None:
    """What the results of `op` hold where `operand` holds `value` (T6), None if nothing fixed."""
    scheme = scheme_of(op)
    assert scheme is not None, f"{op.operation.name} has no indexing maps"
    if scheme.obstacle:
        return None
    mode, body = Mode(floats, timeout_ms), scheme.body
    with _asking(timeout_ms):
        if not scheme.has_reductions:
            return in_time(lambda: body_background(body, fixed({operand: value}), mode), None)
        under = in_time(lambda: unchanged(body, mode, {operand: value}), None)
    init = tuple(None if node is None else Accumulator() for node in body.yields)
    return None if under is None else Background(value, init, under)
