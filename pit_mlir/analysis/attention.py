"""Finds attention: a contraction, element-wise work on its scores, a softmax, a second contraction.

The match is on expressions (see `expressions`), so it does not depend on how the work between the contractions is
cut into operations. What is recognised, over iterators batch.., q, k, e of the second contraction:

    out[.., q, e] = sum_k P[.., q, k] * V[.., k, e]
    P = exp(S - M) / L,   M[.., q] = max_k S,   L[.., q] = sum_k exp(S - M)
    S = any element-wise function of  sum_d Q[.., q, d] * K[.., k, d]  and of tensors over batch.., q, k

`P` may be wrapped in torch's guard `select(all_k(S == -inf), 0, P)`, or masked once more, `select(m, P, 0)` where S is
`select(m, s, lowest)`: both give 0 in rows without a live key.
"""

import math
from dataclasses import dataclass, replace

from pit_mlir.analysis.expressions import (
    Accumulator,
    Apply,
    Constant,
    Expression,
    Leaf,
    body_expression,
    element,
    fold,
    is_plain,
    leaves,
    parts,
)
from pit_mlir.analysis.images import LOWEST_LIMIT
from pit_mlir.bindings import ir
from pit_mlir.dialect.structured import Structured, owner, projection

LONGEST = 64
"""Operations between a softmax and what reads it, at most."""


class NotAttention(Exception):
    """A contraction reads a softmax, yet the whole is not what `pit.attend` computes; says why."""


@dataclass(frozen=True)
class Operand:
    """A tensor and the iterators, in the names of the second contraction, that address its dimensions."""

    value: ir.Value
    dims: tuple[int, ...]


@dataclass(frozen=True)
class Attention:
    """What was found. Iterators are those of the contraction `op`; `d` is a number none of them has.

    Nor has any `q` where there is a single query, whose dimension of size 1 was folded away.

    `score` is S, in which `product` stands for the sum over `d`; `extras` are its other leaves.
    """

    op: ir.Operation
    product: Leaf
    query: Operand
    key: Operand
    value: Operand
    output: tuple[int, ...]
    batch: tuple[int, ...]
    q: int
    k: int
    d: int
    e: int
    score: Expression
    extras: tuple[Leaf, ...]
    guarded: bool

    @property
    def is_single(self) -> bool:
        """Whether there is a single query, and no iterator of queries in any tensor."""
        return self.q > self.d


def find_attention(view: Structured) -> Attention | None:
    """The attention that `view`, its second contraction, ends; None where it reads no softmax.

    Raises `NotAttention` where it does and the rest does not fit.
    """
    operands = contraction_operands(view)
    if operands is None or view.iterators.count("reduction") != 1:
        return None
    k = view.iterators.index("reduction")
    for first, second in (operands, operands[::-1]):
        if k not in first.dims or k not in second.dims or not is_made_of_exp(first.value):
            continue
        probabilities = element(first.value, first.dims)
        if has_softmax(probabilities):
            score, guarded = softmax_of(probabilities, k)
            return assemble(view, score, guarded, second, k)
    return None


def is_made_of_exp(value: ir.Value) -> bool:
    """Whether element-wise operations make `value` of an exp: asked first, since most operands are not."""
    seen: set[ir.Value] = set()
    work = [value]
    while work and len(seen) < LONGEST:
        maker = owner(value := work.pop())
        view = Structured.on_tensors(maker) if maker is not None and value not in seen else None
        seen.add(value)
        if view is None or "reduction" in view.iterators:
            continue
        if any(op.operation.name == "math.exp" for op in view.body.operations):
            return True
        work.extend(view.inputs)
    return False


def contraction_operands(view: Structured) -> tuple[Operand, Operand] | None:
    """The two factors of `view` if it is `acc + a * b` from zero and nothing else."""
    if len(view.inputs) != 2 or len(view.outputs) != 1 or not is_plain(view, 0):
        return None
    if element(view.outputs[0], range(ir.RankedTensorType(view.outputs[0].type).rank)) != Constant(
        0.0, "float"
    ):
        return None
    factors = (Leaf(view.inputs[0], (0,)), Leaf(view.inputs[1], (1,)))
    body = body_expression(view, 0, lambda argument: (*factors, Accumulator())[argument])
    match body:
        case Apply("arith.addf", args=(Accumulator(), Apply("arith.mulf", args=product))):
            pass
        case Apply("arith.addf", args=(Apply("arith.mulf", args=product), Accumulator())):
            pass
        case _:
            return None
    if set(product) != set(factors):
        return None
    first, second = (projection(map_) or () for map_ in view.input_maps)
    return Operand(view.inputs[0], first), Operand(view.inputs[1], second)


def has_softmax(expression: Expression) -> bool:
    """Whether `expression` divides by a sum, and takes the exp of something that a contraction made."""
    applied = [part for part in parts(expression) if isinstance(part, Apply)]
    exponents = [leaf for part in applied if part.name == "math.exp" for leaf in leaves(part)]
    divisors = [leaf for part in applied if part.name == "arith.divf" for leaf in leaves(part.args[1])]
    return any(contraction_of(leaf) is not None for leaf in exponents) and any(map(is_sum, divisors))


def is_sum(leaf: Leaf) -> bool:
    """Whether a reduction makes `leaf` that is no contraction."""
    maker = owner(leaf.value)
    view = Structured.on_tensors(maker) if maker is not None else None
    return view is not None and "reduction" in view.iterators and contraction_operands(view) is None


def contraction_of(leaf: Leaf) -> Structured | None:
    """The contraction that makes `leaf`, if one does."""
    maker = owner(leaf.value)
    view = Structured.on_tensors(maker) if maker is not None else None
    if view is None or "reduction" not in view.iterators or contraction_operands(view) is None:
        return None
    return view


def softmax_of(probabilities: Expression, k: int) -> tuple[Expression, bool]:
    """S of `probabilities` = softmax of S over iterator `k`, and whether a guard gives 0 for a row of -inf."""
    match probabilities:
        case Apply("arith.select", args=(Leaf() as all_masked, Constant(0.0, "float"), inner)):
            score, _ = softmax_of(inner, k)
            verify_guard(all_masked, score, k)
            return score, True
        case Apply("arith.select", args=(live, inner, Constant(0.0, "float"))):
            score, _ = softmax_of(inner, k)
            return masked_score(score, live), True
        case Apply("arith.divf", args=(Apply("math.exp") as numerator, Leaf() as total)):
            pass
        case Apply(
            "arith.mulf",
            args=(
                Apply("math.exp") as numerator,
                Apply("arith.divf", args=(Constant(1.0, "float"), Leaf() as total)),
            ),
        ):
            pass
        case _:
            raise NotAttention(f"the probabilities are changed after the softmax, by {head(probabilities)}")
    if k in total.dims:
        raise NotAttention("the softmax runs over another axis than the keys")
    summed = fold(total, k)
    if summed is None or summed.combiner != "arith.addf" or summed.init != Constant(0.0, "float"):
        raise NotAttention("the divisor of the softmax is not a sum over the keys")
    if summed.term != numerator:
        raise NotAttention("the divisor of the softmax does not sum what it divides")
    match numerator.args[0]:
        case Apply("arith.subf", args=(score, Leaf() as row_max)):
            verify_max(row_max, score, k)
            return score, False
        case _:
            raise NotAttention("the softmax does not subtract the maximum of its row")


def masked_score(score: Expression, live: Expression) -> Expression:
    """`score`, which is the lowest number where `live` is false, with -inf in its place."""
    match score:
        case Apply("arith.select", args=(condition, kept, Constant(lowest, "float"))) if (
            condition == live and lowest <= LOWEST_LIMIT
        ):
            return replace(score, args=(condition, kept, Constant(-math.inf, "float")), source=None)
        case _:
            raise NotAttention("the probabilities are masked by something that does not mask the scores")


def verify_max(row_max: Leaf, score: Expression, k: int) -> None:
    """`row_max` is the maximum of `score` over `k`."""
    largest = fold(row_max, k)
    if (
        largest is None
        or largest.combiner not in ("arith.maximumf", "arith.maxnumf")
        or largest.term != score
    ):
        raise NotAttention("what the softmax subtracts is not the maximum of its row")


def verify_guard(all_masked: Leaf, score: Expression, k: int) -> None:
    """`all_masked` tells rows of `score` that are -inf for all `k`."""
    every = fold(all_masked, k)
    is_all = (
        every is not None
        and every.combiner == "arith.andi"
        and every.init
        in (
            Constant(True, "i1"),
            Constant(-1, "i1"),
            Constant(1, "i1"),
        )
    )
    if every is None or not is_all:
        raise NotAttention("the probabilities are selected by a condition that is not one of whole rows")
    match every.term:
        case Apply("arith.cmpf", args=(compared, Constant(value, "float"))) if value == -math.inf:
            predicate = dict(every.term.attributes)["predicate"].split(" ")[0]
            if compared == score and predicate in ("1", "8"):
                return
        case _:
            pass
    raise NotAttention("the guard of the softmax does not compare the scores with -inf")


def assemble(view: Structured, score: Expression, guarded: bool, value: Operand, k: int) -> Attention:
    """Names the iterators and checks that each operand carries what `pit.attend` lets it carry."""
    output = projection(view.output_maps[0])
    assert output is not None, "checked by contraction_operands"
    d = len(view.iterators)
    products = [leaf for leaf in leaves(score) if k in leaf.dims and contraction_of(leaf) is not None]
    fitting = [found for leaf in products if (found := query_and_key(leaf, k, d)) is not None]
    if not fitting:
        raise NotAttention(
            "no product of queries and keys, each without the other's position, makes the scores"
        )
    product, query, key = fitting[0]
    widths = [dim for dim in value.dims if dim not in leaf_iterators(score)]
    if len(widths) != 1:
        raise NotAttention(f"the values have {len(widths)} dimensions of their own, expected 1")
    e = widths[0]
    score = cut(score, product)
    extras = tuple(leaf for leaf in leaves(score) if leaf != product)
    candidates = [
        dim
        for dim in query.dims
        if dim != d and dim not in key.dims and dim not in value.dims and dim in output
    ]
    # A single query has no iterator of its own: it gets one, of one position, that no tensor carries.
    q = choose_query(candidates, extras, product, k) if candidates else d + 1
    batch = tuple(dim for dim in range(d) if dim not in (q, k, e))
    for dims in (query.dims, key.dims, value.dims, output):
        if len(set(dims)) != len(dims):
            raise NotAttention(f"iterators {list(dims)} address one tensor, one of them twice")
    missing = [dim for dim in batch if dim not in output]
    if missing or e not in output:
        raise NotAttention(f"the result lacks iterators {missing}")
    return Attention(view.op, product, query, key, value, output, batch, q, k, d, e, score, extras, guarded)


def query_and_key(product: Leaf, k: int, d: int) -> tuple[Leaf, Operand, Operand] | None:
    """The operands of the contraction behind `product`, its reduced iterator named `d`: the key carries `k`."""
    view = contraction_of(product)
    operands = contraction_operands(view) if view is not None else None
    out = projection(view.output_maps[0]) if view is not None else None
    if view is None or operands is None or out is None or view.iterators.count("reduction") != 1:
        return None
    names = dict(zip(out, product.dims, strict=True))
    names[view.iterators.index("reduction")] = d
    if len(names) != len(view.iterators) or len(set(names.values())) != len(names):
        return None
    renamed = [Operand(operand.value, tuple(names[dim] for dim in operand.dims)) for operand in operands]
    for query, key in (renamed, renamed[::-1]):
        if k in key.dims and k not in query.dims and d in key.dims and d in query.dims:
            return product, query, key
    return None


def choose_query(candidates: list[int], extras: tuple[Leaf, ...], product: Leaf, k: int) -> int:
    """Which of the iterators that only queries have is their position; the others are batch iterators.

    Any is correct. A mask that carries an iterator together with the keys tells which one is meant, else it is the
    one that stands last in the scores.
    """
    masked = [dim for dim in candidates if any(dim in leaf.dims and k in leaf.dims for leaf in extras)]
    return max(masked or candidates, key=product.dims.index)


def leaf_iterators(expression: Expression) -> set[int]:
    """The iterators that the leaves of `expression` carry."""
    return {dim for leaf in leaves(expression) for dim in leaf.dims}


def cut(expression: Expression, product: Leaf) -> Expression:
    """`expression` with costly terms that do not depend on `product` read from the tensors that hold them."""
    if not isinstance(expression, Apply):
        return expression
    if product not in parts(expression) and expression.source is not None and is_costly(expression):
        return expression.source
    args = tuple(cut(arg, product) for arg in expression.args)
    return Apply(
        expression.name, expression.attributes, expression.type, args, expression.op, expression.source
    )


CHEAP = ("math.absf", "math.absi", "math.copysign", "math.fma")
"""Math functions that are one instruction."""


def is_costly(expression: Expression) -> bool:
    """Whether computing `expression` once a score costs more than reading it: it calls a math function."""
    names = (part.name for part in parts(expression) if isinstance(part, Apply))
    return any(name.startswith("math.") and name not in CHEAP for name in names)


def head(expression: Expression) -> str:
    """The outermost operation of `expression`, for a message."""
    return f"'{expression.name}'" if isinstance(expression, Apply) else "a tensor of its own"
