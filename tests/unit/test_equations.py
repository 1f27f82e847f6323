"""Equations: operations in the field's notation, with the letters and names that a reader expects."""

import pytest
from structured_text import Operand, generic, with_op
from test_permutation_named import named

from pit_mlir.analysis.equations import Equation, equation_of
from pit_mlir.bindings import ir


def equation(text: str, name: str = "linalg.") -> Equation:
    def written(op: ir.Operation) -> Equation | None:
        return equation_of(op, lambda value: value.get_name().removeprefix("%"))

    found = with_op(text, written, name)
    assert found is not None
    return found


OPERATIONS = {
    named("matmul", "4x5xf32 5x6xf32", "4x6xf32"): "0[m, n] += arg0[m, k] * arg1[k, n]",
    named("batch_matmul", "2x4x5xf32 2x5x6xf32", "2x4x6xf32"): (
        "0[b, m, n] += arg0[b, m, k] * arg1[b, k, n]"
    ),
    named("mmt4d", "2x3x4x5xf32 6x3x7x5xf32", "2x6x4x7xf32"): (
        "0[m, n, m0, n0] += arg0[m, k, m0, k0] * arg1[n, k, n0, k0]"
    ),
    named("dot", "5xf32 5xf32", "f32"): "0 += arg0[k] * arg1[k]",
    named("conv_2d_nchw_fchw", "1x3x8x8xf32 4x3x3x3xf32", "1x4x6x6xf32"): (
        "0[n, f, h, w] += arg0[n, c, h + r, w + s] * arg1[f, c, r, s]"
    ),
    named("depthwise_conv_2d_nchw_chw", "1x3x8x8xf32 3x3x3xf32", "1x3x6x6xf32"): (
        "0[n, c, h, w] += arg0[n, c, h + r, w + s] * arg1[c, r, s]"
    ),
    named("pooling_nhwc_max", "1x8x8x3xf32 3x3xf32", "1x6x6x3xf32"): (
        "0[n, h, w, c] = max(0[n, h, w, c], arg0[n, h + r, w + s, c])"
    ),
    named("transpose", "4x5xf32", "5x4xf32", tail="permutation = [1, 0]"): "transposed[i, j] = arg0[j, i]",
    named(
        "select", "4x5xi1 4x5xf32 4x5xf32", "4x5xf32"
    ): "0[i, j] = select(arg0[i, j], arg1[i, j], arg2[i, j])",
}


@pytest.mark.parametrize("text", OPERATIONS, ids=[text.split("linalg.")[1].split()[0] for text in OPERATIONS])
def test_named_operation(text: str) -> None:
    assert str(equation(text)) == OPERATIONS[text]


F32: list[Operand] = [("d0, d1", "f32"), ("d0", "f32")]
BODIES = [
    ("%r = arith.subf %a0, %x0 : f32", "f32", "0[i] -= arg0[i, j]"),
    ("%r = arith.subf %x0, %a0 : f32", "f32", "0[i] = arg0[i, j] - 0[i]"),
    ("%r = arith.mulf %x0, %a0 : f32", "f32", "0[i] *= arg0[i, j]"),
    ("%r = arith.maximumf %a0, %x0 : f32", "f32", "0[i] = max(0[i], arg0[i, j])"),
    (
        "%d = arith.subf %x0, %x1 : f32\n%e = math.exp %d : f32\n%r = arith.addf %a0, %e : f32",
        "f32",
        "0[i] += exp(arg0[i, j] - arg1[i])",
    ),
    # What is nested stays visible, chains of one sign need no parentheses.
    (
        "%d = arith.subf %x0, %x1 : f32\n%e = arith.subf %x1, %d : f32\n%f = arith.mulf %e, %x0 : f32\n"
        "%n = arith.negf %f : f32\n%r = arith.divf %n, %x1 : f32",
        "f32",
        "0[i] = -((arg1[i] - (arg0[i, j] - arg1[i])) * arg0[i, j]) / arg1[i]",
    ),
    (
        "%s = arith.addf %x0, %x1 : f32\n%q = arith.mulf %s, %s : f32\n%r = arith.addf %q, %a0 : f32",
        "f32",
        "let t0 = arg0[i, j] + arg1[i]\n0[i] += t0 * t0",
    ),
    # Quotients of floats, of integers towards zero, and of integers downwards are told apart.
    (
        "%q = arith.divf %x0, %x1 : f32\n%m = arith.remf %x0, %x1 : f32\n%r = arith.addf %q, %m : f32",
        "f32",
        "0[i] = arg0[i, j] / arg1[i] + fmod(arg0[i, j], arg1[i])",
    ),
    (
        "%q = arith.divsi %x0, %x1 : i8\n%m = arith.remsi %x0, %x1 : i8\n%f = arith.floordivsi %q, %m : i8\n"
        "%r = arith.addi %f, %a0 : i8",
        "i8",
        "0[i] += div(arg0[i, j], arg1[i]) // rem(arg0[i, j], arg1[i])",
    ),
    # An unordered comparison is also true for NaN.
    (
        "%z = arith.constant 0.0 : f32\n%c = arith.cmpf ugt, %x0, %z : f32\n%r = arith.select %c, %x0, %z : f32",
        "f32",
        "0[i] = select(not (arg0[i, j] <= 0), arg0[i, j], 0)",
    ),
    (
        "%c = arith.cmpf uno, %x0, %x0 : f32\n%d = arith.cmpf one, %x0, %x1 : f32\n%e = arith.ori %c, %d : i1\n"
        "%r = arith.uitofp %e : i1 to f32",
        "f32",
        "0[i] = f32(isnan(arg0[i, j]) or arg0[i, j] <> arg1[i])",
    ),
    (
        "%b = arith.cmpi ult, %x0, %x1 : i8\n%t = arith.constant true\n%n = arith.xori %b, %t : i1\n"
        "%r = arith.extui %n : i1 to i8",
        "i8",
        "0[i] = i8(not unsigned(arg0[i, j]) < unsigned(arg1[i]))",
    ),
    (
        "%i = linalg.index 1 : index\n%j = arith.index_cast %i : index to i8\n%s = arith.andi %j, %x0 : i8\n"
        "%r = arith.addi %a0, %s : i8",
        "i8",
        "0[i] += i8(j) & arg0[i, j]",
    ),
]


@pytest.mark.parametrize(("body", "type_", "text"), BODIES, ids=range(len(BODIES)))
def test_body(body: str, type_: str, text: str) -> None:
    inputs: list[Operand] = [("d0, d1", type_), ("d0", type_)]
    source = generic(inputs, [("d0", type_)], f"{body}\nyield %r : {type_}", iterators=2)
    assert str(equation(source)) == text


def test_maps_and_several_results() -> None:
    body = "%s = arith.addf %a0, %x0 : f32\nyield %s, %x0 : f32, f32"
    inputs: list[Operand] = [("d0 * 2 + d1 floordiv 4, d1 mod 2, 0", "f32")]
    found = equation(generic(inputs, [("d0", "f32"), ("d0, d1", "f32")], body, iterators=2))
    element = "arg0[i * 2 + j // 4, j % 2, 0]"
    assert found.lines == (f"0#0[i] += {element}", f"0#1[i, j] = {element}")


def test_captured_values_have_their_names() -> None:
    body = "%i = linalg.index 0 : index\n%e = tensor.extract %t[%i] : tensor<8xf32>\n%p = arith.mulf %e, %s : f32\nyield %p : f32"
    text = generic([("d0", "f32")], [("d0", "f32")], body, iterators=1, captures="%s: f32, %t: tensor<8xf32>")
    assert str(equation(text)) == "0[i] = arg3[i] * arg2"


def test_long_expressions_are_cut() -> None:
    steps = [f"%s{n + 1} = arith.mulf %s{n}, %x0 : f32" for n in range(12)]
    body = "\n".join(
        ["%s0 = arith.addf %x0, %x0 : f32", *steps, "%r = math.exp %s12 : f32", "yield %r : f32"]
    )
    found = equation(generic([("d0", "f32")], [("d0", "f32")], body, iterators=1))
    assert found.lines[0].startswith("let t0 = ") and found.lines[-1].startswith("0[i] = exp(t")
    assert all(len(line) < 110 for line in found.lines)


def test_letters_are_not_names_of_tensors() -> None:
    text = named("matmul", "4x5xf32 5x6xf32", "4x6xf32")
    names = iter("kmnabc")
    made: dict[ir.Value, str] = {}

    def name(value: ir.Value) -> str:
        return made.setdefault(value, next(names))

    def written(op: ir.Operation) -> Equation | None:
        found = equation_of(op, name)
        made.clear()
        return found

    found = with_op(text, written)
    assert found is not None
    assert set(found.iterators).isdisjoint({*found.inputs, *found.results})
    assert len(set(found.iterators)) == 3


def test_starts_of_accumulators() -> None:
    text = """
      func.func @f(%x: tensor<4x5xf32>, %o: tensor<4xf32>) -> tensor<4xf32> {
        %inf = arith.constant 0xFF800000 : f32
        %init = tensor.empty() : tensor<4xf32>
        %low = linalg.fill ins(%inf : f32) outs(%init : tensor<4xf32>) -> tensor<4xf32>
        %r = linalg.reduce { arith.maximumf } ins(%x : tensor<4x5xf32>) outs(%low : tensor<4xf32>) dimensions = [1]
        return %r : tensor<4xf32>
      }"""
    assert equation(text, "linalg.reduce").starts == ("reduced starts as -inf",)
    assert equation(text, "linalg.fill").starts == ()


def test_prover_speaks_of_letters() -> None:
    found = equation(named("conv_1d", "9xf32 3xf32", "7xf32"))
    assert found.named("d1 is not isolated: input 0 is read at d0 + d1") == (
        "s is not isolated: arg0 is read at w + s"
    )
    assert found.named("the body reads the position linalg.index 0, output 0") == (
        "the body reads the position of w, 0"
    )
