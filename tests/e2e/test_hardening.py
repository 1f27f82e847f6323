"""Calls in ways that nobody planned for: odd tensors, modes of torch, copies, threads, models that go away."""

import copy
import gc
import io
import pickle
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy
import pytest
import torch
from targets import small
from torch import Tensor, nn
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils.flop_counter import FlopCounterMode

import pit_mlir as pit
from pit_mlir.bindings import live_contexts
from pit_mlir.runtime.library import library

pytestmark = pytest.mark.usefixtures("inference")

X = torch.randn(64, 32)


def mlp(width: int = 16) -> nn.Sequential:
    return nn.Sequential(nn.Linear(32, width), nn.ReLU(), nn.Linear(width, 7)).eval()


@pytest.fixture(scope="module")
def model() -> nn.Sequential:
    return mlp()


@pytest.fixture(scope="module")
def fast(model: nn.Sequential) -> pit.CompiledModule:
    return pit.compile(model, (X,))


def is_right(fast: Any, model: nn.Module, x: Tensor = X) -> bool:
    return torch.allclose(fast(x), model(x), atol=1e-4)


class Subclass(Tensor):
    """Changes nothing."""


def read_only() -> Tensor:
    array = X.numpy().copy()
    array.setflags(write=False)
    return torch.from_numpy(array)


ODD: dict[str, Callable[[], Tensor]] = {
    "transposed": lambda: torch.randn(32, 64).T,
    "steps": lambda: torch.randn(128, 64)[::2, ::2],
    "expanded": lambda: X[:1].expand(64, 32),
    "overlapping": lambda: torch.randn(200).as_strided((64, 32), (1, 2)),
    "offset": lambda: torch.randn(65, 32)[1:],
    "off by one byte": lambda: (
        torch.zeros(8197, dtype=torch.uint8)[1:8193].clone().view(torch.float32).view(64, 32)
    ),
    "negative bit": lambda: torch._neg_view(X),
    "imaginary part of a conjugate": lambda: torch.complex(X, X).conj().imag,
    "subclass": lambda: X.as_subclass(Subclass),
    "parameter": lambda: nn.Parameter(X),
    "read-only": read_only,
    "shared memory": lambda: X.clone().share_memory_(),
}


@pytest.mark.filterwarnings("ignore:.*not writable")
@pytest.mark.parametrize("make", ODD.values(), ids=ODD.keys())
def test_odd_tensors(make: Callable[[], Tensor], fast: pit.CompiledModule, model: nn.Module) -> None:
    assert is_right(fast, model, make())


def test_tensor_from_inference_mode(fast: pit.CompiledModule, model: nn.Module) -> None:
    with torch.inference_mode():
        inside = X.clone()
        assert fast(inside).is_inference()
    given = fast(inside)
    assert not given.is_inference() and torch.allclose(given, model(inside), atol=1e-4)


REFUSED: dict[str, Callable[[], Tensor]] = {
    "nested": lambda: torch.nested.nested_tensor([X, X]),
    "jagged": lambda: torch.nested.nested_tensor([X, X], layout=torch.jagged),
    "quantized": lambda: torch.quantize_per_tensor(X, 0.1, 0, torch.qint8),
    "mkldnn": lambda: X.to_mkldnn(),
    "sparse rows": lambda: X.to_sparse_csr(),
    "meta": lambda: X.to("meta"),
    "empty": lambda: X[:0],
    "resized": lambda: X.clone().resize_(0),
    "complex": lambda: X.to(torch.complex64),
    "zero tensor": lambda: torch._efficientzerotensor(64, 32),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("make", REFUSED.values(), ids=REFUSED.keys())
def test_refused_tensors(make: Callable[[], Tensor], fast: pit.CompiledModule) -> None:
    with pytest.raises(pit.InputError):
        fast(make())


def test_results_never_require_grad(fast: pit.CompiledModule) -> None:
    with torch.enable_grad():
        given = fast(X)
        assert not given.requires_grad
        with pytest.raises(RuntimeError, match="does not require grad"):
            given.sum().backward()
        with pytest.raises(pit.InputError, match="no gradients"):
            fast(X.clone().requires_grad_())


def test_autocast_is_part_of_what_was_compiled(fast: pit.CompiledModule, model: nn.Module) -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        with pytest.raises(
            pit.InputError, match=r"no autocast.*called under torch.autocast of torch.bfloat16"
        ):
            fast(X)
        half = pit.compile(model, (X,))
        assert half(X).dtype is model(X).dtype is torch.bfloat16
        torch.testing.assert_close(half(X), model(X), rtol=2e-2, atol=2e-2)
        with torch.autocast("cpu", enabled=False):
            assert is_right(fast, model)
    with torch.autocast("cpu", dtype=torch.float16), pytest.raises(pit.InputError, match="float16"):
        half(X)
    with pytest.raises(pit.InputError, match="called under no autocast"):
        half(X)
    assert is_right(fast, model)


def test_other_modes_of_torch(fast: pit.CompiledModule, model: nn.Module) -> None:
    with torch.device("meta"):
        given = fast(X)
    assert given.device.type == "cpu"
    with FlopCounterMode(display=False):
        assert is_right(fast, model)


class Calls(nn.Module):
    """A model that calls a compiled one."""

    def __init__(self, compiled: pit.CompiledModule) -> None:
        super().__init__()
        self.compiled = compiled

    def forward(self, x: Tensor) -> Tensor:
        return self.compiled(x) + 1


TRANSFORMS: dict[str, Callable[[nn.Module], Any]] = {
    "export": lambda outer: torch.export.export(outer, (X,)),
    "trace": lambda outer: torch.jit.trace(outer, (X,)),
    "make_fx": lambda outer: make_fx(outer)(X),
    "vmap": lambda outer: torch.vmap(outer)(X[None].repeat(2, 1, 1)),
    "jvp": lambda outer: torch.func.jvp(outer, (X,), (X,)),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS.keys())
def test_transforms_are_refused(transform: Callable[[nn.Module], Any], fast: pit.CompiledModule) -> None:
    with pytest.raises(pit.InputError, match=r"traced|no memory"):
        transform(Calls(fast))


def test_number_of_threads(fast: pit.CompiledModule, model: nn.Module) -> None:
    before = torch.get_num_threads()
    try:
        for threads in (1, 2, 3, 17, 1):
            torch.set_num_threads(threads)
            assert is_right(fast, model)
    finally:
        torch.set_num_threads(before)


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_copies() -> None:
    model = mlp()
    fast = pit.compile(model, (X,))
    shallow, (deep, twin) = copy.copy(fast), copy.deepcopy((fast, model))
    before = model(X)
    for weight in model.parameters():
        weight.mul_(2)
    assert is_right(fast, model) and is_right(shallow, model)
    torch.testing.assert_close(deep(X), before)
    for weight in twin.parameters():
        weight.mul_(3)
    assert is_right(deep, twin), "a model that is copied along stays the model of the copy"
    exported = pit.compile(torch.export.export(model, (X,)))
    assert is_right(copy.deepcopy(exported), model)


def test_copy_of_frozen_weights() -> None:
    model = mlp()
    fast = pit.compile(model, (X,), options=pit.CompileOptions(freeze=True))
    deep, before = copy.deepcopy(fast), model(X)
    model[0].weight.mul_(2)
    fast.refresh()
    deep.refresh()
    assert is_right(fast, model)
    torch.testing.assert_close(deep(X), before)


@pytest.mark.parametrize(
    "dump", [pickle.dumps, lambda it: torch.save(it, io.BytesIO())], ids=["pickle", "torch.save"]
)
def test_pickling_is_refused(dump: Callable[[Any], Any], fast: pit.CompiledModule) -> None:
    with pytest.raises(pit.UnsupportedError, match=r"cannot be pickled.*load\(\) it there"):
        dump(fast)


def test_weights_that_move() -> None:
    model = mlp()
    fast = pit.compile(model, (X,))
    model.share_memory()
    assert is_right(fast, model)
    model[0].weight.data = torch._neg_view(model[0].weight.data)
    assert is_right(fast, model)
    model[0].weight.data = torch.randn(32, 16).T
    assert is_right(fast, model)
    model.to(torch.bfloat16)
    with pytest.raises(pit.InputError, match="bfloat16"):
        fast(X)
    assert is_right(fast, model.float())


def run_together(work: Callable[[int], bool], threads: int) -> None:
    """`work(number)` in so many threads at a time; all must be true, none may hang."""
    start = threading.Barrier(threads)

    def wait_and_work(number: int) -> bool:
        start.wait(30)
        with torch.no_grad():
            return work(number)

    with ThreadPoolExecutor(threads) as pool:
        assert list(pool.map(wait_and_work, range(threads), timeout=120)) == [True] * threads


def test_threads_with_shapes_of_their_own() -> None:
    model, rows = mlp(), torch.export.Dim("rows", max=4096)
    fast = pit.compile(model, (X,), dynamic_shapes=({0: rows},))

    def work(number: int) -> bool:
        return all(is_right(fast, model, torch.randn(1 + number * 37 + turn, 32)) for turn in range(25))

    run_together(work, 8)


def test_threads_with_models_of_their_own(fast: pit.CompiledModule, model: nn.Module) -> None:
    """Some compile, and drop what they compiled, while others call."""

    def work(number: int) -> bool:
        if number % 2:
            return all(is_right(fast, model) for _ in range(100))
        own = mlp(5 + number)
        return is_right(pit.compile(own, (X,)), own)

    run_together(work, 4)


def test_refresh_while_others_call() -> None:
    """A call sees one snapshot or the other, never half of each."""
    model = nn.Sequential(nn.Linear(32, 32, bias=False), nn.Linear(32, 32, bias=False)).eval()

    def scale(factor: float) -> None:
        for layer in model:
            layer.weight.copy_(torch.eye(32) * factor)

    scale(1.0)
    fast = pit.compile(model, (X,), options=pit.CompileOptions(freeze=True))
    stop = threading.Event()

    def work(number: int) -> bool:
        if number > 0:
            whole = True
            while not stop.is_set():
                whole &= (fast(X) / X).round(decimals=3).unique().tolist() in ([1.0], [4.0])
            return whole
        for turn in range(60):
            scale(1.0 + turn % 2)
            fast.refresh()
        stop.set()
        return True

    run_together(work, 3)


def test_others_run_during_a_call() -> None:
    rows, width = small((2048, 1024), (64, 128))
    model = nn.Sequential(*(nn.Linear(width, width) for _ in range(4))).eval()
    fast, x = pit.compile(model, (torch.randn(rows, width),)), torch.randn(rows, width)
    done, ticks = threading.Event(), 0

    def call() -> None:
        with torch.no_grad():
            fast(x)
        done.set()

    thread = threading.Thread(target=call)
    thread.start()
    while not done.is_set():
        time.sleep(0.001)
        ticks += 1
    thread.join()
    assert ticks > 5


def test_two_programs_and_one_goes_away() -> None:
    first, second = mlp(9), mlp(11)
    one, two = pit.compile(first, (X,)), pit.compile(second, (X,))
    expected = first(X)
    for _ in range(3):
        assert is_right(one, first) and is_right(two, second)
    del first, two, second
    gc.collect()
    torch.testing.assert_close(one(X), expected)


def test_program_goes_away_during_a_call() -> None:
    model = nn.Sequential(*(nn.Linear(512, 512) for _ in range(4))).eval()
    x = torch.randn(1024, 512)
    kept = [pit.compile(model, (x,))]
    expected, results = model(x), []

    def call() -> None:
        with torch.no_grad():
            results.append(kept[0](x))

    thread = threading.Thread(target=call)
    thread.start()
    time.sleep(0.002)
    fast = kept[0]
    del fast
    gc.collect()
    thread.join()
    kept.clear()
    gc.collect()
    torch.testing.assert_close(results[0], expected)


def resident_mib() -> float:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 2**20


def test_nothing_piles_up() -> None:
    """Programs that are compiled, called and dropped."""
    text = """
func.func @main(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %axis = arith.constant 0 : index
  %rows = tensor.dim %x, %axis : tensor<?x8xf32>
  %e = tensor.empty(%rows) : tensor<?x8xf32>
  %y = linalg.exp ins(%x : tensor<?x8xf32>) outs(%e : tensor<?x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}"""
    x = numpy.zeros((100, 8), numpy.float32)

    def cycle() -> None:
        assert (pit.compile(text)(x) == 1).all()

    for _ in range(5):
        cycle()
    gc.collect()
    before, live = resident_mib(), library().pit_live_bytes()
    for _ in range(50):
        cycle()
    gc.collect()
    assert live_contexts() == 0 and library().pit_live_bytes() == live
    assert resident_mib() - before < 25


class Lookup(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(10, 4)

    def forward(self, ids: Tensor) -> Tensor:
        return self.table(ids).exp()


def test_failed_calls_leave_nothing() -> None:
    model, ids = Lookup().eval(), torch.arange(10)
    fast = pit.compile(model, (ids,))
    expected = fast(ids)
    live = library().pit_live_bytes()
    for _ in range(50):
        with pytest.raises(pit.InputError):
            fast(ids + 5)
    assert library().pit_live_bytes() == live
    torch.testing.assert_close(fast(ids), expected)


class Outer(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return (x[:, None] * x[None, :]).exp().cumsum(0)


def test_no_memory_is_an_error() -> None:
    """An absurd size; the process lives, nothing stays allocated, and the next call is fine."""
    size = torch.export.Dim("size", max=1 << 40)
    fast = pit.compile(Outer(), (torch.randn(8),), dynamic_shapes=({0: size},))
    live = library().pit_live_bytes()
    with pytest.raises(pit.PlatformError, match=r"out of memory.*MiB"):
        fast(torch.zeros(1 << 24))
    assert library().pit_live_bytes() == live
    assert is_right(fast, Outer(), torch.rand(5))
