"""The runtime on a driver without a GPU: launches, memory, graphs, checks, and each failure of the driver."""

import ctypes
import dataclasses
import gc
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from host_programs import add_code, add_kernel
from stub_driver import LAUNCHED, StubDriver, build
from test_contract_gpu import contraction

import pit_mlir
from pit_mlir import program_file
from pit_mlir.bindings import ir
from pit_mlir.dialect import make_context
from pit_mlir.errors import InputError, PlatformError
from pit_mlir.runtime import device as devices
from pit_mlir.runtime.device import Device, Image, Kernels, best_image
from pit_mlir.runtime.engine import build_code
from pit_mlir.runtime.library import library_path
from pit_mlir.runtime.program import Code, Program
from pit_mlir.target import Target

X = np.arange(5, dtype=np.float32)


@pytest.fixture(scope="module")
def code() -> Code:
    return add_code()


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = build(tmp_path_factory.mktemp("stub"))
    if found is None:
        pytest.skip("no C++ compiler")
    return found


@pytest.fixture
def driver(path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StubDriver]:
    monkeypatch.setenv("PIT_CUDA_DRIVER", str(path))
    monkeypatch.setattr(devices, "torch_with_cuda", lambda: None)
    devices.gpu.cache_clear()
    stub = StubDriver(path)
    stub.reset()
    stub.on_launch(add_kernel, 5)
    yield stub
    stub.reset()
    gc.collect()
    assert stub.native.stub_depth() == 0, "a context is still entered"
    devices.gpu.cache_clear()


@pytest.fixture
def gpu(driver: StubDriver) -> Iterator[Device]:
    """Each test has a device of its own, which keeps no memory of another."""
    found = devices.gpu(0)
    yield found
    gc.collect()
    assert found.live_bytes() == 0
    found.trim()


def test_a_call_launches_in_order(driver: StubDriver, gpu: Device, code: Code) -> None:
    program = Program(code, gpu)
    assert driver.log() == ["load some cubin", "alloc 4096", "copy 4 99"]
    (y,) = program.run_numpy(X)
    np.testing.assert_array_equal(y, X + 2)
    log = driver.log()
    assert [line for line in log if line.startswith("launch")] == ["launch add 5 1 1 128 1 1 0 0"] * 2
    assert log[-1] == "copy 4 0", "the word of the checks is fetched last"
    del y


def test_memory_is_used_again_on_its_stream(
    driver: StubDriver, gpu: Device, code: Code, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = Program(code, gpu)
    (y,) = program.run_numpy(X)
    assert gpu.live_bytes() == 512
    assert gpu.cached_bytes() == 512
    del y
    assert (gpu.live_bytes(), gpu.cached_bytes()) == (0, 1024)
    driver.log()
    program.run_numpy(X)
    assert not [line for line in driver.log() if line.startswith(("alloc", "free"))]
    monkeypatch.setattr(gpu, "stream", lambda: 7)
    program.run_numpy(X)
    log = driver.log()
    assert "launch add 5 1 1 128 1 1 0 7" in log
    assert log.count("alloc 512") == 2, "memory of one stream is not given to another"
    gpu.trim()
    assert driver.log().count("free") == 4
    assert gpu.cached_bytes() == 0


@pytest.mark.parametrize(("size", "block"), [(1, 512), (129, 640), (160, 640), (161, 768), (4096, 16384)])
def test_blocks_have_few_sizes(gpu: Device, code: Code, size: int, block: int) -> None:
    (y,) = Program(code, gpu).run_numpy(np.zeros(size, np.float32))
    assert gpu.live_bytes() == block
    del y


def test_empty_tensors_launch_nothing(driver: StubDriver, gpu: Device, code: Code) -> None:
    (y,) = Program(code, gpu).run_numpy(np.zeros(0, np.float32))
    assert y.shape == (0,)
    assert not [line for line in driver.log() if line.startswith("launch")]


def test_what_is_no_multiple_of_16_bytes_is_copied(driver: StubDriver, gpu: Device, code: Code) -> None:
    seen: list[int] = []

    def kernel(name: str, parameters: list[int]) -> None:
        seen.append(parameters[0])
        add_kernel(name, parameters)

    driver.on_launch(kernel, 5)
    (y,) = Program(code, gpu).run_numpy(np.arange(6, dtype=np.float32)[1:])
    np.testing.assert_array_equal(y, np.arange(3, 8))
    assert seen[0] % 16 == 0


def test_a_failed_check_is_seen_by_the_next_call(gpu: Device, code: Code) -> None:
    program = Program(code, gpu)
    program.run_numpy(X)
    program.run_numpy(np.array([1, 200], np.float32))
    with pytest.raises(InputError, match=r"no large numbers \(in an earlier call"):
        program.run_numpy(X)
    program.run_numpy(X)
    program.synchronize()
    program.run_numpy(np.array([-1, 200], np.float32))
    with pytest.raises(InputError, match=r"^no negative numbers$"):
        program.synchronize()
    program.synchronize()


def test_constants_are_copied_once(driver: StubDriver, gpu: Device, code: Code) -> None:
    program = Program(code, gpu)
    driver.log()
    for _ in range(3):
        program.run_numpy(X)
    assert driver.log().count("alloc 4") == 1


def test_shared_memory_is_asked_for_once(driver: StubDriver, gpu: Device) -> None:
    program = Program(add_code(shared=100_000), gpu)
    for _ in range(3):
        program.run_numpy(X)
    assert driver.log().count("shared 100000") == 1


def test_out_of_memory(driver: StubDriver, gpu: Device, code: Code) -> None:
    program = Program(code, gpu)
    program.run_numpy(X)
    driver.native.stub_limit(1 << 20)
    with pytest.raises(
        PlatformError, match=r"out of memory on GPU 0 \(stub 0\): the program needs .* 3\.8 MiB more"
    ):
        program.run_numpy(np.zeros(1_000_000, np.float32))
    assert gpu.cached_bytes() == 0, "what was kept was given back first"
    (y,) = program.run_numpy(X)
    np.testing.assert_array_equal(y, X + 2)
    del y


CALL = ["cuCtxGetCurrent", "cuCtxPushCurrent", "cuStreamIsCapturing", "cuLaunchKernel", "cuMemcpyAsync"]
LOAD = [
    "cuModuleLoadDataEx",
    "cuModuleGetFunction",
    "cuMemHostAlloc",
    "cuStreamCreate",
    "cuStreamSynchronize",
]


@pytest.mark.parametrize("function", [*CALL, *LOAD])
def test_failures_have_the_words_of_the_driver(
    driver: StubDriver, gpu: Device, code: Code, function: str
) -> None:
    program = None
    if function in CALL:
        program = Program(code, gpu)
        program.run_numpy(X)
    driver.fail(function, 719)
    before = driver.native.stub_allocated()
    text = r"CUDA_ERROR_LAUNCH_FAILED \(719\): unspecified launch failure; a kernel failed before"
    with pytest.raises(PlatformError, match=text):
        if program is not None:
            program.run_numpy(X)
        else:
            # A device that has no stream for uploads yet.
            devices.gpu.cache_clear()
            Program(code, devices.gpu(0))
    driver.reset()
    driver.on_launch(add_kernel, 5)
    assert driver.native.stub_allocated() == before
    (y,) = (program or Program(code, gpu)).run_numpy(X)
    np.testing.assert_array_equal(y, X + 2)
    del y


def test_a_failure_in_the_middle_of_a_call(driver: StubDriver, gpu: Device, code: Code) -> None:
    program = Program(code, gpu)
    driver.fail("cuLaunchKernel", 701, after=1)
    expected = "launching the kernel 'add' on GPU 0: 5 x 1 x 1 blocks of 128 x 1 x 1 threads, 0 bytes of shared memory"
    with pytest.raises(PlatformError, match=expected):
        program.run_numpy(X)
    assert gpu.live_bytes() == 0


def test_codes_that_the_driver_does_not_know(driver: StubDriver, gpu: Device, code: Code) -> None:
    program = Program(code, gpu)
    driver.fail("cuLaunchKernel", 999)
    with pytest.raises(PlatformError, match=r"an unknown error \(999\): the driver has no text for it"):
        program.run_numpy(X)


def test_devices_that_are_not_there(driver: StubDriver) -> None:
    driver.native.stub_devices(0)
    assert devices.gpu_count() == 0
    with pytest.raises(
        PlatformError, match=r"looking for GPU 0: CUDA_ERROR_NO_DEVICE .* CUDA_VISIBLE_DEVICES hides it"
    ):
        devices.gpu(0)
    driver.native.stub_devices(2)
    assert devices.gpu(1).ordinal == 1
    with pytest.raises(PlatformError, match=r"looking for GPU 2: .*there is no GPU of this number"):
        devices.gpu(2)


def test_drivers_that_are_none(driver: StubDriver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIT_CUDA_DRIVER", str(tmp_path / "libcuda.so"))
    with pytest.raises(PlatformError, match=r"there is no NVIDIA driver: .*cannot open shared object file"):
        devices.gpu(0)
    monkeypatch.setenv("PIT_CUDA_DRIVER", str(library_path()))
    with pytest.raises(PlatformError, match="has no function cuInit: it is too old, update it"):
        devices.gpu_count()


@pytest.mark.parametrize(
    ("chip", "images", "best"),
    [
        ("sm_90", ["ptx sm_80", "cubin sm_80", "cubin sm_90a"], "cubin sm_90a"),
        ("sm_90", ["ptx sm_80", "cubin sm_80"], "ptx sm_80"),
        ("sm_90", ["ptx sm_90a", "ptx sm_80"], "ptx sm_90a"),
        ("sm_89", ["ptx sm_80", "cubin sm_80", "cubin sm_86", "cubin sm_90a"], "cubin sm_86"),
        ("sm_80", ["cubin sm_86", "cubin sm_80", "ptx sm_80"], "cubin sm_80"),
        ("sm_100", ["cubin sm_90a", "ptx sm_80"], "ptx sm_80"),
        ("sm_120", ["cubin sm_100f", "ptx sm_80"], "ptx sm_80"),
        ("sm_103", ["cubin sm_100f", "ptx sm_80"], "cubin sm_100f"),
        ("sm_75", ["cubin sm_80", "ptx sm_80"], None),
        ("sm_100", ["cubin sm_90a"], None),
    ],
)
def test_the_best_image_is_taken(chip: str, images: list[str], best: str | None) -> None:
    given = [Image(*image.split(), b"") for image in images]  # type: ignore[arg-type]
    if best is None:
        with pytest.raises(
            PlatformError, match=f"no image of the kernels fits a GPU, which is an {chip}: there is cubin"
        ):
            best_image(given, chip, "a GPU")
        return
    found = best_image(given, chip, "a GPU")
    assert f"{found.kind} {found.chip}" == best


def test_images_are_loaded(driver: StubDriver, gpu: Device) -> None:
    ptx = Image("ptx", "sm_80", b".version 8.0")
    gpu.load(Kernels(("add",), (ptx,)))
    assert driver.log()[0] == "load .version 8.0"
    with pytest.raises(PlatformError, match="looking for the kernel 'missing'"):
        gpu.load(Kernels(("add", "missing"), (ptx,)))
    driver.fail("cuModuleLoadDataEx", 218)
    with pytest.raises(PlatformError, match=r"whose assembler says ptxas fatal: line 7: .*update it"):
        gpu.load(Kernels(("add",), (ptx,)))
    gc.collect()
    assert driver.log().count("unload") == 1, "what was loaded in part"


def test_graphs_own_their_memory(driver: StubDriver, gpu: Device, code: Code) -> None:
    """While a graph is captured, blocks come from the allocator and go back to it; nothing is waited for or loaded."""
    program = Program(code, gpu)
    program.run_numpy(X)
    driver.native.stub_capture(1)
    with pytest.raises(PlatformError, match="memory comes from torch's allocator"):
        program.run_numpy(X)
    memory = [np.zeros(1024, np.float32) for _ in range(4)]
    free = [block.ctypes.data for block in memory]
    events: list[str] = []

    def allocate(size: int, stream: int) -> int | None:
        events.append(f"take {size}")
        return free.pop() if free else None

    def give_back(address: int, stream: int) -> None:
        events.append("give back")
        free.append(address)

    gpu.set_allocator(allocate, give_back)
    cached = gpu.cached_bytes()
    program.run_numpy(np.array([200], np.float32))
    (y,) = program.run_numpy(X)  # a check is looked at after the capture
    assert events == ["take 512", "take 512", "give back", "give back", "take 512", "take 512", "give back"]
    assert gpu.cached_bytes() == cached
    del y
    assert events[-1] == "give back"
    driver.native.stub_capture(0)
    with pytest.raises(InputError, match="no large numbers"):
        program.synchronize()
    driver.log()
    del program
    gc.collect()
    assert "unload" not in driver.log(), "the graph may launch the kernels again"


def test_calls_from_several_threads(driver: StubDriver, gpu: Device, code: Code) -> None:
    program = Program(code, gpu)
    wrong: list[int] = []

    def work(number: int) -> None:
        x = np.full(1000 + number, number, np.float32)
        for _ in range(50):
            (y,) = program.run_numpy(x)
            if not (y == number + 2).all():
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


EXP = """func.func @main(%x: tensor<?xf32>) -> tensor<?xf32> {
  %c0 = arith.constant 0 : index
  %n = tensor.dim %x, %c0 : tensor<?xf32>
  %e = tensor.empty(%n) : tensor<?xf32>
  %y = linalg.exp ins(%x : tensor<?xf32>) outs(%e : tensor<?xf32>) -> tensor<?xf32>
  return %y : tensor<?xf32>
}"""


@pytest.mark.parametrize(
    ("target", "begins", "images"),
    [
        ("cuda:sm_80", {8: "\x7fELF", 9: "//", 10: "//"}, "cubin for sm_80, ptx for sm_80"),
        # Only sm_90 runs code of sm_90a: to others the program is that of sm_80, its host code too.
        ("cuda:sm_90a", {8: "//", 9: "\x7fELF", 10: "//"}, "ptx for sm_80"),
    ],
)
def test_programs_in_files(
    driver: StubDriver,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    target: str,
    begins: dict[int, str],
    images: str,
) -> None:
    """A program for a GPU runs on any processor; its file has code for the chip, and PTX for others."""
    path = tmp_path / "exp.pit"
    pit_mlir.compile(EXP, target=target).save(path)
    bare = dataclasses.replace(program_file.host(), features=frozenset())
    monkeypatch.setattr(program_file, "host", lambda: bare)
    for chip, begin in begins.items():
        driver.native.stub_chip(chip, 0)
        devices.gpu.cache_clear()
        driver.log()
        loaded = pit_mlir.load(path)
        assert driver.log()[0].startswith(f"load {begin}")
        with pytest.raises(
            InputError,
            match=r"a numpy array of .*; the program was compiled for float32 of shape .* on cuda:0",
        ):
            loaded(np.ones(3, np.float32))
    driver.native.stub_chip(7, 5)
    devices.gpu.cache_clear()
    with pytest.raises(
        PlatformError,
        match=rf"fits GPU 0 .stub 0., which is an sm_75: there is {images};",
    ):
        pit_mlir.load(path)
    driver.native.stub_devices(0)
    devices.gpu.cache_clear()
    with pytest.raises(
        PlatformError,
        match=r"exp.pit: has cubin .*ptx for sm_80, and nothing here runs it: looking for GPU 0: CUDA_ERROR_NO_D",
    ):
        pit_mlir.load(path)


def test_kernels_take_tensor_maps_by_value(driver: StubDriver, gpu: Device) -> None:
    """What the driver says of both factors is in the parameters of the launch, not in memory of the device."""
    text = contraction("bmk,bkn->bmn", {"b": 3, "m": 200, "n": 264, "k": 72}, "bf16")
    with make_context(), ir.Location.unknown():
        code = build_code(ir.Module.parse(text), target=Target("cuda", "sm_90a"))
    program = Program(code, gpu)
    rng = np.random.default_rng(0)
    shapes = ((3, 200, 72), (3, 72, 264), (3, 200, 264))
    a, b, c = (rng.standard_normal(shape).astype(ml_dtypes.bfloat16) for shape in shapes)
    seen: list[list[int]] = []

    def launched(name: bytes, addresses: Any) -> None:
        seen.extend([list((ctypes.c_int64 * 16).from_address(addresses[i])) for i in range(2)])

    driver.native.stub_on_launch(keep := LAUNCHED(launched))
    mask = np.zeros(200, np.float32)
    program.run_numpy(a, b, c, mask)
    # Elements of two bytes, swizzled by 128 bytes; the innermost dimension first.
    assert seen[0] == [a.ctypes.data, 3, 1, 3, 72, 200, 3, 144, 28800, 64, 128, 1, 0, 0, 0, 0]
    assert seen[1] == [b.ctypes.data, 3, 1, 3, 264, 72, 3, 528, 38016, 64, 64, 1, 0, 0, 0, 0]
    driver.fail("cuTensorMapEncodeTiled", 1)
    with pytest.raises(
        PlatformError,
        match=r"describing a tensor at 0x.* of 3 dimensions .72 x 200 innermost. .*boxes of 64 x 128",
    ):
        program.run_numpy(a, b, c, mask)
    del keep
