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
from pit_mlir import artifact_cache, target
from pit_mlir.cache import DIRECTORY_VARIABLE, SIZE_VARIABLE, Cache
from pit_mlir.codegen.gpu.ptx import PTXAS_VARIABLE
from pit_mlir.frontend import torch_import

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


@pytest.fixture
def imports(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How often an exported model was really imported: the length of the list."""
    done: list[int] = []
    import_captured: Callable[..., Any] = torch_import.import_captured

    def counted(*arguments: Any) -> Any:
        done.append(1)
        return import_captured(*arguments)

    monkeypatch.setattr(torch_import, "import_captured", counted)
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
            patched.setattr(artifact_cache, name, lambda changed=changed: changed)
            compiled(True)
    with monkeypatch.context() as patched:
        # As benchmarks do that compare with the compiler without some of its passes.
        patched.setattr(compiler, "rewrite_pipeline", lambda padding, **options: ("pit-normalize",))
        compiled(True)
    compiled(False)


def test_the_assembler_of_kernels_is_in_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def steps(name: str, assembler: str) -> list[str]:
        path = tmp_path / assembler
        path.write_text(f"#!/bin/sh\nexec {assembler}\n")
        path.chmod(0o755)
        monkeypatch.setenv(PTXAS_VARIABLE, str(path))
        return compiler.steps_of((), compiler.Plan(pit.CompileOptions(), target.Target.of(name)))

    assert steps("cuda:sm_80", "one") == steps("cuda:sm_80", "one") != steps("cuda:sm_80", "another")
    assert steps("emulator", "one") == steps("emulator", "another")
    assert steps("cpu", "one") == steps("cpu", "another")


def test_what_is_declared_is_in_the_key(translations: list[int]) -> None:
    model = Masked().eval()
    for sparsity in ([], SPARSITY, []):
        pit.compile(model, CALL, sparsity=sparsity)
    assert len(translations) == 2


class Scaled(nn.Module):
    """With constants that the exporter finds, one of them not below any name, and a buffer that is written to."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factors = torch.full((3,), factor)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: Tensor, power: int = 2) -> tuple[Tensor, Tensor, int]:
        self.calls += 1
        return (x * self.factors) ** power + torch.tensor([1.0, 2.0, 3.0]), self.calls, power


def test_a_known_model_is_not_imported(imports: list[int]) -> None:
    """Constants, write-backs and answers are those of the model at hand."""
    x = torch.randn(4, 3)
    for factor in (2.0, 3.0):
        model, expected = Scaled(factor).eval(), Scaled(factor).eval()
        compiled = pit.compile(model, (x,))
        for _ in range(2):
            torch.testing.assert_close(compiled(x), expected(x))
    assert len(imports) == 1
    assert (pit.compile(Scaled(1.0).eval(), (x, 3))(x, 3)[2], len(imports)) == (3, 2)


ROWS, TOKENS = torch.export.Dim("rows", max=64), torch.export.Dim("tokens", max=64)


class Halves(nn.Module):
    """Follows another path for few rows."""

    def forward(self, x: Tensor) -> Tensor:
        return x + 1 if x.shape[0] > 4 else x * 2


def test_what_decides_the_import_is_in_the_fingerprint(
    imports: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sizes and their names, types, values that are compiled in, what torch takes for granted; nothing else."""

    def compiled(again: bool, model: nn.Module, *args: Any, **shapes: Any) -> pit.CompiledModule:
        before = len(imports)
        result = pit.compile(model.eval(), args, dynamic_shapes=shapes or None)
        assert len(imports) == before + again
        return result

    x = torch.randn(8, 3)
    compiled(True, Halves(), x)
    compiled(False, Halves(), torch.zeros(8, 3))
    compiled(True, Halves(), x.double())
    compiled(True, Halves(), x[:5])
    compiled(True, Halves(), x, x={0: torch.export.Dim("rows", min=5, max=64)})
    few = compiled(True, Halves(), x[:3], x={0: torch.export.Dim("rows", min=2, max=4)})
    with pytest.raises(pit.InputError, match="rows"):
        few(x)
    compiled(True, nn.Softmax(-1), x, input={0: ROWS})
    named = compiled(True, nn.Softmax(-1), x, input={0: TOKENS})
    with pytest.raises(pit.InputError, match="tokens in"):
        named(torch.zeros(65, 3))
    compiled(False, nn.Softmax(-1), x, input={0: ROWS})
    compiled(True, nn.Softmax(0), x, input={0: ROWS})
    with monkeypatch.context() as patched:
        patched.setattr(torch, "__version__", "another")
        compiled(True, Halves(), x)


@torch.library.custom_op("pit_cache_test::twice", mutates_args=())
def twice(x: Tensor) -> Tensor:
    return x * 2


@twice.register_fake
def _(x: Tensor) -> Tensor:
    return torch.empty_like(x)


class Custom(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return twice(x)


def test_operators_of_others_have_no_fingerprint() -> None:
    """What they are taken apart into is decided by code that we do not see."""
    captured = torch_import.capture_model(Custom(), (torch.zeros(3),))
    assert captured.fingerprint() is None
    assert torch_import.capture_model(Scaled(1.0), (torch.zeros(3),)).fingerprint()


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
import pit_mlir.frontend.torch_import as torch_import
import_captured = torch_import.import_captured
torch_import.import_captured = lambda *arguments: done.append(1) or import_captured(*arguments)
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
    assert [lines[0].split()[0] for lines in (first, second)] == ["2", "0"]
    assert first[0].split()[1] == second[0].split()[1], "other bits"
    assert not any("# live" in line for line in first)
    assert any("# live" in line for line in second)
