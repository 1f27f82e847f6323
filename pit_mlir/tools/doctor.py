"""What `pit-mlir doctor` looks at: versions, the processor, memory pages, the run-time library, GPU and ptxas."""

import ctypes
import os
import platform
import shutil
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from pit_mlir import __version__
from pit_mlir.analysis.tiles import database
from pit_mlir.cache import PROGRAMS, SIZE_VARIABLE, Cache, size_limit
from pit_mlir.errors import PlatformError
from pit_mlir.runtime.library import library, library_path
from pit_mlir.target import host

Verdict = Literal["good", "missing", "absent"]
"""`missing` is what compiling or running needs; `absent` is what it can do without."""

NEEDED = ("torch", "torch-mlir", "numpy", "ml_dtypes", "z3-solver")
OPTIONAL = ("transformers",)
FEATURES = ("avx2", "fma", "avx512f", "avx512_bf16", "avx512_fp16", "amx_bf16", "asimd", "bf16", "sve")
HUGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")


@dataclass(frozen=True)
class Finding:
    """One line of the report."""

    subject: str
    verdict: Verdict
    text: str


def findings() -> Iterator[Finding]:
    """Everything there is to say about this machine, in the order of the report."""
    yield Finding("pit_mlir", "good", f"{__version__} in {Path(__file__).parents[1]}")
    yield Finding("Python", "good", f"{platform.python_version()} ({sys.executable})")
    yield from (_package(name, "missing") for name in NEEDED)
    yield from (_package(name, "absent") for name in OPTIONAL)
    yield Finding("platform", "good", f"{platform.system()} {platform.release()}, {platform.machine()}")
    yield from _processor()
    yield Finding("huge pages", *_huge_pages())
    yield _tiles()
    yield Finding("libpit_runtime", *_runtime())
    yield Finding("cache", *_cache())
    yield Finding("ptxas", *_ptxas())
    yield Finding("GPU", *_gpu())


def _package(name: str, otherwise: Verdict) -> Finding:
    try:
        return Finding(name, "good", version(name))
    except PackageNotFoundError:
        return Finding(name, otherwise, f"not installed: pip install {name}")


def _processor() -> Iterator[Finding]:
    try:
        machine = host()
    except PlatformError as error:
        yield Finding("processor", "missing", error.message)
        return
    features = " ".join(name for name in FEATURES if name in machine.features)
    yield Finding("processor", "good", f"{_model_name()}: {features}")
    caches = f"L1 {machine.l1_bytes // 1024} KiB, L2 {machine.l2_bytes // 1024} KiB"
    yield Finding("vectors", "good", f"{machine.vector_bits} bits, {machine.registers} registers; {caches}")
    yield Finding("threads", "good", f"{machine.threads} of {os.cpu_count()} cores may be used")


def _model_name() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _tiles() -> Finding:
    """Which costs decide what lists are followed."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        origin = database().origin
    told = "".join(f"; {warning.message}" for warning in caught)
    return Finding("tile database", "absent" if told else "good", origin + told)


def _huge_pages() -> tuple[Verdict, str]:
    if not HUGE_PAGES.is_file():
        return "absent", "the kernel has none"
    modes = HUGE_PAGES.read_text()
    chosen = modes[modes.find("[") + 1 : modes.find("]")]
    return ("absent" if chosen == "never" else "good"), f"transparent, {chosen} ({HUGE_PAGES})"


def _runtime() -> tuple[Verdict, str]:
    try:
        library()
        return "good", str(library_path())
    except PlatformError as error:
        return "missing", error.message
    except (OSError, AttributeError) as error:
        return "missing", f"{library_path()} cannot be used, build it anew: {error}"


def _cache() -> tuple[Verdict, str]:
    """What is kept, where, and whether it can be."""
    store, limit = Cache(PROGRAMS), size_limit()
    if limit == 0:
        return "absent", f"off ({SIZE_VARIABLE}=0)"
    if platform.machine() != "x86_64":
        return "absent", f"off: object files for {platform.machine()} cannot be loaded again"
    existing = next(folder for folder in (store.folder, *store.folder.parents) if folder.exists())
    if not (existing.is_dir() and os.access(existing, os.R_OK | os.W_OK | os.X_OK)):
        return "absent", f"{store.folder} cannot be written"
    entries = store.entries()
    size = sum(entry.bytes for entry in entries)
    return "good", f"{size / 2**20:.1f} of {limit / 2**20:.0f} MiB, {len(entries)} programs in {store.folder}"


def _ptxas() -> tuple[Verdict, str]:
    """In PATH, or in one of NVIDIA's Python packages."""
    if found := shutil.which("ptxas"):
        return "good", found
    package = find_spec("nvidia")
    folders = [] if package is None else list(package.submodule_search_locations or ())
    inside = [path for folder in folders for path in sorted(Path(folder).glob("*/bin/ptxas"))]
    return ("good", str(inside[0])) if inside else ("absent", "not found: only code for GPUs wants it")


def _gpu() -> tuple[Verdict, str]:
    """What the driver says, without CUDA's toolkit or torch."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return "absent", "no driver (libcuda.so.1)"
    count = ctypes.c_int()
    if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)):
        return "absent", "there is a driver, but it cannot be used"
    return ("good" if count.value else "absent"), ", ".join(
        map(_gpu_text, [driver] * count.value, range(count.value))
    )


def _gpu_text(driver: ctypes.CDLL, number: int) -> str:
    """Name and compute capability of the device `number`."""
    name, major, minor = ctypes.create_string_buffer(256), ctypes.c_int(), ctypes.c_int()
    driver.cuDeviceGetName(name, len(name), number)
    # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR.
    driver.cuDeviceGetAttribute(ctypes.byref(major), 75, number)
    driver.cuDeviceGetAttribute(ctypes.byref(minor), 76, number)
    return f"{name.value.decode()} (sm_{major.value}{minor.value})"
