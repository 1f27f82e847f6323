"""What programs run on: the host's processor with its vectors, caches and cores, or a GPU. Knows nothing of MLIR."""

import os
import platform
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from pit_mlir.errors import InputError, PlatformError

CPUINFO = Path("/proc/cpuinfo")
CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
LINE_BYTES = 64
"""A line of the caches: what any access brings in whole."""

VARYING = r"^[^:]*(mhz|mips|apicid|microcode|processor|core id|physical id|siblings|cores)"
"""Lines of it that say nothing about what the processor can do."""


CHIPS = ("sm_80", "sm_86", "sm_89", "sm_90a", "sm_100")
"""The GPUs that kernels are compiled for; the code of sm_80 is what any newer one runs too, as PTX."""
OLDEST_CHIP = CHIPS[0]


@dataclass(frozen=True)
class Target:
    """What a program runs on: this host's `cpu`, a GPU by `cuda`, or an `emulator` of one on the host.

    `chip` names the GPU, such as "sm_90a"; it is empty for the CPU.
    """

    kind: Literal["cpu", "cuda", "emulator"]
    chip: str = ""

    @staticmethod
    def of(text: object) -> "Target":
        """The target that `text` names, such as "cpu", "cuda:sm_90a" or "emulator"; raises `InputError`."""
        kind, _, chip = text.partition(":") if isinstance(text, str) else ("", "", "")
        if text == "cpu":
            return Target("cpu")
        if kind in ("cuda", "emulator") and (chip in CHIPS or text == kind):
            return Target(kind, chip or OLDEST_CHIP)
        chips = ", ".join(CHIPS)
        raise InputError(
            f"target = {text!r}, expected 'cpu', 'cuda', 'emulator', or one of the latter two with a chip, such as "
            f"'cuda:sm_90a'; chips: {chips}"
        )

    @property
    def is_gpu(self) -> bool:
        """Whether the program consists of kernels, on a GPU or emulated."""
        return self.kind != "cpu"

    @property
    def is_of_one_chip(self) -> bool:
        """Whether no other chip runs the kernels, not as PTX either."""
        return self.kind == "cuda" and self.chip.endswith("a")

    def __str__(self) -> str:
        return f"{self.kind}:{self.chip}" if self.chip else self.kind


CPU = Target("cpu")


def kernel_chip(chip: str) -> str:
    """The chip that kernels for a device that is a `chip`, such as "sm_90", are best compiled for."""
    if f"{chip}a" in CHIPS:
        return f"{chip}a"
    portable = [known for known in CHIPS if not known.endswith("a")]
    fitting = [known for known in portable if int(known[3:]) <= int(re.sub(r"\D", "", chip))]
    return fitting[-1] if fitting else OLDEST_CHIP


@dataclass(frozen=True)
class Host:
    """A processor: `vector_bits` wide registers, `registers` of them, cache sizes in bytes, usable cores."""

    architecture: str
    features: frozenset[str]
    vector_bits: int
    registers: int
    l1_bytes: int
    l2_bytes: int
    threads: int
    l3_bytes: int = 32 << 20

    def lanes(self, bits: int) -> int:
        """How many elements of `bits` bits one vector register holds."""
        return self.vector_bits // bits

    @property
    def has_bf16_dot(self) -> bool:
        """Whether the processor multiplies pairs of bf16 with f32 accumulation in one instruction."""
        return "avx512_bf16" in self.features


def with_vectors(host: Host, bits: int) -> Host:
    """`host` restricted to vectors of `bits` bits, as an older processor would be; for tests and comparisons."""
    registers = 32 if bits == 512 or host.architecture == "aarch64" else 16
    dropped = frozenset(name for name in host.features if name.startswith("avx512") and bits < 512)
    return Host(
        host.architecture,
        host.features - dropped,
        bits,
        registers,
        host.l1_bytes,
        host.l2_bytes,
        host.threads,
        host.l3_bytes,
    )


@cache
def host() -> Host:
    """The machine this process runs on; raises `PlatformError` where code cannot be generated for it."""
    machine = platform.machine()
    if platform.system() != "Linux" or machine not in ("x86_64", "aarch64"):
        raise PlatformError(
            f"runs on Linux for x86-64 and aarch64, this is {platform.system()} on {machine or 'an unknown CPU'}"
        )
    features = cpu_features()
    bits = vector_bits(machine, features)
    return Host(
        machine,
        features,
        bits,
        32 if bits == 512 or machine == "aarch64" else 16,
        cache_bytes(1, default=32 * 1024),
        cache_bytes(2, default=512 * 1024),
        len(os.sched_getaffinity(0)),
        cache_bytes(3, default=32 << 20),
    )


def processor() -> str:
    """What the system says of the first core, its model among it, without what changes from boot to boot."""
    if not CPUINFO.exists():
        return platform.processor()
    core = CPUINFO.read_text().partition("\n\n")[0]
    return "\n".join(line for line in core.splitlines() if not re.search(VARYING, line, re.IGNORECASE))


def cpu_features() -> frozenset[str]:
    """The feature flags of the first core, as Linux names them."""
    if not CPUINFO.exists():
        return frozenset()
    for line in CPUINFO.read_text().splitlines():
        name, _, flags = line.partition(":")
        if name.strip() in ("flags", "Features"):
            return frozenset(flags.split())
    return frozenset()


def vector_bits(machine: str, features: frozenset[str]) -> int:
    """The width of the widest vector register that code should use."""
    if machine == "x86_64" and {"avx512f", "avx512bw", "avx512vl", "avx512dq"} <= features:
        return 512
    if machine == "x86_64" and {"avx2", "fma"} <= features:
        return 256
    return 128


def cache_bytes(level: int, *, default: int) -> int:
    """The size of the data cache of `level` of the first core; `default` where the system does not tell."""
    for entry in sorted(CACHES.glob("index*")) if CACHES.exists() else []:
        kind = (entry / "type").read_text().strip()
        if kind == "Instruction" or int((entry / "level").read_text()) != level:
            continue
        text = (entry / "size").read_text().strip()
        return int(text[:-1]) * (1024 if text[-1] == "K" else 1024 * 1024)
    return default
