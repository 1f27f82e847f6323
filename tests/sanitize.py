"""Builds libpit_runtime with sanitizers, runs its native tests, and the Python tests of the runtime, with them.

python tests/sanitize.py [address] [thread] [guard]

AddressSanitizer comes with UBSan. Code that the JIT makes is not instrumented, its calls of the runtime are. The
compiler must be GCC, whose sanitizers can be loaded before a Python that was built without them.

What the JIT's code reads and writes is seen by `guard`: each buffer, and each operand of a test, ends at a page that
nobody may touch, and what goes beyond ends the process.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
SANITIZERS = {"address": "address,undefined", "thread": "thread"}
LIBRARIES = {"address": "libasan.so", "thread": "libtsan.so"}
PYTHON_TESTS = ("tests/unit/test_runtime_library.py", "tests/unit/test_engine.py")
# ThreadSanitizer would take fibers for one thread whose stack jumps.
EMULATOR_TESTS = (
    "tests/gpu/test_emulator_copies.py",
    "tests/gpu/test_emulator_reports.py",
    "tests/gpu/test_emulator_warp.py",
)
GUARDED_TESTS = (
    "tests/unit/test_contract_sparse.py",
    "tests/unit/test_contract_segments.py",
    "tests/unit/test_contract_ahead.py",
    "tests/unit/test_sampled_bits.py",
)

# A null pointer where there is no memory is part of the tests.
OPTIONS = {
    "ASAN_OPTIONS": "allocator_may_return_null=1",
    "UBSAN_OPTIONS": "print_stacktrace=1",
    "TSAN_OPTIONS": "allocator_may_return_null=1",
}
# The interpreter and MLIR are not instrumented: what they free at the end is theirs to know, and what they do with
# atomic operations is not seen, so that only calls that come from the runtime itself count.
PYTHON_OPTIONS = {
    "ASAN_OPTIONS": "allocator_may_return_null=1:detect_leaks=0",
    "TSAN_OPTIONS": "allocator_may_return_null=1:ignore_noninstrumented_modules=1",
}


def main() -> int:
    """Runs what the command line names, all of it where it names nothing; 1 if a sanitizer or a test complained."""
    names = sys.argv[1:] or [*SANITIZERS, "guard"]
    complaints = [name for name in names if (guard() if name == "guard" else sanitize(name))]
    return int(bool(complaints))


def guard() -> bool:
    """Builds with pages behind all buffers, and runs the tests of contractions; whether any failed."""
    build = ROOT / "build" / "sanitize" / "guard"
    environment = {"PIT_RUNTIME_LIBRARY": str(build / "libpit_runtime.so"), "PYTHONPATH": str(ROOT)}
    return made(build, "-DPIT_GUARD_PAGES=ON") or bool(
        run(
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "tests.guarded_operands",
            *GUARDED_TESTS,
            environment=environment,
        )
    )


def made(build: Path, *options: str) -> bool:
    """Builds with `options` into the folder `build`; whether that failed."""
    cmake, quiet = tool("cmake"), subprocess.DEVNULL
    configure = (cmake, "-S", ROOT, "-B", build, "-DCMAKE_BUILD_TYPE=RelWithDebInfo", *options)
    return bool(
        run(*configure, stdout=quiet) or run(cmake, "--build", build, "--parallel", "2", stdout=quiet)
    )


def tool(name: str) -> str:
    """Where the command `name` is, those of our environment first."""
    return shutil.which(name, path=f"{BIN}:{os.environ['PATH']}") or name


def sanitize(name: str) -> bool:
    """Builds with sanitizer `name`, and runs all tests even if some fail; whether any failed."""
    build = ROOT / "build" / "sanitize" / name
    if made(build, f"-DPIT_SANITIZE={SANITIZERS[name]}", "-DPIT_NATIVE_TESTS=ON"):
        return True
    native = run(tool("ctest"), "--test-dir", build, "--output-on-failure", environment=OPTIONS)
    # libstdc++ with the sanitizer: it must find what throws when it is loaded, and the interpreter is in C.
    libraries = [found(library) for library in (LIBRARIES[name], "libstdc++.so.6")]
    environment = {
        **OPTIONS,
        **PYTHON_OPTIONS,
        "LD_PRELOAD": " ".join(libraries),
        "PIT_RUNTIME_LIBRARY": str(build / "libpit_runtime.so"),
    }
    tests = (*PYTHON_TESTS, *(EMULATOR_TESTS if name == "address" else ()))
    return bool(run(sys.executable, "-m", "pytest", *tests, environment=environment)) or bool(native)


def found(library: str) -> str:
    """Where GCC has `library`; ends with a message if it is not installed."""
    command = (os.environ.get("CXX", "g++"), f"-print-file-name={library}")
    place = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    return place if Path(place).is_absolute() else sys.exit(f"{command[0]} has no {library}: install it")


def run(*command: str | Path, environment: dict[str, str] | None = None, stdout: int | None = None) -> int:
    """The exit status of `command`."""
    variables = {**os.environ, **(environment or {})}
    return subprocess.run(command, cwd=ROOT, env=variables, stdout=stdout, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
