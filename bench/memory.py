"""The most memory of a process that calls one model, in MiB: `python -m bench.memory bert 12 0 pit`."""

import gc
import sys
from pathlib import Path

import torch

from bench.models import CALLS, Subject
from bench.protocol import OURS

FORGET_PEAK = "5"
"""What /proc/self/clear_refs takes to make the peak what there is now."""


def peak_mib() -> float:
    """The most memory that was resident since the peak was forgotten."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


def main() -> None:
    """Builds, compiles if it is ours, forgets what that took, calls."""
    name, layers, freeze, side = sys.argv[1:]
    subject = Subject(name, int(layers), freeze == "1")
    generator = torch.Generator().manual_seed(0)
    model = subject.build()
    called = subject.compile(model, subject.case.inputs(generator)) if side == OURS else model
    # Frozen weights replace the model's own where the caller lets go of it.
    del model
    gc.collect()
    Path("/proc/self/clear_refs").write_text(FORGET_PEAK)
    with torch.no_grad():
        for _ in range(CALLS):
            called(*subject.case.inputs(generator))
    print(f"{peak_mib():.1f}")


if __name__ == "__main__":
    main()
