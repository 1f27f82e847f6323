"""Compiling again what was compiled before: what is found in the cache, what is not, and that it is the same program."""

import dataclasses
import importlib
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from torch import Tensor, nn

import pit_mlir as pit
from pit_mlir import artifact, target
from pit_mlir.cache import DIRECTORY_VARIABLE, SIZE_VARIABLE, Cache

pytestmark = pytest.mark.usefixtures("inference")
compiler: Any = importlib.import_module("pit_mlir.compile")


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(DIRECTORY_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.delenv(SIZE_VARIABLE)
    return tmp_path / "cache"


@pytest.fixture
def translations(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How often something was really compiled: the length of the list."""
    done: list[int] = []
    translate: Callable[..., Any] = compiler.translate

    def counted(*arguments: Any) -> Any:
        done.append(1)
        return translate(*arguments)

    monkeypatch.setattr(compiler, "translate", counted)
    return done


class Masked(nn.Module):
    """Tokens that count, through two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(16, 33)
        self.second = nn.Linear(33, 7)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return self.second(torch.relu(self.first(x))) * mask[..., None]


MASK = torch.ones(3, 9, dtype=torch.bool)
MASK[1:, 4:] = False
CALL = torch.randn(3, 9, 16), MASK
SPARSITY = [pit.Padding("mask")]


def test_what_is_found_is_the_same(translations: list[int]) -> None:
    """Bits, text, explanation, and what a sample call says; weights are those of the model at hand."""
    torch.manual_seed(0)
    model, other = Masked().eval(), Masked().eval()
    made = pit.compile(model, CALL, sparsity=SPARSITY)
    found = pit.compile(model, CALL, sparsity=SPARSITY)
    for_other = pit.compile(other, CALL, sparsity=SPARSITY)
    assert len(translations) == 1
    assert torch.equal(made(*CALL), found(*CALL))
    torch.testing.assert_close(for_other(*CALL), other(*CALL))
    assert (made.ir, str(made.explain())) == (found.ir, str(found.explain()))
    assert made.explain(*CALL).sample == found.explain(*CALL).sample
    with pytest.raises(pit.InputError, match="'x' is a tensor of float64"):
        found(CALL[0].double(), CALL[1])
    with torch.no_grad():
        model.second.bias += 1
    torch.testing.assert_close(found(*CALL), model(*CALL))


def test_frozen_weights(translations: list[int]) -> None:
    """The snapshot is that of the model at hand, and `refresh` takes a new one."""
    options = pit.CompileOptions(freeze=True)
    for _ in range(2):
        model = Masked().eval()
        compiled = pit.compile(model, CALL, sparsity=SPARSITY, options=options)
        torch.testing.assert_close(compiled(*CALL), expected := model(*CALL))
        model.first.weight.zero_()
        torch.testing.assert_close(compiled(*CALL), expected)
        compiled.refresh()
        torch.testing.assert_close(compiled(*CALL), model(*CALL))
    assert len(translations) == 1


TEXT = """
func.func @main(%x: tensor<ROWSx3xELEMENT> {pit.name = "x"}, %mask: tensor<ROWSxi1> {pit.name = "mask"})
    -> tensor<ROWSx3xELEMENT> {
  %c = arith.constant dense<[1.0, 2.0, VALUE]> : tensor<3xELEMENT>
  %e = tensor.empty() : tensor<ROWSx3xELEMENT>
  %b = linalg.broadcast ins(%c : tensor<3xELEMENT>) outs(%e : tensor<ROWSx3xELEMENT>) dimensions = [0]
  %y = arith.addf %x, %b : tensor<ROWSx3xELEMENT>
  return %y : tensor<ROWSx3xELEMENT>
}"""


def text(rows: int = 2, element: str = "f32", value: float = 3.0) -> str:
    return TEXT.replace("ROWS", str(rows)).replace("ELEMENT", element).replace("VALUE", str(value))


def test_what_decides_the_code_is_in_the_key(
    translations: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another option, type, shape, constant, processor or compiler is compiled anew; nothing else is."""

    def compiled(again: bool, program: str = text(), **options: Any) -> pit.CompiledModule:
        before = len(translations)
        result = pit.compile(program, options=pit.CompileOptions(**options))
        assert len(translations) == before + again
        return result

    compiled(True)
    compiled(False, check_finite=True, progress=lambda phase, done, total: None)
    compiled(True, freeze=True)
    compiled(True, floats="strict")
    compiled(True, deterministic=True)
    compiled(True, text(rows=4))
    compiled(True, text(element="f64"))
    other = compiled(True, text(value=2.5))
    x, mask = numpy.zeros((2, 3), numpy.float32), numpy.ones(2, bool)
    numpy.testing.assert_array_equal(other(x, mask), [[1, 2, 2.5]] * 2)
    numpy.testing.assert_array_equal(compiled(False)(x, mask), [[1, 2, 3]] * 2)
    compiled(True, cache=False)
    narrow = dataclasses.replace(target.host(), l2_bytes=12345)
    for name, changed in (("host", narrow), ("processor", "another"), ("compiler_digest", "another")):
        with monkeypatch.context() as patched:
            patched.setattr(artifact, name, lambda changed=changed: changed)
            compiled(True)
    with monkeypatch.context() as patched:
        # As benchmarks do that compare with the compiler without some of its passes.
        patched.setattr(compiler, "rewrite_pipeline", lambda padding, **options: ("pit-normalize",))
        compiled(True)
    compiled(False)


def test_what_is_declared_is_in_the_key(translations: list[int]) -> None:
    model = Masked().eval()
    for sparsity in ([], SPARSITY, []):
        pit.compile(model, CALL, sparsity=sparsity)
    assert len(translations) == 2


ZEROS = numpy.zeros((2, 3), numpy.float32), numpy.ones(2, bool)


def test_damaged_entries_are_compiled_again(
    place: Path, translations: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    pit.compile(text())
    (entry,) = (place / "programs").iterdir()
    content = bytearray(entry.read_bytes())
    content[len(content) // 2] ^= 0xFF
    entry.write_bytes(content)
    for _ in range(2):
        numpy.testing.assert_array_equal(pit.compile(text())(*ZEROS), [[1, 2, 3]] * 2)
    assert len(translations) == 2
    assert "is damaged" in caplog.text


def test_code_that_only_an_engine_can_load_is_not_kept(
    monkeypatch: pytest.MonkeyPatch, translations: list[int]
) -> None:
    """As on a processor whose object files we do not read: the engine's own copy runs."""
    monkeypatch.setattr("pit_mlir.runtime.engine.is_loadable", lambda content: False)
    for _ in range(2):
        numpy.testing.assert_array_equal(pit.compile(text())(*ZEROS), [[1, 2, 3]] * 2)
    assert len(translations) == 2
    assert Cache("programs").entries() == []


SCRIPT = """
import importlib, sys, torch, model
import pit_mlir as pit
compiler = importlib.import_module("pit_mlir.compile")
translate, done = compiler.translate, []
compiler.translate = lambda *arguments: done.append(1) or translate(*arguments)
torch.manual_seed(0)
net = model.Net().eval()
with torch.inference_mode():
    y = pit.compile(net, (torch.zeros(2, 8),))
    print(len(done), y(torch.ones(2, 8)).numpy().tobytes().hex())
    print(y.explain())
"""
MODEL = """
import torch
class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(8, 3)
    def forward(self, x):
        return torch.relu(self.layer(x))
"""


def run(folder: Path, seed: str) -> list[str]:
    """What the script prints in a process that orders its sets by `seed`."""
    path = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": path}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_another_process_finds_it(tmp_path: Path) -> None:
    """Also if the model's file has got another comment, which the explanation then shows."""
    source = tmp_path / "model.py"
    source.write_text(textwrap.dedent(MODEL))
    first = run(tmp_path, "1")
    source.write_text(source.read_text().replace("relu(self.layer(x))", "relu(self.layer(x))  # live"))
    second = run(tmp_path, "2")
    assert [lines[0].split()[0] for lines in (first, second)] == ["1", "0"]
    assert first[0].split()[1] == second[0].split()[1], "other bits"
    assert not any("# live" in line for line in first)
    assert any("# live" in line for line in second)
