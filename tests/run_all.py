"""Runs every check and test, or with `check` only the checks, and closes with one table of how each went.

python tests/run_all.py [check]
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
BUILD = ROOT / "build"
CRASHES = BUILD / "crashes"
LAWS = ("tests/unit/test_import_law.py", "tests/unit/test_size_budget.py")
WORKERS = ("-n", "2", "--dist", "worksteal")
EMULATED = tuple(
    f"tests/e2e/test_{name}.py"
    for name in ("padding_compact", "predictors", "sparse_attention", "swin", "two_zeros")
)
"""End-to-end tests that run for a GPU in the emulator each time: rows, lists, attention, experts. `make emulate` runs
all."""
# Workers share the cores: a thread that waits must not keep one from another.
ENVIRONMENT = {**os.environ, "OMP_WAIT_POLICY": "passive"}


@dataclass(frozen=True)
class Step:
    """One command; `counts`, where given, is the JUnit file in which it leaves the numbers of its tests."""

    name: str
    command: tuple[str, ...]
    counts: Path | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    """Of the environment, besides those of all steps."""


CHECKS = (
    Step("format", (str(BIN / "ruff"), "format", "--check", "--quiet", "--output-format=concise", ".")),
    Step("lint", (str(BIN / "ruff"), "check", "--quiet", "--output-format=concise", ".")),
    Step("types", (str(BIN / "basedpyright"), "--level", "error")),
    Step("laws", (str(BIN / "pytest"), "-q", *LAWS, f"--junitxml={BUILD / 'laws.xml'}"), BUILD / "laws.xml"),
)
TESTS = (
    Step(
        "pytest", (str(BIN / "pytest"), *WORKERS, f"--junitxml={BUILD / 'pytest.xml'}"), BUILD / "pytest.xml"
    ),
    Step(
        "emulate",
        (str(BIN / "pytest"), *WORKERS, f"--junitxml={BUILD / 'emulate.xml'}", *EMULATED),
        BUILD / "emulate.xml",
        {"PIT_TARGET": "emulator"},
    ),
    Step(
        "lit",
        (str(BIN / "lit"), "-v", f"--xunit-xml-output={BUILD / 'lit.xml'}", "lit_tests"),
        BUILD / "lit.xml",
    ),
    Step("sanitize", (sys.executable, "tests/sanitize.py")),
    # The same cases every time: what is new is for `make fuzz` to find.
    Step("fuzz", (sys.executable, "-m", "tests.fuzz", "all", "--n", "200", "--seed", "0")),
)


def main() -> int:
    """Runs the steps in order, all of them whatever fails; 1 if any did."""
    steps = CHECKS if "check" in sys.argv[1:] else CHECKS + TESTS
    shutil.rmtree(CRASHES, ignore_errors=True)
    BUILD.mkdir(exist_ok=True)
    rows: list[str] = []
    failed: list[str] = []
    for step in steps:
        print(f"== {step.name}", flush=True)
        if step.counts is not None:
            step.counts.unlink(missing_ok=True)
        start = time.perf_counter()
        environment = {**ENVIRONMENT, **step.variables}
        status = subprocess.run(step.command, cwd=ROOT, env=environment, check=False).returncode
        failed += [step.name] if status else []
        seconds = time.perf_counter() - start
        rows.append(
            f"  {step.name:8} {'failed' if status else 'passed'} {seconds:7.1f} s  {counted(step.counts)}"
        )
    for trace in sorted(CRASHES.glob("*.txt")):
        if text := trace.read_text():
            print(f"== crash of worker {trace.stem}", text, sep="\n")
    print("\n".join(["", "summary", *rows, f"failed: {', '.join(failed)}" if failed else "all passed"]))
    return 1 if failed else 0


def counted(path: Path | None) -> str:
    """The numbers of tests in the JUnit file at `path`, as text."""
    if path is None or not path.is_file():
        return ""
    cases = list(ElementTree.parse(path).getroot().iter("testcase"))
    skipped = sum(case.find("skipped") is not None for case in cases)
    bad = sum(case.find("failure") is not None or case.find("error") is not None for case in cases)
    return f"{len(cases) - skipped - bad} passed, {bad} failed, {skipped} skipped"


if __name__ == "__main__":
    sys.exit(main())
