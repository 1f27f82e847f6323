"""`.mlir` text as a program, without torch."""

import subprocess
import sys
from pathlib import Path

import pytest

from pit_mlir.dialect import make_context
from pit_mlir.errors import InputError, PitError, UnsupportedError
from pit_mlir.frontend.signature import Argument, ResultOutput
from pit_mlir.frontend.text import import_text

ADD = """
func.func @main(%x: tensor<?x4xf32> {pit.name = "x"}, %1: tensor<4xi1>) -> (tensor<?x4xf32>, tensor<4xi1>) {
  return %x, %1 : tensor<?x4xf32>, tensor<4xi1>
}
"""


def test_arguments_and_results() -> None:
    imported = import_text(ADD, context=make_context())
    assert imported.interface.arguments == (
        Argument("x", "input", "float32", ("x_0", 4)),
        Argument("arg1", "input", "bool", (4,)),
    )
    assert imported.interface.outputs == (ResultOutput(0), ResultOutput(1))
    assert list(imported.interface.symbols) == ["x_0"]
    assert imported.weights.read() == []


def test_calls() -> None:
    call = import_text(ADD, context=make_context()).call
    assert call.flatten((1, 2), {}) == call.flatten((1,), {"arg1": 2}) == [1, 2]
    assert call.unflatten([3]) == 3
    assert call.unflatten([3, 4]) == (3, 4)
    for args, kwargs, message in (
        ((1, 2, 3), {}, "got 3 arguments, the program takes 2"),
        ((1,), {"y": 2}, "no argument 'y'; its arguments are"),
        ((1,), {"x": 2}, "'x' is given twice"),
        ((1,), {}, r"arguments \['arg1'\] are missing"),
    ):
        with pytest.raises(InputError, match=message):
            call.flatten(args, kwargs)


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("nonsense", InputError, r"bad\.mlir:1:1: not valid MLIR: .*'nonsense' is unknown"),
        (
            "func.func @main() -> tensor<1xf32> {\n  return %a : tensor<1xf32>\n}",
            InputError,
            r"bad\.mlir:2:10: not valid MLIR: use of undeclared SSA value",
        ),
        ("func.func @f() { return }", UnsupportedError, r"bad\.mlir: .*@main with a body, found @f"),
        ("module {}", UnsupportedError, "found no function"),
        ("func.func private @main()", UnsupportedError, "@main with a body"),
        ("func.func @main(%a: f32) { return }", UnsupportedError, r"argument 0 \('arg0'\) of @main is f32"),
        ("func.func @main(%a: tensor<*xf32>) { return }", UnsupportedError, "ranked tensor"),
        (
            'func.func @main(%a: tensor<1xf32> {pit.name = "arg1"}, %b: tensor<1xf32>) { return }',
            InputError,
            "names must differ",
        ),
    ],
)
def test_text_that_is_no_program(text: str, kind: type[PitError], message: str) -> None:
    with pytest.raises(kind, match=message):
        import_text(text, context=make_context(), filename="bad.mlir")


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "add.mlir"
    path.write_text(ADD)
    assert import_text(path, context=make_context()).interface.argument_names == ["x", "arg1"]
    with pytest.raises(InputError, match=r"missing\.mlir cannot be read"):
        import_text(tmp_path / "missing.mlir", context=make_context())


def test_needs_no_torch() -> None:
    program = (
        "import sys\nfrom pit_mlir.frontend import padding, signature, text\nsys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
