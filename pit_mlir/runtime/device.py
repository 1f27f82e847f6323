"""Devices that run kernels: which there are, their memory and streams, and the loading of kernels. No MLIR in here.

torch is used where it is in the process already: its current stream, and its allocator for all memory.
"""

import ctypes
import re
import sys
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from pit_mlir.errors import PitError, PlatformError
from pit_mlir.runtime.library import device_library

Address = int
ImageKind = Literal["cubin", "ptx", "emulator"]
CHIP = r"sm_(\d+)(\d)([af]?)"
"""A chip's name: its compute capability, and `a` or `f` for code that only it, or its family, runs."""

_ALLOCATE = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_uint64, ctypes.c_void_p)
_FREE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)


@dataclass(frozen=True)
class Image:
    """Kernels compiled for `chip`, by `kind`: machine code ("cubin"), what the driver compiles for any later chip
    ("ptx"), or bytecode of MLIR for the emulator of a chip ("emulator").
    """

    kind: ImageKind
    chip: str
    content: bytes

    def runs_on(self, chip: str) -> bool:
        """Whether a device that is a `chip` can load it."""
        major, minor, suffix = parse_chip(self.chip)
        device_major, device_minor, _ = parse_chip(chip)
        if suffix == "a":
            return (major, minor) == (device_major, device_minor)
        if suffix == "f" or self.kind == "cubin":
            return major == device_major and minor <= device_minor
        return (major, minor) <= (device_major, device_minor)


@dataclass(frozen=True)
class Kernels:
    """The kernels of a program: their `names` in the order of their numbers, and the same code for several chips."""

    names: tuple[str, ...]
    images: tuple[Image, ...]


def parse_chip(name: str) -> tuple[int, int, str]:
    """Major and minor compute capability and the suffix of the chip `name`; raises `PlatformError`."""
    match = re.fullmatch(CHIP, name)
    if match is None:
        raise PlatformError(f"'{name}' is no chip: expected a name such as sm_80 or sm_90a")
    return int(match[1]), int(match[2]), match[3]


def best_image(images: Sequence[Image], chip: str, device: str) -> Image:
    """The image among `images` that fits `chip` best; raises `PlatformError` where none does."""
    fitting = [image for image in images if image.runs_on(chip)]
    if not fitting:
        there = ", ".join(f"{image.kind} for {image.chip}" for image in images) or "none"
        raise PlatformError(
            f"no image of the kernels fits {device}, which is an {chip}: there is {there}; compile again with "
            f'target="cuda:{chip}"'
        )

    def rank(image: Image) -> tuple[bool, bool, int, int]:
        major, minor, suffix = parse_chip(image.chip)
        return image.kind == "cubin", suffix != "", major, minor

    return max(fitting, key=rank)


class LoadedKernels:
    """Kernels on a device; unloaded with this object, which a call must hold."""

    def __init__(self, handle: int) -> None:
        self.handle = handle
        self.code: Any = None
        """What must live as long, where the device only refers to it."""
        # Not at the end of the process, when the driver may be gone already.
        weakref.finalize(self, device_library().pit_device_unload, handle).atexit = False


class Device:
    """A device that runs kernels; it lives as long as the process.

    `name` is its maker's, `chip` what kernels are compiled for, such as sm_90; `place` is where torch says that its
    tensors are.
    """

    def __init__(self, handle: int, ordinal: int, name: str, chip: str) -> None:
        self.handle = handle
        self.ordinal = ordinal
        self.name = name
        self.chip = chip
        self.place = f"cuda:{ordinal}"
        self._callbacks: tuple[Any, Any] | None = None

    def __str__(self) -> str:
        return f"GPU {self.ordinal} ({self.name})"

    def stream(self) -> int:
        """The stream that calls on this thread use: torch's current one, where torch has CUDA."""
        torch = torch_with_cuda()
        return 0 if torch is None else int(torch._C._cuda_getCurrentRawStream(self.ordinal))

    def load(self, kernels: Kernels) -> LoadedKernels:
        """Loads `kernels`; raises `PlatformError` where none of their images fits or the driver refuses."""
        if self._callbacks is None and (torch := torch_with_cuda()) is not None:
            self.set_allocator(*torch_allocator(torch, self.ordinal))
        image = best_image(kernels.images, self.chip, str(self))
        # PTX is text that a zero ends.
        return self.load_image(image.content + b"\0" * (image.kind == "ptx"), kernels.names)

    def load_image(self, content: bytes, names: Sequence[str]) -> LoadedKernels:
        """Loads the kernels `names` from `content`, what the device's own tool-chain made."""
        encoded = [name.encode() for name in names]
        array = (ctypes.c_char_p * len(encoded))(*encoded)
        handle = device_library().pit_device_load(self.handle, content, len(content), array, len(encoded))
        if not handle:
            raise self.failure()
        return LoadedKernels(handle)

    def failure(self) -> PitError:
        """The error for what the device refused last on this thread."""
        return PlatformError(last_failure())

    def out_of_memory(self, missing_bytes: int) -> PitError:
        """The error for a buffer of `missing_bytes` that there is no memory for."""
        return PlatformError(
            f"out of memory on {self}: the program needs a buffer of {missing_bytes % 2**64 / 2**20:,.1f} MiB more; "
            "free tensors, or pass smaller batches"
        )

    def set_allocator(
        self, allocate: Callable[[int, int], int | None], free: Callable[[int, int], None]
    ) -> None:
        """From now on blocks of memory come from `allocate(bytes, stream)`, which gives None where there is no memory
        left, and go back to `free(address, stream)`."""
        self._callbacks = (
            _ALLOCATE(lambda size, stream: allocate(size, stream or 0)),
            _FREE(lambda memory, stream: free(memory, stream or 0)),
        )
        device_library().pit_device_set_allocator(self.handle, *self._callbacks)
        # Tensors may be freed after the interpreter's end.
        weakref.finalize(self, device_library().pit_device_set_allocator, self.handle, _ALLOCATE(), _FREE())

    def trim(self) -> None:
        """Gives back all memory that is kept for later calls."""
        device_library().pit_device_trim(self.handle)

    def live_bytes(self) -> int:
        """Bytes that programs hold on the device now, results that their callers keep among them."""
        return device_library().pit_device_live_bytes(self.handle)

    def cached_bytes(self) -> int:
        """Bytes that are kept for later calls."""
        return device_library().pit_device_cached_bytes(self.handle)


def torch_with_cuda() -> Any:
    """torch, where it is in the process and has a GPU; else None."""
    torch = sys.modules.get("torch")
    return torch if torch is not None and _has_cuda(torch) else None


@cache
def _has_cuda(torch: Any) -> bool:
    available = torch.cuda.is_available()
    if available:
        torch.cuda.init()
    return available


def torch_allocator(
    torch: Any, ordinal: int
) -> tuple[Callable[[int, int], int | None], Callable[[int, int], None]]:
    """Two functions for `Device.set_allocator`: memory from torch's caching allocator."""

    def allocate(size: int, stream: int) -> int | None:
        try:
            return torch.cuda.caching_allocator_alloc(size, ordinal, stream)
        except torch.cuda.OutOfMemoryError:
            return None

    def free(memory: int, stream: int) -> None:
        torch.cuda.caching_allocator_delete(memory)

    return allocate, free


def last_failure() -> str:
    """What the native library says went wrong last on this thread."""
    return device_library().pit_device_failure().decode(errors="replace")


def gpu_count() -> int:
    """How many GPUs there are; raises `PlatformError` without a driver."""
    count = device_library().pit_cuda_device_count()
    if count < 0:
        raise PlatformError(last_failure())
    return count


@cache
def gpu(ordinal: int = 0) -> Device:
    """GPU number `ordinal`; raises `PlatformError` where there is none or it does not start."""
    numbers = (ctypes.c_int64 * 6)()
    name = ctypes.create_string_buffer(256)
    native = device_library()
    if not native.pit_cuda_describe(ordinal, numbers, name, len(name)):
        raise PlatformError(last_failure())
    handle = native.pit_cuda_device(ordinal)
    if not handle:
        raise PlatformError(last_failure())
    return Device(handle, ordinal, name.value.decode(errors="replace"), f"sm_{numbers[0]}{numbers[1]}")


def current_gpu() -> Device:
    """The GPU that torch would use now; number 0 without torch."""
    torch = torch_with_cuda()
    return gpu(0 if torch is None else torch.cuda.current_device())
