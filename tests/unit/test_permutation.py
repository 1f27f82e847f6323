"""Which iterators are permutation axes, and each condition (T1 to T4 of `docs/design.md`) failing by itself."""

import pytest
from structured_text import Operand, generic, with_op

from pit_mlir.analysis.facts import Assumption, Axis, Floats, Proof
from pit_mlir.analysis.permutation import prove

ADD = "%r = arith.addf %a0, %x0 : f32\nyield %r : f32"
PRODUCT = "%p = arith.mulf %x0, %x1 : f32\n%r = arith.addf %a0, %p : f32\nyield %r : f32"
MAX = "%r = arith.maximumf %a0, %x0 : f32\nyield %r : f32"


def proof_of(text: str, floats: Floats = "real") -> Proof:
    proof = with_op(text, lambda op: prove(op, floats=floats))
    assert proof is not None
    return proof


def axis_of(text: str, iterator: int, floats: Floats = "real") -> Axis:
    return proof_of(text, floats).axes[iterator]


def reduction(body: str, type_: str = "f32", inputs: int = 1) -> str:
    """A reduction over d1 of `inputs` operands that carry it."""
    return generic([("d0, d1", type_)] * inputs, [("d0", type_)], body, iterators=2)


CONVOLUTION = generic(
    [("d0, d4, d2 + d5, d3 + d6", "f32"), ("d1, d4, d5, d6", "f32")],
    [("d0, d1, d2, d3", "f32")],
    PRODUCT,
    iterators=7,
)


@pytest.mark.parametrize(
    ("text", "axes"),
    [
        (generic([("d0, d1", "f32")], [("d0", "f32")], ADD, iterators=2), "p r"),
        (
            generic(
                [("d0", "f32"), ("d0", "f32")],
                [("d0", "f32")],
                "%r = arith.addf %x0, %x1 : f32\nyield %r : f32",
                iterators=1,
            ),
            "p",
        ),
        (
            generic([("d0, d2", "f32"), ("d2, d1", "f32")], [("d0, d1", "f32")], PRODUCT, iterators=3),
            "p p r",
        ),
        (
            generic(
                [("d0, d1, d3", "f32"), ("d0, d3, d2", "f32")], [("d0, d1, d2", "f32")], PRODUCT, iterators=4
            ),
            "p p p r",
        ),
        (CONVOLUTION, "p p n n r n n"),
        (generic([("d0, d1", "f32")], [("d0", "f32")], MAX, iterators=2), "p r"),
    ],
    ids=["reduce sum", "vector add", "matmul", "batch matmul", "convolution", "row max"],
)
def test_table_of_the_method(text: str, axes: str) -> None:
    names = {"p": "parallel", "r": "reduction", "n": "none"}
    assert proof_of(text).verdicts == tuple(names[letter] for letter in axes.split())


def test_prefix_sum_as_a_generic_reads_its_index() -> None:
    body = """
      %p = linalg.index 0 : index
      %i = linalg.index 1 : index
      %c = arith.cmpi sle, %i, %p : index
      %z = arith.constant 0.0 : f32
      %s = arith.select %c, %x0, %z : f32
      %r = arith.addf %a0, %s : f32
      yield %r : f32"""
    proof = proof_of(generic([("d1", "f32")], [("d0", "f32")], body, iterators=2))
    assert proof.verdicts == ("none", "none")
    assert proof.axes[1].reason == "the body reads the position linalg.index 1"


ARGMAX = """
  %i = linalg.index 1 : index
  %j = arith.index_cast %i : index to i64
  %m = arith.maximumf %x0, %a0 : f32
  %c = arith.cmpf ogt, %x0, %a0 : f32
  %s = arith.select %c, %j, %a1 : i64
  yield %m, %s : f32, i64"""
TWINS: list[Operand] = [("d0", "f32"), ("d0", "i64")]


def test_argmax_is_none_and_its_dead_twin_is_a_row_max() -> None:
    assert proof_of(generic([("d0, d1", "f32")], TWINS, ARGMAX, iterators=2)).verdicts == ("parallel", "none")
    dead = generic([("d0, d1", "f32")], TWINS, ARGMAX, iterators=2, live=[0])
    assert proof_of(dead).verdicts == ("parallel", "reduction")
    assert proof_of(dead).neutral == (frozenset({float("-inf")}),)


def test_dead_result_that_a_live_one_needs_is_part_of_the_state() -> None:
    body = """
      %s = arith.addf %a1, %x0 : f32
      %r = arith.mulf %a0, %a1 : f32
      yield %r, %s : f32, f32"""
    text = generic([("d0, d1", "f32")], [("d0", "f32"), ("d0", "f32")], body, iterators=2, live=[0])
    assert axis_of(text, 1).verdict == "none"


@pytest.mark.parametrize(
    ("map_", "words"),
    [
        ("d0 + d1", "input 0 is read at d0 + d1"),
        ("d0 * 2", "input 0 is read at d0 * 2"),
        ("d0 floordiv 4", "input 0 is read at d0 floordiv 4"),
        ("d0, d0", "it occurs 2 times in the map of input 0"),
    ],
)
def test_iterator_that_is_not_isolated(map_: str, words: str) -> None:
    text = generic([(map_, "f32"), ("d0, d1", "f32")], [("d0, d1", "f32")], ADD, iterators=2)
    axis = axis_of(text, 0)
    assert axis.verdict == "none"
    assert (
        axis.reason.removesuffix(" (yet no order that was tried changes a result)")
        == f"d0 is not isolated: {words}"
    )


def test_position_of_another_iterator_belongs_to_the_data() -> None:
    body = """
      %i = linalg.index 1 : index
      %j = arith.index_cast %i : index to i64
      %r = arith.addi %a0, %j : i64
      yield %r : i64"""
    text = generic([("d0, d1, d2", "i64")], [("d0", "i64")], body, iterators=3)
    assert proof_of(text).verdicts == ("parallel", "none", "reduction")
    last = body.replace("arith.addi %a0, %j", "arith.addi %j, %j")
    assert axis_of(generic([("d0, d1, d2", "i64")], [("d0", "i64")], last, iterators=3), 2).verdict == "none"


def test_operand_without_reduction_iterators_is_the_same_at_both_points() -> None:
    horner = "%p = arith.mulf %a0, %x1 : f32\n%r = arith.addf %p, %x0 : f32\nyield %r : f32"
    for map_ in ("d0", "d0, d1"):
        assert (
            axis_of(
                generic([("d0, d1", "f32"), (map_, "f32")], [("d0", "f32")], horner, iterators=2), 1
            ).verdict
            == "none"
        )
    overwritten = "yield %x0 : f32"
    assert (
        axis_of(generic([("d0", "f32")], [("d0", "f32")], overwritten, iterators=1), 0).verdict == "parallel"
    )
    same = generic([("d0", "f32"), ("d0, d1", "f32")], [("d0", "f32")], overwritten, iterators=2)
    assert axis_of(same, 1).verdict == "reduction"


def test_parallel_iterator_that_the_output_lacks_is_a_reduction() -> None:
    axis = axis_of(generic([("d0, d1", "f32")], [("d0", "f32")], "yield %x0 : f32", iterators=2), 1)
    assert axis.verdict == "none"
    assert axis.counterexample is not None
    assert "x then y gives" in str(axis.counterexample)


def test_outputs_with_different_maps() -> None:
    body = """
      %s = arith.addf %a0, %x0 : f32
      %t = arith.maximumf %a1, %x0 : f32
      yield %s, %t : f32, f32"""
    outputs: list[Operand] = [("d0", "f32"), ("d1", "f32")]
    assert proof_of(generic([("d0, d1", "f32")], outputs, body, iterators=2)).verdicts == (
        "reduction",
        "reduction",
    )
    crossed = body.replace("%a1, %x0", "%a1, %s")
    proof = proof_of(generic([("d0, d1", "f32")], outputs, crossed, iterators=2))
    assert proof.verdicts == ("none", "none")
    reason = "a result reads the accumulator of output 0, which has another map"
    # The rows may come in any order, since it is whole rows of which the maximum is taken.
    assert proof.axes[0].reason == f"{reason} (yet no order that was tried changes a result)"
    assert proof.axes[1].reason == reason


def test_parallel_result_that_reads_a_reduced_one_is_a_prefix() -> None:
    body = "%s = arith.addf %a0, %x0 : f32\nyield %s, %a0 : f32, f32"
    outputs: list[Operand] = [("d0", "f32"), ("d0, d1", "f32")]
    assert proof_of(generic([("d0, d1", "f32")], outputs, body, iterators=2)).verdicts == ("parallel", "none")


def test_captured_values_are_the_same_everywhere() -> None:
    scaled = "%p = arith.mulf %x0, %s : f32\n%r = arith.addf %a0, %p : f32\nyield %r : f32"
    text = generic([("d0, d1", "f32")], [("d0", "f32")], scaled, iterators=2, captures="%s: f32")
    assert axis_of(text, 1).verdict == "reduction"
    body = """
      %i = arith.index_cast %x0 : i64 to index
      %e = tensor.extract %t[%i] : tensor<8xf32>
      %r = arith.addf %a0, %e : f32
      yield %r : f32"""
    gathered = generic([("d0, d1", "i64")], [("d0", "f32")], body, iterators=2, captures="%t: tensor<8xf32>")
    assert axis_of(gathered, 1).verdict == "reduction"
    # Equal leaves at random points must not reach the table, which is no number.
    assert axis_of(gathered, 1, floats="strict").verdict == "none"


def test_effects_and_regions_are_not_reasoned_about() -> None:
    asserted = """
      %c = arith.cmpf ord, %x0, %x0 : f32
      cf.assert %c, "nan"
      yield %x0 : f32"""
    axis = axis_of(generic([("d0", "f32")], [("d0", "f32")], asserted, iterators=1), 0)
    assert axis.reason == "its body has cf.assert, which has an effect or a region"
    branch = """
      %c = arith.cmpf ord, %x0, %x0 : f32
      %r = scf.if %c -> f32 {
        scf.yield %x0 : f32
      } else {
        scf.yield %a0 : f32
      }
      yield %r : f32"""
    text = generic([("d0", "f32")], [("d0", "f32")], branch, iterators=1).replace(
        "scf.linalg.yield", "scf.yield"
    )
    assert axis_of(text, 0).verdict == "none"


def test_nan_constant_is_not_proved() -> None:
    body = """
      %n = arith.constant 0x7FC00000 : f32
      %c = arith.cmpf oeq, %x0, %n : f32
      %s = arith.select %c, %n, %x0 : f32
      %r = arith.addf %a0, %s : f32
      yield %r : f32"""
    axis = axis_of(reduction(body), 1)
    assert (axis.verdict, axis.reason) == ("none", "not proved: the body has a NaN constant")


def test_time_limit_ends_in_none() -> None:
    # A product of odd numbers is odd, so the order does not matter; no solver sees that in a millisecond.
    body = """
      %one = arith.constant 1 : i64
      %a = arith.ori %a0, %one : i64
      %x = arith.ori %x0, %one : i64
      %r = arith.muli %a, %x : i64
      yield %r : i64"""
    proof = with_op(reduction(body, "i64"), lambda op: prove(op, timeout_ms=1))
    assert proof is not None
    assert proof.axes[1].verdict == "none"
    assert proof.axes[1].reason == "not proved that the order does not matter, within 1 ms"


@pytest.mark.parametrize(
    ("body", "order_free"),
    [
        ("%r = arith.subf %a0, %x0 : f32", True),
        ("%r = arith.subf %x0, %a0 : f32", False),
        (
            "%c = arith.constant 2.0 : f32\n%p = arith.mulf %a0, %c : f32\n%r = arith.addf %p, %x0 : f32",
            False,
        ),
        ("%e = math.exp %x0 : f32\n%r = arith.addf %a0, %e : f32", True),
        ("%r = arith.minimumf %a0, %x0 : f32", True),
    ],
)
def test_order(body: str, order_free: bool) -> None:
    axis = axis_of(reduction(f"{body}\nyield %r : f32"), 1)
    assert (axis.verdict == "reduction") == order_free
    assert (axis.counterexample is None) == order_free


def test_integer_overflow_wraps() -> None:
    product = "%r = arith.muli %a0, %x0 overflow<nsw> : i8\nyield %r : i8"
    assert axis_of(reduction(product, "i8"), 1).verdict == "reduction"
    halved = """
      %two = arith.constant 2 : i8
      %s = arith.addi %a0, %x0 : i8
      %h = arith.divsi %s, %two : i8
      yield %h : i8"""
    assert axis_of(reduction(halved, "i8"), 1).verdict == "none"


def test_strict_floats() -> None:
    for body in (ADD, "%r = arith.mulf %a0, %x0 : f32\nyield %r : f32"):
        axis = axis_of(reduction(body), 1, "strict")
        assert axis.verdict == "none"
        assert axis.counterexample is not None
    assert axis_of(reduction(MAX), 1, "strict").verdict == "reduction"
    assert axis_of(reduction(MAX.replace("maximumf", "minnumf")), 1, "strict").verdict == "reduction"
    integers = "%r = arith.addi %a0, %x0 : i32\nyield %r : i32"
    assert axis_of(reduction(integers, "i32"), 1, "strict").verdict == "reduction"


def test_reals_drop_nan_and_the_proof_says_so() -> None:
    body = "%c = arith.cmpf ugt, %x0, %a0 : f32\n%r = arith.select %c, %x0, %a0 : f32\nyield %r : f32"
    assert axis_of(reduction(body), 1).assumptions == {Assumption.FINITE_DATA}
    assert axis_of(reduction(MAX), 1).assumptions == frozenset()


def test_infinite_accumulators_count_where_the_body_knows_infinity() -> None:
    body = """
      %i = arith.constant 0xFF800000 : f32
      %two = arith.constant 2.0 : f32
      %c = arith.cmpf oeq, %a0, %i : f32
      %d = arith.mulf %x0, %two : f32
      %s = arith.addf %a0, %x0 : f32
      %r = arith.select %c, %d, %s : f32
      yield %r : f32"""
    assert axis_of(reduction(body), 1).verdict == "none"


def test_equal_live_parts_share_a_proof() -> None:
    from pit_mlir.analysis.permutation import prove_scheme

    first = generic([("d0, d1", "f32")], TWINS, ARGMAX.replace("ogt", "oge"), iterators=2, live=[0])
    second = generic([("d0, d1", "f32")], TWINS, ARGMAX.replace("ogt", "olt"), iterators=2, live=[0])
    proof_of(first)
    misses = prove_scheme.cache_info().misses
    proof_of(second)
    assert prove_scheme.cache_info().misses == misses


def test_counterexamples_move_operands_that_are_read_in_part() -> None:
    """Another order of d0 reads elements that the first one does not."""
    inputs: list[Operand] = [("d0, d0 + d1", "f32"), ("d1", "f32")]
    axis = axis_of(
        generic(inputs, [("d0", "f32")], "%r = arith.addf %x0, %a0 : f32\nyield %r : f32", iterators=2), 0
    )
    assert axis.verdict == "none"
