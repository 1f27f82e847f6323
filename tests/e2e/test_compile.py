"""`compile` from outside: structure, live weights, freezing, errors, threads."""

import gc
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy
import pytest
import torch
from expert_models import DIM, Combined
from targets import small
from torch import nn

import pit_mlir as pit
from pit_mlir.bindings import live_contexts

pytestmark = pytest.mark.usefixtures("inference")


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(7, 33)
        self.second = nn.Linear(33, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(torch.relu(self.first(x)))


def close(given: torch.Tensor, expected: torch.Tensor, tolerance: float = 1e-4) -> None:
    torch.testing.assert_close(given.double(), expected.double(), rtol=tolerance, atol=tolerance)


class Structured(nn.Module):
    def forward(self, x: torch.Tensor, pair: tuple[torch.Tensor, torch.Tensor], *, scale: torch.Tensor):
        return {"sum": x + pair[0], "rest": [pair[1] * scale, None, 3], "same": x}


def test_structure_of_call_and_answer() -> None:
    model, x = Structured(), torch.randn(4, 5)
    args, kwargs = (x, (torch.randn(4, 5), torch.randn(5))), {"scale": torch.randn(5)}
    fast = pit.compile(model, args, kwargs)
    given, expected = fast(*args, **kwargs), model(*args, **kwargs)
    assert given.keys() == expected.keys()
    close(given["sum"], expected["sum"])
    close(given["rest"][0], expected["rest"][0])
    assert given["rest"][1:] == [None, 3]
    assert given["same"] is x


CHANGES: dict[str, Callable[[nn.Module], object]] = {
    "copy_": lambda model: model.first.weight.copy_(torch.randn(33, 7)),
    "data": lambda model: setattr(model.first.weight, "data", torch.randn(33, 7)),
    "mul_": lambda model: model.first.weight.data.mul_(torch.rand(33, 7) > 0.5),
    "numpy": lambda model: model.first.weight.detach().numpy().__setitem__(slice(None), 2.0),
    "load_state_dict": lambda model: model.load_state_dict(Small().state_dict()),
    "load_state_dict(assign)": lambda model: model.load_state_dict(Small().state_dict(), assign=True),
    "new parameter": lambda model: setattr(model.first, "weight", nn.Parameter(torch.randn(33, 7))),
    "new module": lambda model: setattr(model, "second", nn.Linear(33, 3)),
}


@pytest.mark.parametrize("name", small(list(CHANGES), ["data", "new parameter"]))
def test_weights_are_read_live(name: str) -> None:
    change = CHANGES[name]
    model, x = Small().eval(), torch.randn(5, 7)
    fast = pit.compile(model, (x,))
    before = fast(x)
    change(model)
    close(fast(x), model(x))
    assert not torch.equal(before, fast(x))


def test_optimizer_step_is_seen() -> None:
    model, x = Small().eval(), torch.randn(5, 7)
    fast = pit.compile(model, (x,))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    with torch.enable_grad():
        model(x).square().sum().backward()
    optimizer.step()
    close(fast(x), model(x))


class FoldedWeights(nn.Module):
    """Computes on weights alone, and uses one as it is."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.randn(6, 7))
        self.b = nn.Parameter(torch.randn(6, 7))
        self.c = nn.Parameter(torch.randn(6))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.linear(x, self.a.tanh() * self.b) + self.c


def test_freeze_is_a_snapshot_until_refresh() -> None:
    model, x = FoldedWeights().eval(), torch.randn(5, 7)
    fast = pit.compile(model, (x,), options=pit.CompileOptions(freeze=True))
    before = model(x)
    close(fast(x), before)
    for weight in model.parameters():
        weight.mul_(0.5)
    close(fast(x), before)
    fast.refresh()
    close(fast(x), model(x))


def test_refresh_needs_freeze() -> None:
    fast = pit.compile(Small().eval(), (torch.randn(5, 7),))
    with pytest.raises(pit.InputError, match="freeze=True"):
        fast.refresh()


def test_inputs_of_any_layout() -> None:
    model = Small().eval()
    fast = pit.compile(model, (torch.randn(5, 7),))
    for x in (torch.randn(7, 5).T, torch.randn(5, 14)[:, ::2], torch.randn(1, 7).expand(5, 7)):
        close(fast(x), model(x))


@pytest.mark.parametrize("options", [{}, {"freeze": True}, 0, "freeze"])
def test_options_of_another_type(options: object) -> None:
    with pytest.raises(pit.InputError, match="expected CompileOptions"):
        pit.compile(Small().eval(), (torch.randn(5, 7),), options=options)  # type: ignore[arg-type]


@pytest.mark.cpu
def test_deterministic_programs_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    from pit_mlir.passes.pit_check_determinism import CheckDeterminism

    checked: list[object] = []
    monkeypatch.setattr(CheckDeterminism, "run", lambda self, op, report: checked.append(op.name))
    for deterministic, freeze, times in ((False, False, 0), (True, False, 1), (True, True, 1)):
        checked.clear()
        options = pit.CompileOptions(deterministic=deterministic, freeze=freeze)
        pit.compile(nn.Linear(3, 2).eval(), (torch.randn(2, 3),), options=options)
        assert len(checked) >= times and bool(checked) == deterministic


WRONG = {
    "shape": (torch.randn(4, 7), r"\[4, 7\].*\[5, 7\]|4.*5"),
    "rank": (torch.randn(7), r"\[7\]"),
    "dtype": (torch.randn(5, 7).double(), r"float64.*float32"),
    "device": (torch.randn(5, 7, device="meta"), "meta"),
    "no tensor": (3.0, "3.0"),
    "sparse layout": (torch.randn(5, 7).to_sparse(), "sparse"),
}


@pytest.mark.cpu
@pytest.mark.parametrize("given, message", WRONG.values(), ids=WRONG.keys())
def test_wrong_arguments(given: object, message: str) -> None:
    fast = pit.compile(Small().eval(), (torch.randn(5, 7),))
    with pytest.raises(pit.InputError, match=message):
        fast(given)


def test_wrong_count_and_name() -> None:
    fast = pit.compile(Small().eval(), (torch.randn(5, 7),))
    for call in (lambda: fast(), lambda: fast(torch.randn(5, 7), 1), lambda: fast(y=torch.randn(5, 7))):
        with pytest.raises(pit.InputError):
            call()


def test_weight_of_another_shape() -> None:
    model, x = Small().eval(), torch.randn(5, 7)
    fast = pit.compile(model, (x,))
    model.first.weight.data = torch.randn(34, 7)
    with pytest.raises(pit.InputError, match=r"first.weight.*\[34, 7\].*\[33, 7\]"):
        fast(x)


def test_no_gradients_yet() -> None:
    fast = pit.compile(Small().eval(), (torch.randn(5, 7),))
    x = torch.randn(5, 7, requires_grad=True)
    with torch.enable_grad(), pytest.raises(pit.InputError, match="no_grad"):
        fast(x)
    fast(x)


def test_training_mode_with_dropout_is_refused() -> None:
    model = nn.Sequential(nn.Linear(7, 7), nn.Dropout(0.5)).train()
    with pytest.raises(pit.PitError, match=r"eval\(\)"):
        pit.compile(model, (torch.randn(5, 7),))


class Batched(nn.Module):
    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return torch.softmax(x @ y, -1)


def test_dynamic_sizes() -> None:
    batch, inner = torch.export.Dim("batch", max=512), torch.export.Dim("inner", max=512)
    shapes = ({0: batch, 1: inner}, {0: inner})
    fast = pit.compile(Batched(), (torch.randn(4, 6), torch.randn(6, 9)), dynamic_shapes=shapes)
    for rows, columns in ((1, 1), (7, 33), (127, 2), (33, 127)):
        x, y = torch.randn(rows, columns), torch.randn(columns, 9)
        close(fast(x, y), torch.softmax(x.double() @ y.double(), -1))
    with pytest.raises(pit.InputError, match=r"5.*6|6.*5"):
        fast(torch.randn(3, 5), torch.randn(6, 9))


class Counter(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += x
        return self.calls * 2


def test_buffers_are_written_back() -> None:
    model, twin, x = Counter().eval(), Counter().eval(), torch.ones(3)
    fast = pit.compile(model, (x,))
    start = model.calls.clone()
    twin.calls.copy_(start)
    for _ in range(3):
        close(fast(x), twin(x))
    close(model.calls, twin.calls)


def test_results_outlive_the_program() -> None:
    x = torch.randn(5, 7)
    model = Small().eval()
    fast = pit.compile(model, (x,))
    results = [fast(x + i) for i in range(20)]
    del fast
    for i, result in enumerate(results):
        close(result, model(x + i))
        result.add_(1)


def test_calls_from_threads() -> None:
    model, failures = Small().eval(), []
    fast = pit.compile(model, (torch.randn(5, 7),))

    def work() -> None:
        with torch.no_grad():
            for _ in range(50):
                x = torch.randn(5, 7)
                if not torch.allclose(fast(x), model(x), atol=1e-5):
                    failures.append(x)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


@pytest.mark.parametrize("dynamic", [None, True])
def test_torch_compile_backend_with_sizes_that_differ(dynamic: bool | None) -> None:
    torch._dynamo.reset()
    model = Small().eval()
    fast = torch.compile(model, backend="pit", dynamic=dynamic)
    for rows in (5, 3, 1, 3):
        x = torch.randn(rows, 7)
        close(fast(x), model(x))


def test_torch_compile_backend() -> None:
    model, x = Small().eval(), torch.randn(5, 7)
    fast = torch.compile(model, backend="pit", dynamic=False)
    close(fast(x), model(x))


TEXT = """
func.func @main(%a: tensor<?x4xf32> {pit.name = "a"}, %b: tensor<4x3xf32>) -> tensor<?x3xf32> {
  %zero = arith.constant 0.0 : f32
  %axis = arith.constant 0 : index
  %rows = tensor.dim %a, %axis : tensor<?x4xf32>
  %empty = tensor.empty(%rows) : tensor<?x3xf32>
  %init = linalg.fill ins(%zero : f32) outs(%empty : tensor<?x3xf32>) -> tensor<?x3xf32>
  %c = linalg.matmul ins(%a, %b : tensor<?x4xf32>, tensor<4x3xf32>) outs(%init : tensor<?x3xf32>) -> tensor<?x3xf32>
  return %c : tensor<?x3xf32>
}
"""


def test_program_in_mlir_takes_numpy(tmp_path: Path) -> None:
    file = tmp_path / "program.mlir"
    file.write_text(TEXT)
    random = numpy.random.default_rng(0)
    for source in (TEXT, file):
        fast = pit.compile(source)
        for rows in (0, 1, 5):
            a = random.standard_normal((rows, 4), dtype=numpy.float32)
            b = random.standard_normal((4, 3), dtype=numpy.float32)
            numpy.testing.assert_allclose(fast(a, b), a @ b, rtol=1e-5, atol=1e-5)
        with pytest.raises(pit.InputError, match="float64"):
            fast(a.astype(numpy.float64), b)


WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None
import numpy, pit_mlir
fast = pit_mlir.compile(sys.argv[1])
a, b = numpy.ones((3, 4), numpy.float32), numpy.ones((4, 3), numpy.float32)
assert (fast(a, b) == 4).all()
"""


def test_program_in_mlir_needs_no_torch() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, TEXT], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_malformed_mlir_is_an_error() -> None:
    with pytest.raises(pit.PitError, match=r"\d+:\d+"):
        pit.compile("func.func @main(%a: tensor<?xf32>) { return %b : tensor<?xf32> }")
    with pytest.raises(pit.PitError, match="main"):
        pit.compile("func.func @other() { return }")


def test_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(pit.PitError, match=r"missing\.mlir"):
        pit.compile(tmp_path / "missing.mlir")


def test_unknown_options() -> None:
    with pytest.raises(pit.InputError, match=r"'tpu', expected 'cpu', 'cuda', 'emulator'"):
        pit.compile(Small().eval(), (torch.randn(5, 7),), target="tpu")
    with pytest.raises(pit.InputError, match="exact"):
        pit.CompileOptions(floats="exact")  # type: ignore[arg-type]
    with pytest.raises(pit.InputError, match="attention_mask"):
        pit.compile(Small().eval(), (torch.randn(5, 7),), sparsity=[pit.Padding("attention_mask")])


def test_what_was_compiled_leaves_at_once() -> None:
    """No cycle of objects keeps the IR alive until somebody collects: that may be long after."""
    # What torch imports at a first export keeps frames.
    pit.compile(Small().eval(), (torch.randn(2, 7),))
    gc.collect()
    before = live_contexts()
    gc.disable()
    try:
        pit.compile(Combined(3, 2).eval(), (torch.randn(5, DIM),))
        assert live_contexts() == before
    finally:
        gc.enable()
