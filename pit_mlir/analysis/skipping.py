"""What may be skipped, beyond what may be permuted: neutral values, backgrounds, fills and masks.

They are T5 to T7 and T12 of `docs/design.md`.

Each fact is of one operand or iterator of a `Scheme`; what it assumes goes to `assumed`, under a name for it. What
there is no time for is not proved.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice, product

from pit_mlir.analysis.body import Body, Scheme
from pit_mlir.analysis.claims import Mode, Values, fixed, unchanged
from pit_mlir.analysis.facts import Accumulator, Assumptions, Background, Image, Masked
from pit_mlir.analysis.masking import body_background, body_image, body_masks
from pit_mlir.analysis.smt import in_time
from pit_mlir.analysis.special_values import Special, candidates, special_text

FILL_TRIES = 64

Assumed = dict[str, Assumptions]
"""What facts assume, by a name of the fact."""


def _unchanged(body: Body, mode: Mode, values: Values) -> Assumptions | None:
    return in_time(lambda: unchanged(body, mode, values), None)


def neutral_values(scheme: Scheme, operand: int, mode: Mode, assumed: Assumed) -> frozenset[float | int]:
    """The values of an operand at which every accumulator stays as it is; none without reductions."""
    if not scheme.has_reductions:
        return frozenset()
    found: set[float | int] = set()
    for value in candidates(scheme.body.nodes[operand].type):
        under = _unchanged(scheme.body, mode, {operand: value})
        if under is not None:
            found.add(value)
            assumed[f"input {operand} = {value}"] = under
    return frozenset(found)


def annihilates(
    scheme: Scheme, operand: int, neutral: frozenset[float | int], mode: Mode, assumed: Assumed
) -> bool:
    """Whether an operand contributes nothing at 0: neutral, or, without reductions, 0 in and 0 out."""
    if scheme.has_reductions:
        return 0 in neutral
    nothing = Image((None,) * scheme.body.outputs)
    outcome = in_time(lambda: body_image(scheme.body, fixed({operand: 0}), mode), nothing)
    assumed[f"input {operand} = 0"] = outcome.assumptions
    return bool(scheme.body.live) and all(
        not isinstance(outcome[result], Accumulator) and outcome[result] == 0 for result in scheme.body.live
    )


def background(
    scheme: Scheme, operand: int, neutral: frozenset[float | int], mode: Mode
) -> Background | None:
    """What the results hold where `operand` is 0, or under a reduction neutral."""
    if not scheme.has_reductions:
        return in_time(lambda: body_background(scheme.body, fixed({operand: 0}), mode), None)
    if not neutral:
        return None
    value = 0 if 0 in neutral else min(neutral, key=abs)
    init = tuple(None if node is None else Accumulator() for node in scheme.body.yields)
    return Background(value, init)


def fill(scheme: Scheme, iterator: int, mode: Mode, assumed: Assumed) -> tuple[Special | None, ...] | None:
    """Values of all operands that carry `iterator` at which every accumulator stays as it is."""
    body = scheme.body
    carrying = [number for number in range(body.inputs) if iterator in scheme.input_iterators(number)]
    options = [candidates(body.nodes[number].type) for number in carrying]
    if not carrying or not all(options):
        return None
    for values in islice(_combinations(options), FILL_TRIES):
        given = dict(zip(carrying, values, strict=True))
        under = _unchanged(body, mode, given)
        if under is not None:
            assumed[f"fill of d{iterator}"] = under
            return tuple(given.get(number) for number in range(body.inputs))
    return None


def _combinations(options: Sequence[Sequence[Special]]) -> Iterator[tuple[Special, ...]]:
    """One of `options` each: first the same place of every one, then every combination."""
    yield from zip(*options, strict=False)
    yield from product(*options)


def masks(scheme: Scheme, operand: int, mode: Mode, assumed: Assumed) -> dict[Special, frozenset[int]]:
    """The other operands that no result reads where an operand holds a special value, by value, if there are any."""
    body = scheme.body
    found: dict[Special, frozenset[int]] = {}
    if operand not in body.read or len(body.read) == 1:
        return found
    for value in candidates(body.nodes[operand].type):
        given = fixed({operand: value})
        masked = in_time(partial(body_masks, body, given, mode), Masked(frozenset()))
        unread = masked.operands & body.read
        if unread:
            found[value] = unread
            assumed[f"input {operand} = {special_text(value)} masks"] = masked.assumptions
    return found
