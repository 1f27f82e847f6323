"""`pit-mlir-opt` as a process: its start, interrupts, streams that are closed, inputs that are too much."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pit_mlir.bindings import ir
from pit_mlir.dialect import make_context
from pit_mlir.passes.reproducer import Reproducer
from pit_mlir.passes.upstream import Managers
from pit_mlir.passes.upstream_names import UPSTREAM_NAMES
from pit_mlir.tools.pit_mlir_opt import main

COMMAND = [sys.executable, "-m", "pit_mlir.tools.pit_mlir_opt"]
TWICE = """func.func @f(%a: i32) -> (i32, i32) {
  %0 = arith.addi %a, %a : i32
  %1 = arith.addi %a, %a : i32
  return %0, %1 : i32, i32
}"""


def shell(text: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs `text`, in which `opt` is the driver."""
    return subprocess.run(
        ["bash", "-c", f'opt() {{ {" ".join(COMMAND)} "$@"; }}; {text}'],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **environment},
    )


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["--list-passes"], ["--cse", "/dev/null"]])
def test_start_loads_what_it_needs(words: list[str]) -> None:
    code = "import sys; from pit_mlir.tools.pit_mlir_opt import main; main(sys.argv[1:]); "
    # The bindings themselves import numpy.
    code += "print('|', *{'torch', 'z3', 'rich', 'typer'} & set(sys.modules))"
    result = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, timeout=60, check=False
    )
    loaded = result.stdout.rpartition("|")[2].split()
    # What lists all passes loads them all, with the solver.
    assert loaded == [] or (words == ["--list-passes"] and "torch" not in loaded)


def test_interrupt_ends_it_at_once() -> None:
    with subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == -signal.SIGINT, "a shell says 130"
        assert process.stderr is not None and process.stderr.read() == b""


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("opt /dev/null >&-", "pit-mlir-opt: error: cannot write to standard output: it is closed"),
        ("opt <&-", "<stdin>:1:1: error: cannot read standard input: it is closed"),
        (
            "opt /dev/null > /dev/full",
            "pit-mlir-opt: error: cannot write to standard output: No space left on device",
        ),
        (
            "opt --help > /dev/full",
            "pit-mlir-opt: error: cannot write to standard output: No space left on device",
        ),
        (
            "opt /dev/null -o /dev/full",
            "pit-mlir-opt: error: cannot write output file '/dev/full': No space left on device",
        ),
    ],
)
def test_streams_that_fail(line: str, says: str) -> None:
    result = shell(line)
    assert result.returncode == 1
    assert result.stderr == f"{says}\n" and not result.stdout


@pytest.mark.parametrize("option", ["--mlir-print-ir-after", "--mlir-print-ir-before"])
def test_a_pass_to_print_around_that_there_is_not(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["/dev/null", "--cse", f"{option}=cse,typo"]) == 1
    assert (
        capsys.readouterr().err
        == f"pit-mlir-opt: error: option {option}: unknown pass 'typo' (--list-passes lists them)\n"
    )
    assert main(["/dev/null", "--cse", f"{option}=cse,pit-simplify"]) == 0


def test_reader_that_goes_away() -> None:
    result = shell("opt --list-passes | head -1")
    assert result.stdout.startswith("From linalg") and not result.stderr


def test_standard_error_that_is_closed() -> None:
    result = shell("echo 'func.func @f(' | opt 2>&-")
    assert result.returncode == 1 and not result.stdout


def test_a_pipe_is_read_once() -> None:
    result = shell(f"opt <(printf '%s' '{TWICE}') --cse")
    assert result.returncode == 0 and result.stdout.count("arith.addi") == 1


def test_deep_nesting(tmp_path: Path) -> None:
    path, depth = tmp_path / "deep.mlir", 5_000
    path.write_text("func.func @f(%c: i1) {" + "scf.if %c {" * depth + "}" * depth + " return }")
    # Without more stack than usual MLIR's parser ends the process here.
    result = shell(f"opt {path} --cse -o /dev/null")
    assert result.returncode == 0 and not result.stderr


def test_a_large_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "large.mlir"
    lines = "".join(f"  %{number} = arith.addi %a, %a : i32\n" for number in range(200_000))
    path.write_text(f"func.func @f(%a: i32) {{\n{lines}  return\n}}\n")
    start = time.process_time()
    assert main([str(path), "--pit-simplify", "--pit-prove-permutation"]) == 0
    assert time.process_time() - start < 20
    assert len(capsys.readouterr().out) < 100


def test_a_line_that_is_long_is_shown_in_part(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "long.mlir"
    path.write_text("func.func @f() { " + "\t" * 3 + "x" * 100_000 + " }")
    assert main([str(path)]) == 1
    shown = capsys.readouterr().err.splitlines()
    assert all(len(line) < 250 for line in shown[1:]) and shown[-1].endswith("\t\t\t^")


def test_unexpected_exception(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> str:
        raise RecursionError("too deep")

    monkeypatch.setattr("pit_mlir.tools.pit_mlir_opt.usage", fail)
    assert main(["--help"]) == 1
    assert "internal error, please report it: RecursionError: too deep" in capsys.readouterr().err


def test_names_of_upstream() -> None:
    managers = Managers(make_context())
    assert sorted(UPSTREAM_NAMES) == list(UPSTREAM_NAMES)
    assert [name for name in UPSTREAM_NAMES if not managers.knows(name)] == []


@pytest.mark.parametrize(
    "pipeline", ["builtin.module(cse)", "builtin.module(pit-x{a=\"b c\" d='e'})", "any(x{y=\\z})", ""]
)
def test_reproducer_round_trip(pipeline: str) -> None:
    made = Reproducer(pipeline, verify_each=False, disable_threading=False)
    text = made.text("module {\n}\n")
    assert Reproducer.find(text) == made
    assert str(ir.Module.parse(text, make_context())) == "module {\n}\n"


def test_reproducer_keeps_resources() -> None:
    resources = '{-#\n  dialect_resources: {\n    builtin: {\n      blob: "0x040000000100000002000000"\n    }\n  }\n#-}\n'
    text = Reproducer("builtin.module(cse)").text(
        "module {\n  ml_program.global private @g(dense_resource<blob> : tensor<2xi32>) : tensor<2xi32>\n}\n\n"
        + resources
    )
    assert Reproducer.find(text) == Reproducer("builtin.module(cse)")
    assert "0x040000000100000002000000" in str(ir.Module.parse(text, make_context()))
