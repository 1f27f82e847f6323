"""`pit-normalize` keeps results, is idempotent, and leaves alone what it does not understand."""

from pathlib import Path
from typing import Any

import numpy
import pytest
from upstream_jit import run_upstream

from pit_mlir.bindings import ir
from pit_mlir.diagnostics import Report
from pit_mlir.dialect import make_context
from pit_mlir.passes.pit_normalize import Normalize

LIT_FILE = Path(__file__).parents[2] / "lit_tests" / "passes" / "pit-normalize.mlir"
CASES = LIT_FILE.read_text().split("// -----\n")
ELEMENTS = {"i1": "bool", "i8": "int8", "i64": "int64", "f32": "float32"}


def normalize(module: ir.Module) -> str:
    """Normalises `module` and gives its text."""
    Normalize().run(module.operation, Report())
    return str(module)


def function_name(text: str) -> str:
    return text.split("\nfunc.func @")[1].split("(")[0]


def random_arguments(module: ir.Module, entry: str, size: int) -> list[Any]:
    """Fresh data for `entry`; every dynamic dimension and every index argument is `size`."""
    random = numpy.random.default_rng()
    function = next(op for op in module.body.operations if op.attributes["sym_name"].value == entry)
    arguments: list[Any] = []
    for type_ in ir.FunctionType(function.attributes["function_type"].value).inputs:
        if not isinstance(type_, ir.RankedTensorType):
            arguments.append(size)
            continue
        shape = [size if type_.is_dynamic_dim(dim) else type_.get_dim_size(dim) for dim in range(type_.rank)]
        element = ELEMENTS[str(type_.element_type)]
        floats = element.startswith("float")
        data = random.standard_normal(shape) if floats else random.integers(0, 2, shape)
        arguments.append(data.astype(element))
    return arguments


def assert_same_results(text: str, entry: str, size: int = 3) -> str:
    """Runs `entry` before and after normalisation; returns the normal form."""
    with make_context():
        module = ir.Module.parse(text)
        arguments = random_arguments(module, entry, size)
        expected = run_upstream(module, arguments, entry)
        normal = normalize(module)
        found = run_upstream(module, arguments, entry)
    for one, other in zip(expected, found, strict=True):
        numpy.testing.assert_allclose(other, one, rtol=1e-6, atol=1e-6)
    return normal


# Upstream has no code for these on tensors, and calls a function for f16 that no library has everywhere.
WITHOUT_CODE = ("softmax dim", "tm_tensor", "f16")
RUNNABLE = [text for text in CASES if not any(word in text for word in WITHOUT_CODE)]


@pytest.mark.parametrize("text", RUNNABLE, ids=function_name)
@pytest.mark.parametrize("size", [0, 1, 7, 33])
def test_results_stay(text: str, size: int) -> None:
    if size != 7 and "?" not in text:
        pytest.skip("static shapes")
    assert_same_results(text, function_name(text), size)


@pytest.mark.parametrize("text", CASES, ids=function_name)
def test_normalizing_twice_changes_nothing(text: str) -> None:
    with make_context():
        module = ir.Module.parse(text)
        assert normalize(module) == normalize(module)


def random_program(seed: int) -> str:
    """Transposes, broadcasts, reshapes and element-wise operations in random order, then a contraction."""
    random = numpy.random.default_rng(seed)
    lines: list[str] = []
    shape = [int(size) for size in random.choice([1, 2, 3, 7], size=3)]
    argument = " x ".join(map(str, shape)).replace(" ", "")
    name = "%x"

    def type_of(sizes: list[int]) -> str:
        return f"tensor<{'x'.join(map(str, [*sizes, 'f32']))}>"

    kinds = ["transpose", "collapse", "split", "exp", "add", "broadcast", "negate"]
    for number, step in enumerate(random.choice(kinds, size=8)):
        new, init, old = f"%v{number}", f"%e{number}", type_of(shape)
        if step == "transpose":
            order = [int(dim) for dim in random.permutation(len(shape))]
            shape = [shape[dim] for dim in order]
            lines.append(f"{init} = tensor.empty() : {type_of(shape)}")
            operands = f"ins({name} : {old}) outs({init} : {type_of(shape)})"
            lines.append(f"{new} = linalg.transpose {operands} permutation = {order}")
        elif step == "collapse" and len(shape) > 1:
            groups = [[0, 1], *([dim] for dim in range(2, len(shape)))]
            shape = [shape[0] * shape[1], *shape[2:]]
            lines.append(f"{new} = tensor.collapse_shape {name} {groups} : {old} into {type_of(shape)}")
        elif step == "split":
            groups = [*([dim] for dim in range(len(shape) - 1)), [len(shape) - 1, len(shape)]]
            shape = [*shape, 1] if shape[-1] % 7 else [*shape[:-1], shape[-1] // 7, 7]
            types = f"{old} into {type_of(shape)}"
            lines.append(f"{new} = tensor.expand_shape {name} {groups} output_shape {shape} : {types}")
        elif step == "broadcast" and len(shape) < 5:
            shape = [2, *shape]
            lines.append(f"{init} = tensor.empty() : {type_of(shape)}")
            operands = f"ins({name} : {old}) outs({init} : {type_of(shape)})"
            lines.append(f"{new} = linalg.broadcast {operands} dimensions = [0]")
        else:
            operation = {"exp": "exp", "negate": "negf"}.get(str(step), "tanh")
            lines.append(f"{init} = tensor.empty() : {old}")
            lines.append(f"{new} = linalg.{operation} ins({name} : {old}) outs({init} : {old}) -> {old}")
        name = new
    columns = numpy.prod(shape[1:], dtype=int)
    groups = [[0], list(range(1, len(shape)))] if len(shape) > 1 else [[0, 1]]
    flat = f"tensor<{shape[0]}x{columns}xf32>"
    reshape = "tensor.collapse_shape" if len(shape) > 1 else "tensor.expand_shape"
    suffix = "" if len(shape) > 1 else f" output_shape [{shape[0]}, 1]"
    lines.append(f"%flat = {reshape} {name} {groups}{suffix} : {type_of(shape)} into {flat}")
    lines.append(f"%y = linalg.matmul ins(%flat, %w : {flat}, tensor<{columns}x5xf32>)")
    lines.append(f"  outs(%init : tensor<{shape[0]}x5xf32>) -> tensor<{shape[0]}x5xf32>")
    body = "\n  ".join(lines)
    return (
        f"func.func @main(%x: tensor<{argument}xf32>, %w: tensor<{columns}x5xf32>, "
        f"%init: tensor<{shape[0]}x5xf32>) -> tensor<{shape[0]}x5xf32> {{\n  {body}\n"
        f"  return %y : tensor<{shape[0]}x5xf32>\n}}"
    )


@pytest.mark.parametrize("seed", range(8))
def test_random_movement_keeps_results(seed: int) -> None:
    normal = assert_same_results(random_program(seed), "main")
    assert "linalg.transpose" not in normal
    assert "linalg.matmul" not in normal


def checked(text: str, entry: str, arguments: list[Any]) -> list[bool]:
    """The conditions of all checks of the normal form of `entry`."""
    with make_context() as context, ir.Location.unknown():
        module = ir.Module.parse(text)
        normalize(module)
        function = module.body.operations[0]
        block = function.regions[0].blocks[0]
        operations = [child.operation for child in block.operations]
        conditions = [op.operands[0] for op in operations if op.name == "pit.check"]
        with ir.InsertionPoint(operations[-1]):
            ir.Operation.create("func.return", operands=conditions)
        operations[-1].erase()
        given = ir.FunctionType(function.attributes["function_type"].value).inputs
        signature = ir.FunctionType.get(given, [value.type for value in conditions], context)
        function.attributes["function_type"] = ir.TypeAttr.get(signature)
        return [bool(result) for result in run_upstream(module, arguments, entry)]


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        ([[0, 99]], [True, True]),
        ([[5, 100]], [False, True]),
        ([[-1, 3]], [True, False]),
        ([[]], [True, True]),
    ],
)
def test_an_assert_of_a_body_is_checked_over_all_iterations(
    ids: list[list[int]], expected: list[bool]
) -> None:
    text = next(text for text in CASES if "@embedding" in text)
    array = numpy.array(ids, "int64")
    table, init = numpy.zeros((100, 64), "float32"), numpy.zeros((*array.shape, 64), "float32")
    assert checked(text, "embedding", [array, table, init]) == expected


POSITION_ASSERT = """
#id = affine_map<(i, j) -> (i, j)>
#row = affine_map<(i, j) -> (i)>
func.func @main(%x: tensor<3x4xi64>, %b: tensor<3xi64>) -> tensor<3x4xi64> {
  %e = tensor.empty() : tensor<3x4xi64>
  %y = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]}
      ins(%x, %b : tensor<3x4xi64>, tensor<3xi64>) outs(%e : tensor<3x4xi64>) {
  ^bb0(%in: i64, %bound: i64, %out: i64):
    %j = linalg.index 1 : index
    %ji = arith.index_cast %j : index to i64
    %c = arith.cmpi slt, %ji, %bound : i64
    cf.assert %c, "position"
    linalg.yield %in : i64
  } -> tensor<3x4xi64>
  return %y : tensor<3x4xi64>
}
"""


@pytest.mark.parametrize(("bound", "expected"), [(4, True), (3, False)])
def test_an_assert_may_read_a_position_that_no_operand_of_it_has(bound: int, expected: bool) -> None:
    arguments = [numpy.zeros((3, 4), "int64"), numpy.array([4, bound, 5], "int64")]
    assert checked(POSITION_ASSERT, "main", arguments) == [expected]


def test_an_assert_on_an_accumulator_stays() -> None:
    text = """
    #id = affine_map<(i) -> (i)>
    #all = affine_map<(i) -> ()>
    func.func @main(%x: tensor<4xi64>, %init: tensor<i64>) -> tensor<i64> {
      %c9 = arith.constant 9 : i64
      %y = linalg.generic {indexing_maps = [#id, #all], iterator_types = ["reduction"]}
          ins(%x : tensor<4xi64>) outs(%init : tensor<i64>) {
      ^bb0(%in: i64, %out: i64):
        %s = arith.addi %in, %out : i64
        %c = arith.cmpi slt, %s, %c9 : i64
        cf.assert %c, "sum"
        linalg.yield %s : i64
      } -> tensor<i64>
      return %y : tensor<i64>
    }
    """
    with make_context():
        normal = normalize(ir.Module.parse(text))
    assert "cf.assert" in normal
    assert "pit.check" not in normal


def test_equal_checks_are_made_once() -> None:
    text = """
    func.func @main(%n: index, %m: index) {
      %c = arith.cmpi eq, %n, %m : index
      cf.assert %c, "sizes differ"
      %d = arith.cmpi eq, %n, %m : index
      cf.assert %d, "sizes differ"
      return
    }
    """
    with make_context():
        assert normalize(ir.Module.parse(text)).count("pit.check") == 1


def test_checks_that_are_always_true_go() -> None:
    never_negative = POSITION_ASSERT.replace("cmpi slt, %ji, %bound", "cmpi sge, %ji, %zero").replace(
        "%e = tensor", "%zero = arith.constant 0 : i64\n  %e = tensor"
    )
    constant = """
    func.func @main() {
      %c = arith.constant dense<true> : tensor<i1>
      "pit.check"(%c) {message = "never"} : (tensor<i1>) -> ()
      return
    }
    """
    with make_context():
        assert "pit.check" not in normalize(ir.Module.parse(constant))
        assert "pit.check" not in normalize(ir.Module.parse(never_negative))


def test_functions_loops_and_memrefs() -> None:
    text = """
    #id = affine_map<(i) -> (i)>
    func.func private @elsewhere(tensor<4xf32>) -> tensor<4xf32>
    func.func @called(%x: tensor<4xf32>) -> tensor<4xf32> {
      %e = tensor.empty() : tensor<4xf32>
      %y = linalg.exp ins(%x : tensor<4xf32>) outs(%e : tensor<4xf32>) -> tensor<4xf32>
      return %y : tensor<4xf32>
    }
    func.func @main(%x: tensor<4xf32>, %n: index) -> tensor<4xf32> {
      %c0 = arith.constant 0 : index
      %c1 = arith.constant 1 : index
      %y = scf.for %i = %c0 to %n step %c1 iter_args(%v = %x) -> tensor<4xf32> {
        %e = tensor.empty() : tensor<4xf32>
        %a = linalg.add ins(%v, %x : tensor<4xf32>, tensor<4xf32>) outs(%e : tensor<4xf32>) -> tensor<4xf32>
        %b = linalg.tanh ins(%a : tensor<4xf32>) outs(%e : tensor<4xf32>) -> tensor<4xf32>
        scf.yield %b : tensor<4xf32>
      }
      %z = call @called(%y) : (tensor<4xf32>) -> tensor<4xf32>
      return %z : tensor<4xf32>
    }
    func.func @memrefs(%m: memref<4xf32>) {
      linalg.generic {indexing_maps = [#id], iterator_types = ["parallel"]} outs(%m : memref<4xf32>) {
      ^bb0(%out: f32):
        %i = linalg.index 0 : index
        %ii = arith.index_cast %i : index to i64
        %f = arith.sitofp %ii : i64 to f32
        linalg.yield %f : f32
      }
      return
    }
    """
    normal = assert_same_results(
        text.replace("    func.func private @elsewhere(tensor<4xf32>) -> tensor<4xf32>\n", ""), "main"
    )
    assert normal.count("linalg.generic") == 4
    with make_context():
        assert "@elsewhere" in normalize(ir.Module.parse(text))


def test_constants_are_truncated_as_at_run_time() -> None:
    text = """
    #id = affine_map<(i) -> (i)>
    func.func @main(%x: tensor<4xf32>, %e: tensor<4xf32>) -> tensor<4xf32> {
      %c = arith.constant 9.9999999999999998E-13 : f64
      %y = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
          ins(%x : tensor<4xf32>) outs(%e : tensor<4xf32>) {
      ^bb0(%in: f32, %out: f32):
        %t = arith.truncf %c : f64 to f32
        %s = arith.divf %in, %t : f32
        linalg.yield %s : f32
      } -> tensor<4xf32>
      return %y : tensor<4xf32>
    }
    """
    assert "truncf" not in assert_same_results(text, "main")


def test_locations_survive() -> None:
    text = """
    func.func @main(%x: tensor<3x4xf32>, %w: tensor<5x4xf32>, %init: tensor<3x5xf32>) -> tensor<3x5xf32> {
      %e = tensor.empty() : tensor<4x5xf32>
      %t = linalg.transpose ins(%w : tensor<5x4xf32>) outs(%e : tensor<4x5xf32>) permutation = [1, 0]
      %y = linalg.matmul ins(%x, %t : tensor<3x4xf32>, tensor<4x5xf32>) outs(%init : tensor<3x5xf32>)
          -> tensor<3x5xf32> loc("model.py":7:3)
      return %y : tensor<3x5xf32>
    }
    """
    with make_context():
        module = ir.Module.parse(text)
        normalize(module)
        generic = module.body.operations[0].regions[0].blocks[0].operations[0].operation
        assert generic.name == "linalg.generic"
        assert "model.py" in str(generic.location)
