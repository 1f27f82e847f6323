"""Says why this machine or this Python cannot run the project, with status 1; silent where it can."""

import platform
import sys

MACHINES = ("x86_64", "aarch64")

if sys.version_info < (3, 11) or sys.version_info >= (3, 14):
    sys.exit(f"pit_mlir needs Python 3.11 to 3.13, got {platform.python_version()}: make PYTHON=python3.11")
if sys.platform != "linux" or platform.machine() not in MACHINES:
    sys.exit(f"pit_mlir runs on Linux x86-64 and aarch64, got {platform.system()} {platform.machine()}")
