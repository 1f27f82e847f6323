"""How many threads a call uses."""

import os
import sys


def thread_count() -> int:
    """torch's number where torch is in the process, else the cores this process may run on."""
    torch = sys.modules.get("torch")
    return torch.get_num_threads() if torch is not None else len(os.sched_getaffinity(0))
