"""What the prover does not know, or has no time for, ends in `none`: no guess, no crash, no end of the process."""

import random

import pytest
from random_operations import random_operation
from structured_text import generic, with_op
from test_permutation_bodies import CASES

from pit_mlir.analysis.facts import Floats, Proof
from pit_mlir.analysis.permutation import prove

SLOW = ("one-hot contraction", "gelu contraction", "biased relu contraction", "quotient", "online attention")


def proof_of(text: str, timeout_ms: int, floats: Floats = "real") -> Proof:
    proof = with_op(text, lambda op: prove(op, floats=floats, timeout_ms=timeout_ms))
    assert proof is not None
    return proof


def reduction(body: str, types: str, output: str) -> str:
    return generic([("d0, d1", type_) for type_ in types.split()], [("d0", output)], body, iterators=2)


def assert_claims_no_more(short: Proof, long: Proof) -> None:
    """What was proved in little time is what is proved in much."""
    for one, other in zip(short.axes, long.axes, strict=True):
        assert one.verdict in ("none", other.verdict)
    for one, other in zip(short.neutral, long.neutral, strict=True):
        assert one <= other
    for one, other in zip(short.annihilates, long.annihilates, strict=True):
        assert one <= other
    for one, other in zip(short.masks, long.masks, strict=True):
        assert all(one[value] <= other.get(value, frozenset()) for value in one)
    for one, other in zip(short.deltas, long.deltas, strict=True):
        assert one is None or other is not None


@pytest.mark.parametrize("case", [case for case in CASES if case[0] not in SLOW], ids=lambda case: case[0])
def test_body_in_a_millisecond(case: tuple[str, str, str, str, str | None, list[set[float]]]) -> None:
    _, inputs, outputs, body, _, _ = case
    outs = [("d0", type_) for type_ in outputs.split()]
    text = generic([("d0, d1", type_) for type_ in inputs.split()], outs, body, iterators=2)
    assert_claims_no_more(proof_of(text, 1), proof_of(text, 5000))


@pytest.mark.parametrize("seed", range(25))
def test_random_operation_in_a_millisecond(seed: int) -> None:
    text = random_operation(random.Random(seed))
    assert_claims_no_more(proof_of(text, 1), proof_of(text, 2000))


def binary(operation: str, type_: str) -> str:
    return f"%r = {operation} %a0, %x0 : {type_}\nyield %r : {type_}"


def repeated(line: str, count: int, last: str) -> str:
    """`line` again and again, {i} and {j} being the numbers of this value and the one before."""
    lines = [line.format(i=number, j=number - 1) for number in range(1, count)]
    return "\n".join([line.format(i=0, j=0).replace("%n0,", "%x0,"), *lines, last.format(j=count - 1)])


SMALL_FLOATS = ("f8E4M3FN", "f8E5M2", "f4E2M1FN", "f8E8M0FNU", "f80", "f128", "tf32")
COMPLEX, VECTOR = "complex<f32>", "vector<4xf32>"
ODD: list[tuple[str, str, str, str, str]] = [
    # name, body, types of inputs, type of the accumulator, verdict over reals
    *((f"sum {type_}", binary("arith.addf", type_), type_, type_, "reduction") for type_ in SMALL_FLOATS),
    *((f"max {type_}", binary("arith.maximumf", type_), type_, type_, "reduction") for type_ in SMALL_FLOATS),
    ("complex", binary("complex.add", COMPLEX), COMPLEX, COMPLEX, "none"),
    (
        "complex constant",
        "%c = complex.constant [1.0 : f32, 0.0 : f32] : complex<f32>\n%p = complex.mul %c, %x0 : complex<f32>\n"
        "%r = complex.add %p, %a0 : complex<f32>\nyield %r : complex<f32>",
        COMPLEX,
        COMPLEX,
        "none",
    ),
    (
        "real part",
        "%q = complex.re %x0 : complex<f32>\n%r = arith.addf %a0, %q : f32\nyield %r : f32",
        COMPLEX,
        "f32",
        "reduction",
    ),
    ("vector", binary("arith.addf", VECTOR), VECTOR, VECTOR, "none"),
    ("vector of bytes", binary("arith.maxsi", "vector<4xi8>"), "vector<4xi8>", "vector<4xi8>", "none"),
    ("index", binary("arith.maxsi", "index"), "index", "index", "reduction"),
    ("index dialect", "%r = index.add %a0, %x0\nyield %r : index", "index", "index", "none"),
    ("i1 sum", binary("arith.addi", "i1"), "i1", "i1", "reduction"),
    ("i1 signed max", binary("arith.maxsi", "i1"), "i1", "i1", "reduction"),
    ("i1 shift", binary("arith.shli", "i1"), "i1", "i1", "reduction"),
    ("i128 sum", binary("arith.addi", "i128"), "i128", "i128", "reduction"),
    ("division", binary("arith.divsi", "i8"), "i8", "i8", "none"),
    (
        "bits of a float",
        "%e = arith.bitcast %x0 : f32 to i32\n%r = arith.addi %a0, %e : i32\nyield %r : i32",
        "f32",
        "i32",
        "reduction",
    ),
    (
        "squares of squares",
        repeated(
            "%n{i} = arith.mulf %n{j}, %n{j} : f32", 60, "%r = arith.addf %a0, %n{j} : f32\nyield %r : f32"
        ).replace("%x0, %n0", "%x0, %x0"),
        "f32",
        "f32",
        "none",
    ),
    (
        "squares of squares of integers",
        repeated(
            "%n{i} = arith.muli %n{j}, %n{j} : i64", 60, "%r = arith.addi %a0, %n{j} : i64\nyield %r : i64"
        ).replace("%x0, %n0", "%x0, %x0"),
        "i64",
        "i64",
        "none",
    ),
    (
        "two hundred operations",
        repeated(
            "%n{i} = arith.addf %n{j}, %x1 : f32", 200, "%r = arith.addf %a0, %n{j} : f32\nyield %r : f32"
        ),
        "f32 f32",
        "f32",
        "reduction",
    ),
]


@pytest.mark.parametrize(
    ("body", "inputs", "output", "verdict"), [o[1:] for o in ODD], ids=[o[0] for o in ODD]
)
def test_odd_body(body: str, inputs: str, output: str, verdict: str) -> None:
    text = reduction(body, inputs, output)
    assert proof_of(text, 1000).verdicts == ("parallel", verdict)
    if len(body) < 1000:
        assert proof_of(text, 1000, "strict").verdicts[1] in ("none", verdict)


def test_operations_without_iterators_or_inputs() -> None:
    product = "%r = arith.mulf %x0, %x1 : f32\nyield %r : f32"
    proof = proof_of(generic([("", "f32"), ("", "f32")], [("", "f32")], product, iterators=0), 1000)
    assert (proof.verdicts, proof.annihilates, proof.deltas) == ((), (True, True), ())
    doubled = "%r = arith.addf %a0, %a0 : f32\nyield %r : f32"
    proof = proof_of(generic([], [("d0", "f32")], doubled, iterators=1), 1000)
    assert (proof.verdicts, proof.neutral, proof.masks) == (("parallel",), (), ())


def test_a_degree_without_end_is_said() -> None:
    body = next(body for name, body, *_ in ODD if name == "squares of squares")
    reason = proof_of(reduction(body, "f32", "f32"), 1000).axes[1].reason
    assert reason == f"not proved: the body is a polynomial of degree {1 << 60}"
