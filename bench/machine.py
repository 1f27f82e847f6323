"""The machine a result is from: its name, and what its cores multiply and its memory delivers at most."""

import functools
import os
import platform
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from bench.protocol import DTYPES
from bench.target import has_gpu_tensors, on_gpu

CPUINFO = Path("/proc/cpuinfo")


@dataclass(frozen=True)
class Machine:
    """`gflops`: what one core multiplies and adds in 10^9 operations a second, by dtype.

    `read`: what all cores together read in order of memory that the caller allocated (pages of 4 KB), in 10^9 bytes a
    second; `packed`: the same of what we packed into huge pages.
    """

    gflops: Mapping[str, float]
    read: float
    packed: float
    is_whole: bool = False
    """Whether the rates are of the whole machine, as those of a GPU are, and not of a core."""

    def compute_ms(self, flops: float, dtype: str, threads: int) -> float:
        """Milliseconds that so many operations need at least."""
        return flops / (self.gflops[dtype] * 1e6 * (1 if self.is_whole else threads))

    def read_ms(self, size: float) -> float:
        """Milliseconds that reading `size` bytes of the caller's memory needs at least."""
        return size / (self.read * 1e6)

    def packed_ms(self, size: float) -> float:
        """Milliseconds that reading `size` bytes of huge pages needs at least."""
        return size / (self.packed * 1e6)


KNOWN = {
    "amd-epyc-family-26-2-cores": Machine(
        {"f32": 235.0, "bf16": 470.0, "f16": 235.0, "f64": 117.0}, read=28.0, packed=40.0
    ),
}
"""Machines whose limits were measured by hand-written loops; on any other `limits` asks torch, which reaches less."""


def cpu_fields() -> dict[str, str]:
    """The first processor of /proc/cpuinfo."""
    lines = CPUINFO.read_text().split("\n\n")[0].splitlines() if CPUINFO.exists() else []
    pairs = (line.partition(":") for line in lines)
    return {key.strip(): value.strip() for key, _, value in pairs}


@functools.cache
def machine_name() -> str:
    """A name of the processor and how many cores we may use, such as "amd-epyc-family-26-2-cores"; or of the GPU."""
    if has_gpu_tensors():
        return "-".join(
            re.findall(r"[a-z0-9.]+", torch.cuda.get_device_name().lower().removeprefix("nvidia "))
        )
    fields = cpu_fields()
    model = fields.get("model name") or platform.processor() or platform.machine()
    # A name that a hypervisor has shortened to its brand says little: the family is what tells generations apart.
    family = f" family {fields['cpu family']}" if "cpu family" in fields else ""
    words = re.sub(r"\((r|tm)\)|\bcpu\b|@.*", " ", model, flags=re.IGNORECASE) + family
    cores = len(os.sched_getaffinity(0))
    return "-".join([*re.findall(r"[a-z0-9.]+", words.lower()), str(cores), "cores" if cores > 1 else "core"])


@functools.cache
def limits() -> Machine:
    """The limits of this machine, known or measured in about a second."""
    if has_gpu_tensors():
        return measured_gpu()
    return KNOWN.get(machine_name()) or measured()


def best(run: Callable[[], object], rounds: int = 7) -> float:
    """The least seconds of a call."""
    taken: list[float] = []
    for _ in range(rounds):
        start = time.perf_counter()
        run()
        taken.append(time.perf_counter() - start)
    return min(taken)


def measured_gpu() -> Machine:
    """What torch reaches on the GPU with products of matrices and with a sum of a GiB."""
    sides = {"f32": 4096, "f64": 4096, "bf16": 8192, "f16": 8192}
    rates = {name: gpu_rate(DTYPES[name], side) for name, side in sides.items()}
    memory = torch.ones(256 << 20)
    read = memory.numel() * 4e-6 / min(on_gpu(memory.sum) for _ in range(7))
    return Machine(rates, read, read, is_whole=True)


def gpu_rate(dtype: torch.dtype, side: int) -> float:
    """The operations of a product of square matrices, in 10^9 a second."""
    left, right = (torch.randn(side, side).to(dtype) for _ in range(2))
    return 2e-6 * side**3 / min(on_gpu(lambda: left @ right) for _ in range(5))


def measured() -> Machine:
    """What torch reaches here with a product of 1024 x 1024 on one thread, and with a sum of 256 MiB on all."""
    threads = torch.get_num_threads()
    memory = torch.ones(64 << 20)
    read = memory.numel() * 4e-9 / best(memory.sum)
    torch.set_num_threads(1)
    side = torch.randn(1024, 1024)
    single = 2e-9 * 1024**3 / best(lambda: side @ side)
    half = side.bfloat16()
    double = 2e-9 * 1024**3 / best(lambda: half @ half, 3)
    torch.set_num_threads(threads)
    return Machine({"f32": single, "bf16": max(single, double), "f16": single, "f64": single / 2}, read, read)
