"""Compiled models in files: what comes back answers like the model, and what cannot run says so."""

import collections
import dataclasses
import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from targets import ON_CPU
from torch import nn

import pit_mlir as pit
from pit_mlir import program_file
from pit_mlir.container import Container, packed
from pit_mlir.errors import InputError, PitError, PlatformError, UnsupportedError
from pit_mlir.tools import compile_command, run_command


class Pair(NamedTuple):
    """An answer with names."""

    y: Any
    count: Any


class Model(nn.Module):
    """Tied weights, a buffer that no state dict has, a write to a buffer, several kinds of answers."""

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.Linear(8, 16)
        self.down = nn.Linear(16, 8, bias=False)
        self.tied = nn.Linear(16, 8, bias=False)
        self.tied.weight = self.down.weight
        self.register_buffer("scale", torch.tensor(2.0), persistent=False)
        self.register_buffer("calls", torch.zeros(1))

    def forward(self, x: Any, extra: Any, *, double: bool = False) -> Any:
        h = torch.relu(self.up(x)) * self.scale
        self.calls.add_(1)
        return {
            "pair": Pair(self.down(h) + self.tied(h), x.shape[0]),
            "list": [extra["a"] + 1, double],
            "none": None,
        }


class Plain(nn.Module):
    """Weights alone: what freezing prepares."""

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.Linear(64, 96)
        self.down = nn.Linear(96, 64)
        self.register_buffer("shift", torch.tensor(0.5), persistent=False)

    def forward(self, x: Any) -> Any:
        return self.down(torch.relu(self.up(x) + self.shift))


@pytest.fixture(autouse=True)
def no_grad() -> Any:
    torch.manual_seed(0)
    with torch.no_grad():
        yield


BATCH = torch.export.Dim("batch", min=1, max=100)


def call(rows: int) -> tuple[Any, Any]:
    return torch.randn(rows, 8), {"a": torch.ones(2), "b": torch.ones(3)}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Model, Path, Path]:
    """A model, and its program in a file, with its weights and without."""
    folder = tmp_path_factory.mktemp("saved")
    model = Model().eval()
    shapes = {"x": {0: BATCH}, "extra": {"a": None, "b": None}}
    fast = pit.compile(model, call(3), dynamic_shapes=shapes)
    paths = folder / "with.pit", folder / "without.pit"
    fast.save(paths[0])
    fast.save(str(paths[1]), weights=False)
    return model, *paths


def verify(loaded: Any, model: Model, rows: int) -> None:
    x, extra = call(rows)
    before = model.calls.clone()
    want, got = model(x, extra), loaded(x, extra={"b": extra["b"], "a": extra["a"]})
    model.calls.copy_(before)
    assert type(got["pair"]) is Pair
    torch.testing.assert_close(got["pair"].y, want["pair"].y)
    assert (got["pair"].count, got["none"]) == (rows, None)
    torch.testing.assert_close(got["list"], want["list"])


def test_a_file_answers_like_the_model(saved: tuple[Model, Path, Path]) -> None:
    model, path, _ = saved
    loaded = pit.load(path)
    for rows in (1, 7, 33):
        verify(loaded, model, rows)
    with pytest.raises(InputError, match=r"batch in 1\.\.100"):
        loaded(*call(101))
    with pytest.raises(InputError, match="'double' is True; the model was compiled without it"):
        loaded(*call(2), double=True)
    assert "compact" in loaded.ir or "func.func" in loaded.ir
    assert str(loaded.explain()) == str(pit.load(str(path)).explain())
    assert loaded.explain(*call(2)).sample is not None


def test_weights_are_given(saved: tuple[Model, Path, Path]) -> None:
    """A module's are read live, a state dict's too; what no state dict has is in the file."""
    model, _, path = saved
    with pytest.raises(
        InputError, match=r"does not have the model's weights: give them to load\(path, weights=...\)"
    ):
        pit.load(path)
    by_module, by_state = pit.load(path, weights=model), pit.load(path, weights=model.state_dict())
    for loaded in (by_module, by_state):
        verify(loaded, model, 5)
    model.up.weight.mul_(-1)
    for loaded in (by_module, by_state):
        verify(loaded, model, 5)
    with pytest.raises(InputError, match=r"weights are missing in what was given: 'up\.weight'"):
        pit.load(path, weights={"up.bias": model.up.bias})
    with pytest.raises(InputError, match=r"the Linear that was given has no 'up\.weight'"):
        pit.load(path, weights=nn.Linear(2, 2))
    with pytest.raises(InputError, match="weights = a list, expected a module, or a state dict"):
        pit.load(path, weights=[1])
    with pytest.raises(InputError, match=r"weight 'up\.bias' is a tensor of float32 and shape \[3\]"):
        pit.load(path, weights={**model.state_dict(), "up.bias": torch.zeros(3)})(*call(2))


def test_weights_in_the_file_are_its_own(saved: tuple[Model, Path, Path], tmp_path: Path) -> None:
    """Tied weights are there once; what the model writes stays with the loaded program; it can be saved again."""
    _, path, _ = saved
    loaded = pit.load(path)
    tensors = loaded._model.weights.read()
    assert len({tensor.data_ptr() for tensor in tensors}) == len(tensors)
    with path.open("rb") as file:
        assert sum(name.startswith("tensor.") for name in Container(file, "").parts) == len(tensors)
    first = loaded(*call(2))
    loaded.save(tmp_path / "again.pit")
    again = pit.load(tmp_path / "again.pit")
    assert [t.tolist() for t in again._model.weights.read() if t.shape == (1,)] == [[1.0]]
    assert pit.load(path)(*call(2)).keys() == first.keys()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_frozen_weights(tmp_path: Path, dtype: torch.dtype) -> None:
    model = Plain().eval().to(dtype)
    x = torch.randn(5, 64, dtype=dtype)
    fast = pit.compile(model, (x,), options=pit.CompileOptions(freeze=True))
    fast.save(tmp_path / "frozen.pit")
    fast.save(tmp_path / "light.pit", weights=False)
    want = fast(x)
    loaded = pit.load(tmp_path / "frozen.pit")
    torch.testing.assert_close(loaded(x), want, rtol=0, atol=0)
    with pytest.raises(InputError, match="does not have the model's weights"):
        loaded.refresh()
    with pytest.raises(InputError, match="does not have the model's weights"):
        pit.load(tmp_path / "light.pit")
    for name in ("frozen.pit", "light.pit"):
        given = pit.load(tmp_path / name, weights=model)
        torch.testing.assert_close(given(x), want, rtol=0, atol=0)
    model.up.bias.add_(1)
    torch.testing.assert_close(given(x), want, rtol=0, atol=0)
    given.refresh()
    torch.testing.assert_close(given(x), model(x), rtol=0.05, atol=0.05)
    del model
    fast.save(tmp_path / "gone.pit")
    torch.testing.assert_close(pit.load(tmp_path / "gone.pit")(x), want, rtol=0, atol=0)


def test_padding(tmp_path: Path) -> None:
    class Masked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(6, 4)

        def forward(self, x: Any, mask: Any) -> Any:
            return torch.relu(self.linear(x)) * mask[..., None]

    model = Masked().eval()
    mask = torch.tensor([[1, 1, 0], [1, 0, 0]]).float()
    x = torch.randn(2, 3, 6)
    fast = pit.compile(model, (x, mask), sparsity=[pit.Padding("mask")])
    fast.save(tmp_path / "x.pit")
    torch.testing.assert_close(pit.load(tmp_path / "x.pit")(x, mask), model(x, mask))


def test_autocast_must_be_as_it_was(tmp_path: Path) -> None:
    model = Plain().eval()
    x = torch.randn(5, 64)
    with torch.autocast("cpu", torch.bfloat16):
        pit.compile(model, (x,)).save(tmp_path / "x.pit")
    loaded = pit.load(tmp_path / "x.pit")
    with pytest.raises(
        InputError, match=r"compiled under torch.autocast of torch.bfloat16 and called under no autocast"
    ):
        loaded(x)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(loaded(x), model(x), rtol=0.05, atol=0.05)


def test_programs_in_mlir(tmp_path: Path) -> None:
    fast = pit.compile(
        "func.func @main(%x: tensor<?x3xbf16>) -> tensor<?x3xbf16> { return %x : tensor<?x3xbf16> }"
    )
    fast.save(tmp_path / "x.pit")
    loaded = pit.load(tmp_path / "x.pit")
    (x,) = (np.ones((2, 3), fast._program.signature.arguments[0].element.numpy),)
    np.testing.assert_array_equal(loaded(arg0=x).astype(np.float32), np.ones((2, 3)))
    with pytest.raises(InputError, match="a program in MLIR has no weights"):
        pit.load(tmp_path / "x.pit", weights={})


def test_the_emulated_gpu(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU()).eval()
    x = torch.randn(3, 8)
    pit.compile(model, (x,), target="emulator").save(tmp_path / "x.pit")
    loaded = pit.load(tmp_path / "x.pit")
    torch.testing.assert_close(loaded(x), model(x))


def changed(path: Path, change: Any) -> bytes:
    """The file with other data, its digests right."""
    with path.open("rb") as file:
        container = Container(file, "")
        data = json.loads(json.dumps(container.data))
        change(data)
        return packed(data, {name: container.read(name) for name in container.parts})


def test_files_that_do_not_fit(saved: tuple[Model, Path, Path], tmp_path: Path, monkeypatch: Any) -> None:
    _, path, _ = saved
    bad = tmp_path / "bad.pit"

    def refused(kind: type[PitError], match: str, change: Any) -> None:
        bad.write_bytes(changed(path, change))
        with pytest.raises(kind, match=match):
            pit.load(bad)

    refused(
        PlatformError,
        "was compiled for riscv64, this is",
        lambda d: d["machine"].update(architecture="riscv64"),
    )
    refused(
        PlatformError,
        "was compiled for a processor with the instructions avx1024, which this one lacks",
        lambda d: d["machine"]["instructions"].append("avx1024"),
    )
    refused(InputError, "for version 99 of the run-time library", lambda d: d.update(runtime=99))
    refused(InputError, "holds a recipe, expected a program", lambda d: d.update(kind="recipe"))
    refused(InputError, "is not understood .*another release", lambda d: d["program"].pop("settings"))
    refused(InputError, "is not understood", lambda d: d.pop("call"))
    refused(
        InputError, "is not understood", lambda d: d["program"]["weights"]["tensors"][0].update(dtype="load")
    )
    refused(
        InputError, "is not understood", lambda d: d["program"]["weights"]["tensors"][0].update(shape=[3])
    )
    refused(
        PlatformError,
        r"bad\.pit: .*there is no NVIDIA driver",
        lambda d: d["program"]["settings"]["target"].update(kind="cuda", chip="sm_80"),
    )
    with pytest.raises(InputError, match="cannot be read: No such file"):
        pit.load(tmp_path / "none.pit")
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        pit.load(tmp_path)
    with pytest.raises(InputError, match="cannot be written: No such file"):
        pit.load(path).save(tmp_path / "no" / "where.pit")
    few = dataclasses.replace(program_file.host(), features=frozenset({"sse2"}))
    monkeypatch.setattr(program_file, "host", lambda: few)
    with pytest.raises(PlatformError, match="which this one lacks"):
        pit.load(path)


@pytest.mark.parametrize("step", [97])
def test_every_cut_and_flip_is_an_input_error(
    saved: tuple[Model, Path, Path], tmp_path: Path, step: int
) -> None:
    _, path, _ = saved
    whole = path.read_bytes()
    bad = tmp_path / "bad.pit"
    for place in range(0, len(whole), len(whole) // step):
        flipped = bytearray(whole)
        flipped[place] ^= 0x10
        for content in (whole[:place], bytes(flipped)):
            bad.write_bytes(content)
            try:
                pit.load(bad)
            except InputError as error:
                assert str(bad) in str(error)


def test_the_file_may_go(saved: tuple[Model, Path, Path], tmp_path: Path) -> None:
    """It is read by several threads at once, is written over meanwhile, and goes afterwards."""
    _, path, _ = saved
    copied = tmp_path / "copy.pit"
    copied.write_bytes(path.read_bytes())
    loaded: list[Any] = []
    fast = pit.load(copied)
    threads = [threading.Thread(target=lambda: loaded.append(pit.load(copied))) for _ in range(4)]
    for thread in threads:
        thread.start()
    fast.save(copied)
    for thread in threads:
        thread.join()
    copied.unlink()
    assert len(loaded) == 4
    for one in loaded:
        one._model.weights.read()
        assert one(*call(2))["none"] is None
    assert not list(tmp_path.iterdir())


def test_answers_of_classes_that_nobody_finds(tmp_path: Path) -> None:
    local = collections.namedtuple("local", "y")

    class Local(nn.Module):
        def forward(self, x: Any) -> Any:
            return local(x + 1)

    local.__qualname__ = "somewhere.<locals>.local"
    with pytest.raises(UnsupportedError, match="where no other process finds it: put it into a module"):
        pit.compile(Local().eval(), (torch.ones(2),)).save(tmp_path / "x.pit")
    assert not list(tmp_path.iterdir())


SCRIPT = """
import sys
for name in ("torch_mlir", "z3", "llvmlite"):
    sys.modules[name] = None
import torch, pit_mlir
x, want = torch.load({tensors!r})
with torch.no_grad():
    torch.testing.assert_close(pit_mlir.load({path!r})(x), want)
try:
    pit_mlir.load({path!r}).explain(x)
except pit_mlir.PlatformError as error:
    assert "needs the compiler" in str(error)
from pit_mlir.tools.pit_mlir import main
sys.argv = ["pit-mlir", "run", {path!r}, "--inputs", {arrays!r}]
main()
"""


def test_loading_needs_no_compiler(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU()).eval()
    x = torch.randn(3, 8)
    path, tensors, arrays = (str(tmp_path / name) for name in ("x.pit", "x.pt", "x.npz"))
    pit.compile(model, (x,)).save(path)
    torch.save((x, model(x)), tensors)
    np.savez(arrays, input=x.numpy())
    script = SCRIPT.format(path=path, tensors=tensors, arrays=arrays)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "float32 [3, 16], 0 to" in done.stdout


NET = """
import torch
from torch import nn

model = nn.Linear(4, 3).eval()
inputs = (torch.ones(2, 4),)
"""


def test_the_commands(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(NET)
    np.savez("call.npz", input=np.ones((2, 4), np.float32))
    options = pit.CompileOptions()
    assert compile_command.run("net.py", None, (), None, options, weights=True) == 0
    assert f"net.pit: 0.0 MiB for {'cpu' if ON_CPU else 'emulator'}" in capsys.readouterr().out
    assert run_command.run("net.pit", None, None, 1) == 0
    assert "takes input: float32 [2, 4]" in capsys.readouterr().out
    assert run_command.run("net.pit", "call.npz", "answer.npz", 2) == 0
    assert "answer: float32 [2, 3]," in capsys.readouterr().out
    assert np.load("answer.npz")["answer"].shape == (2, 3)
    np.savez("call.npz", other=np.ones(1))
    np.savez("objects.npz", input=np.array([None]))
    np.save("array.npy", np.ones((2, 4)))
    wrong = ("call.npz", "none.npz", "objects.npz", "array.npy")
    for arguments in (("net.py", None), *(("net.pit", name) for name in wrong)):
        assert run_command.run(*arguments, None, 1) == 1
    told = capsys.readouterr().err
    for text in (
        "net.py: error: is no file of pit_mlir",
        "got the arguments ['other'], the program takes ['input']",
        "cannot read 'none.npz' as an .npz file: No such file or directory",
        "cannot read 'input' of 'objects.npz': it is an array of Python objects",
        "cannot read 'array.npy' as an .npz file, it is a single array without a name: numpy.savez(",
    ):
        assert text in told
    assert "pickle" not in told
    assert compile_command.run("net.py", "no/net.pit", (), None, options, weights=True) == 1
    assert compile_command.run("net.py", None, (), "cuda:sm_1", options, weights=True) == 1


def test_what_a_program_for_a_gpu_takes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its inputs and chips can be looked at where there is no GPU; a call says which chips there would have to be."""

    def none(_: object) -> None:
        raise PlatformError("there is no NVIDIA driver")

    path = str(tmp_path / "net.pit")
    pit.compile(nn.Linear(4, 3).eval(), (torch.ones(2, 4),), target="cuda:sm_80").save(path)
    monkeypatch.setattr(program_file, "device_of", none)
    assert run_command.run(path, None, None, 1) == 0
    told = capsys.readouterr().out
    assert "Linear for cuda:sm_80" in told and "takes input: float32 [2, 4]" in told
    assert "does not run here: has " in told and "for sm_80" in told
    with pytest.raises(
        PlatformError, match=r"has .* for sm_80, and nothing here runs it: there is no NVIDIA driver"
    ):
        pit.load(path)
