"""`pit-mlir explain`: models from files of three kinds, reports of three kinds, and errors that name a line."""

import json
from pathlib import Path

import numpy
import pytest
import torch
from typer.testing import CliRunner

from pit_mlir.tools.pit_mlir import app

NET = """\
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.down = nn.Linear(width, 4)

    def forward(self, x, mask):
        return self.down(torch.relu(x)) * mask[..., None]


def model():
    return Net().eval()


wide = Net(16).eval()
inputs = torch.ones(3, 5, 8), torch.arange(5) < torch.tensor([[1], [5], [2]])
"""
MASKED = """\
func.func @main(%x: tensor<?x4xf32> {pit.name = "x"}) -> tensor<?x4xf32> {
  %c0 = arith.constant 0 : index
  %zero = arith.constant 0.0 : f32
  %n = tensor.dim %x, %c0 : tensor<?x4xf32>
  %init = tensor.empty(%n) : tensor<?x4xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i, j)>],
                       iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<?x4xf32>) outs(%init : tensor<?x4xf32>) {
  ^bb0(%in: f32, %out: f32):
    %m = arith.maximumf %in, %zero : f32
    linalg.yield %m : f32
  } -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}
"""


def explain(*words: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["explain", *map(str, words)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def net(tmp_path: Path) -> Path:
    path = tmp_path / "net.py"
    path.write_text(NET)
    return path


def test_python_file(net: Path, tmp_path: Path) -> None:
    status, output, errors = explain(net, "-o", tmp_path / "report.html")
    assert (status, errors) == (0, "")
    assert output.endswith(
        "report.html: 3 operators on live rows, 1 on lists, 0 dense; 53.3 % of the dense multiply-adds\n"
    )
    page = (tmp_path / "report.html").read_text()
    assert "<title>Net: sparsity that was found</title>" in page and "8 of 15 rows" in page


def test_exported_program_and_json(net: Path, tmp_path: Path) -> None:
    names: dict[str, object] = {}
    exec(compile(NET, str(net), "exec"), names)
    program = torch.export.export(names["model"](), names["inputs"])  # type: ignore[operator]
    torch.export.save(program, tmp_path / "net.pt2")
    status, output, errors = explain(tmp_path / "net.pt2", "--json")
    found = json.loads(output)
    assert (status, errors, found["title"]) == (0, "", "net.pt2")
    (rows,) = [pattern for pattern in found["sample"]["patterns"] if pattern["kind"] == "rows"]
    assert rows["live"] == 8
    numpy.savez(tmp_path / "call.npz", x=numpy.ones((3, 5, 8), "f4"), mask=numpy.ones((3, 5), bool))
    status, output, _ = explain(tmp_path / "net.pt2", "--inputs", tmp_path / "call.npz")
    assert status == 0 and "15 of 15 rows of 'mask' are listed" in output
    numpy.savez(tmp_path / "call.npz", y=numpy.ones((3, 5, 8), "f4"))
    status, _, errors = explain(tmp_path / "net.pt2", "--inputs", tmp_path / "call.npz")
    assert (status, errors) == (
        1,
        "pit-mlir: error: got the arguments ['y'], the program takes ['x', 'mask']\n",
    )


def test_mlir_with_and_without_a_call(tmp_path: Path) -> None:
    path = tmp_path / "masked.mlir"
    path.write_text(MASKED)
    status, output, _ = explain(path, "-o", tmp_path / "a.json")
    assert status == 0 and output.endswith("; no sample run\n")
    assert json.loads((tmp_path / "a.json").read_text())["sample"] is None
    numpy.savez(tmp_path / "call.npz", x=numpy.ones((7, 4), "f4"))
    status, output, _ = explain(path, "--inputs", tmp_path / "call.npz")
    assert status == 0 and "in the sample run" in output


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x = 1\nmodel = 1 / 0\n", ":2:1: error: ZeroDivisionError: division by zero"),
        ("x = (\n", ":1:5: error: SyntaxError: '(' was never closed"),
        ("def model():\n    raise ValueError('no')\ninputs = ()\n", ":2:1: error: ValueError: no"),
        ("x = 1\n", ": error: has no 'model': name the model"),
        ("model = 1\n", ": error: has no 'inputs'"),
        ("model = 1\ninputs = 2\n", ": error: 'inputs' is a int, expected the arguments of a call"),
    ],
)
def test_faults_of_python_files(text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.py"
    path.write_text(text)
    status, output, errors = explain(path)
    assert (status, output) == (1, "") and errors.startswith(f"{path}{says}"), errors


def test_faults_of_files(net: Path, tmp_path: Path) -> None:
    (tmp_path / "junk.pt2").write_bytes(b"junk")
    (tmp_path / "junk.npz").write_bytes(b"junk")
    (tmp_path / "x.mlir").write_text("func.func @f() {")
    for words, says in (
        (["none.py"], "pit-mlir: error: cannot read 'none.py': no such file"),
        (
            ["net.onnx"],
            "pit-mlir: error: 'net.onnx' is no model: expected a file that ends in .py, .pt2, .mlir",
        ),
        ([tmp_path / "junk.pt2"], f"{tmp_path}/junk.pt2: error: not a program of torch.export.save"),
        ([tmp_path / "x.mlir"], f"{tmp_path}/x.mlir:1:15: error: not valid MLIR"),
        ([f"{net}:none"], f"{net}: error: has no 'none'"),
        ([net, "--inputs", "a.npz"], "pit-mlir: error: cannot read 'a.npz' as an .npz file"),
        ([tmp_path / "x.mlir", "--inputs", tmp_path / "junk.npz"], "pit-mlir: error: cannot read"),
        ([net, "--padding", "maks"], "pit-mlir: error: Padding('maks') names no input of the model"),
        ([f"{net}:wide"], f"{net}:11:"),
        ([net, "-o", tmp_path / "a.pdf"], "pit-mlir: error: cannot write a report as"),
    ):
        status, output, errors = explain(*words)
        assert (status, output) == (1, "") and errors.startswith(says), (words, errors)
