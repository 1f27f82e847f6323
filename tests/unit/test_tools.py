"""`pit-mlir doctor`, `PIT_LOG`, and the public names of the package."""

import importlib
import logging
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import pit_mlir
from pit_mlir.cache import DIRECTORY_VARIABLE, PROGRAMS, SIZE_VARIABLE, Cache
from pit_mlir.log import configure
from pit_mlir.passes.registry import PASSES
from pit_mlir.tools import cache_command, doctor
from pit_mlir.tools.pit_mlir import app
from pit_mlir.tools.pit_mlir_opt import main


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=environment or None,
    )


def test_doctor() -> None:
    found = {finding.subject: finding for finding in doctor.findings()}
    assert found["torch-mlir"].text == "20261001"
    assert found["vectors"].verdict == "good" and "bits" in found["vectors"].text
    result = CliRunner().invoke(app, ["doctor"])
    assert result.exit_code == (1 if any(f.verdict == "missing" for f in found.values()) else 0)
    assert "processor" in result.output and "GPU" in result.output


def test_doctor_names_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "NEEDED", ("no-such-package",))
    result = CliRunner().invoke(app, ["doctor"])
    assert result.exit_code == 1
    assert "pip install no-such-package" in result.output and "missing: no-such-package" in result.output


def test_public_names_are_sorted_and_exist() -> None:
    assert sorted(pit_mlir.__all__) == pit_mlir.__all__ and set(pit_mlir.__all__) <= set(dir(pit_mlir))
    for name in pit_mlir.__all__:
        assert getattr(pit_mlir, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = pit_mlir.nothing


def test_compile_is_the_function_whatever_was_imported_first() -> None:
    importlib.import_module("pit_mlir.compile")
    assert callable(pit_mlir.compile) and pit_mlir.compile.__name__ == "compile"


def test_log_levels() -> None:
    configure("passes=debug,runtime=warning")
    assert logging.getLogger("pit_mlir.passes").level == logging.DEBUG
    assert logging.getLogger("pit_mlir.runtime").level == logging.WARNING
    logging.getLogger("pit_mlir.passes").setLevel(logging.NOTSET)
    logging.getLogger("pit_mlir.runtime").setLevel(logging.NOTSET)


def test_log_to_stderr(tmp_path: Path) -> None:
    path = tmp_path / "in.mlir"
    path.write_text("func.func @f() {\n  return\n}\n")
    code = f"from pit_mlir.tools.pit_mlir_opt import main; main([{str(path)!r}, '--cse'])"
    assert "pit_mlir.passes: INFO: cse: " in run(code, PIT_LOG="info").stderr
    assert run(code).stderr == ""
    assert "level 'loud' is none of debug" in run(code, PIT_LOG="loud").stderr


@pytest.mark.parametrize(
    "words", [["--o"], ["--verify-each=perhaps"], ["--mlir-diagnostic-verbosity-level=all"]]
)
def test_bad_options_of_the_driver(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 1
    assert capsys.readouterr().err.startswith("pit-mlir-opt: error: option")


def test_list_passes_documents_every_pass(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list-passes"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("  --pit-")]
    assert len(lines) == len(PASSES)
    assert all(line.split(maxsplit=1)[1].endswith(".") for line in lines), lines


def test_version_of_the_compiler() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert (
        result.exit_code == 0 and result.output == f"pit-mlir {pit_mlir.__version__} (torch-mlir 20261001)\n"
    )


def test_help_that_cannot_be_written() -> None:
    code = "from pit_mlir.tools.launch import pit_mlir; pit_mlir()"
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(
            [sys.executable, "-c", code, "--help"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert result.returncode == 1
    assert result.stderr == "pit-mlir: error: cannot write to standard output: No space left on device\n"


@pytest.mark.parametrize("script", ["pit_mlir", "pit_mlir_opt"])
def test_interrupt_while_a_tool_loads(script: str) -> None:
    code = f"""
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)
from pit_mlir.tools import launch

class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == "pit_mlir.tools.{script}":
            print("loading", flush=True)
            time.sleep(60)

sys.meta_path.insert(0, Slow())
launch.{script}()
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == b"loading\n"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (-signal.SIGINT, b"")


def test_cache_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Empty, with an entry, cleared, and off."""
    monkeypatch.setenv(DIRECTORY_VARIABLE, str(tmp_path))
    monkeypatch.delenv(SIZE_VARIABLE)
    folder = tmp_path / PROGRAMS
    assert cache_command.run(clear=False) == 0
    assert capsys.readouterr().out == f"{folder}\n0 programs, 0.0 MiB; at most 1,024.0 MiB\n"
    Cache(PROGRAMS).write("key", bytes(1 << 20))
    assert {f.subject: f.text for f in doctor.findings()}[
        "cache"
    ] == f"1.0 of 1024 MiB, 1 programs in {folder}"
    assert cache_command.run(clear=False) == 0
    assert "\n1 program, 1.0 MiB; at most" in capsys.readouterr().out
    assert cache_command.run(clear=True) == 0
    assert capsys.readouterr().out == f"removed 1 program, 1.0 MiB, from {folder}\n"
    assert Cache(PROGRAMS).entries() == []
    monkeypatch.setenv(SIZE_VARIABLE, "0")
    assert cache_command.run(clear=False) == 0
    assert "off, PIT_CACHE_SIZE is 0" in capsys.readouterr().out
    folder.rmdir()
    folder.write_text("a file")
    assert cache_command.run(clear=False) == 1
    assert "Not a directory" in capsys.readouterr().err
