"""`pit-mlir-opt`: runs our passes and upstream ones on MLIR text, as mlir-opt does. Needs no torch."""

import io
import os
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from pit_mlir.bindings import ir
from pit_mlir.diagnostics import Diagnostic, Report
from pit_mlir.dialect import make_context
from pit_mlir.errors import InputError, PassError, PitError
from pit_mlir.passes.pipeline_text import Step, parse_pipeline, pipeline_text
from pit_mlir.passes.reproducer import Reproducer
from pit_mlir.passes.runner import diagnostics_of, run_pipeline
from pit_mlir.passes.upstream import Managers
from pit_mlir.tools.opt_arguments import Arguments, parse_arguments, usage
from pit_mlir.tools.opt_listing import pass_listing, version_text
from pit_mlir.tools.opt_observers import PrintIR, Timing, op_text
from pit_mlir.tools.verify_diagnostics import mismatches

_SEPARATOR = re.compile(rb"^// -----.*$\n?", re.MULTILINE)
_BYTECODE = b"ML\xefR"


def main(words: Sequence[str] | None = None) -> int:
    """Runs the command line `words` (that of the process by default); the exit status."""
    try:
        arguments = parse_arguments(sys.argv[1:] if words is None else words)
        if arguments.help or arguments.list_passes or arguments.version:
            print(usage() if arguments.help else pass_listing() if arguments.list_passes else version_text())
            return 0
        return _Driver(arguments).run()
    except PitError as error:
        print(f"{error.location or 'pit-mlir-opt'}: error: {error.message}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # The reader of the output went away, as `head` does; what Python still has buffered has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


class _Driver:
    def __init__(self, arguments: Arguments) -> None:
        self.arguments = arguments
        self.source = _read(arguments.input)
        self.name = "<stdin>" if arguments.input == "-" else arguments.input
        self.context = make_context()
        self.context.allow_unregistered_dialects = arguments.allow_unregistered_dialect
        self.steps = self.pipeline()
        self.timing = Timing()
        prints = any(value for name, value in vars(arguments).items() if name.startswith("mlir_print_ir"))
        self.observers = [self.timing, *([PrintIR(arguments)] if prints else [])]

    def pipeline(self) -> tuple[Step, ...]:
        """The steps of `--pass-pipeline`, of a reproducer, or of the pass flags."""
        if self.arguments.run_reproducer:
            return parse_pipeline(_reproducer_pipeline(self.source, self.name))
        if self.arguments.pass_pipeline is not None:
            return parse_pipeline(self.arguments.pass_pipeline)
        return tuple(self.flag(name, options) for name, options in self.arguments.passes)

    def flag(self, name: str, options: str) -> Step:
        """The step of a pass flag, nested in `func.func` if the pass runs on functions only."""
        (step,) = parse_pipeline(f"{name}{{{options}}}" if options else name)
        return Managers(self.context).nested_where_needed(step)

    def run(self) -> int:
        """All parts of the input in turn; 1 if any of them fails."""
        if self.arguments.dump_pass_pipeline:
            print(pipeline_text(self.steps), file=sys.stderr)
        parts = list(_parts(self.source)) if self.arguments.split_input_file else [self.source]
        outputs: list[bytes] = []
        succeeded = True
        for part in parts:
            output, valid = self.part(part)
            outputs += [] if output is None else [output]
            succeeded &= valid
        if self.arguments.mlir_timing:
            self.timing.show()
        if succeeded or self.arguments.o == "-":
            _write(self.arguments.o, b"\n// -----\n".join(outputs))
        return 0 if succeeded else 1

    def part(self, source: bytes) -> tuple[bytes | None, bool]:
        """The result of one part, None where it failed, and whether it went as it should."""
        report = Report(listener=None if self.arguments.verify_diagnostics else self.show)
        output = self.transform(source, report)
        if not self.arguments.verify_diagnostics:
            return output, output is not None
        faults = mismatches(source.decode(), self.name, map(self.named, report))
        for fault in faults:
            print(fault, file=sys.stderr)
        return output, not faults

    def transform(self, source: bytes, report: Report) -> bytes | None:
        """Parses, runs the passes, prints; what goes wrong is in the report."""
        module = self.parse(source, report)
        if module is None:
            return None
        crash = self.arguments.mlir_pass_pipeline_crash_reproducer
        try:
            run_pipeline(
                module,
                self.steps,
                report,
                verify_each=self.arguments.verify_each,
                observers=self.observers,
                reproducer=Path(crash) if crash else None,
            )
        except PitError as error:
            for diagnostic in _diagnostics(error):
                report.add(diagnostic)
            return None
        return self.result(module)

    def parse(self, source: bytes, report: Report) -> ir.Module | None:
        """The module in `source`; a whole file is parsed as such, so that its locations carry its name."""
        try:
            with self.context:
                if self.arguments.input != "-" and not self.arguments.split_input_file:
                    return ir.Module.parseFile(self.arguments.input)
                return ir.Module.parse(source if source.startswith(_BYTECODE) else source.decode())
        except ir.MLIRError as error:
            for diagnostic in diagnostics_of(error):
                report.add(diagnostic)
        except UnicodeDecodeError as error:
            report.add(
                Diagnostic("error", f"{self.name}:1:1", f"neither text in UTF-8 nor bytecode: {error}")
            )
        return None

    def result(self, module: ir.Module) -> bytes:
        """The module as the command line wants it."""
        if self.arguments.emit_bytecode:
            buffer = io.BytesIO()
            module.operation.write_bytecode(buffer)
            return buffer.getvalue()
        return op_text(module.operation, self.arguments).rstrip("\n").encode() + b"\n"

    def named(self, diagnostic: Diagnostic) -> Diagnostic:
        """`diagnostic` with the input's name where MLIR, which was given a text, says `-`."""
        location = re.sub(r"^-:(?=\d)", f"{self.name}:", diagnostic.location)
        notes = tuple(map(self.named, diagnostic.notes))
        return Diagnostic(diagnostic.severity, location, diagnostic.message, notes)

    def show(self, diagnostic: Diagnostic) -> None:
        """Prints `diagnostic` and its notes with the lines of the input they are about."""
        shown = {"errors": ("error",), "warnings": ("error", "warning")}
        level = self.arguments.mlir_diagnostic_verbosity_level
        if diagnostic.severity not in shown.get(level, (diagnostic.severity,)):
            return
        for one in (self.named(diagnostic), *map(self.named, diagnostic.notes)):
            print(f"{one.location}: {one.severity}: {one.message}", file=sys.stderr)
            print(self.excerpt(one.location), end="", file=sys.stderr)

    def excerpt(self, location: str) -> str:
        """The line of the input at `location` with a caret under the column; empty for another file."""
        match = re.fullmatch(re.escape(self.name) + r":(\d+):(\d+)", location)
        lines = self.source.splitlines()
        if match is None or not 1 <= int(match[1]) <= len(lines):
            return ""
        line = lines[int(match[1]) - 1].decode(errors="replace")
        return f"{line}\n{' ' * (int(match[2]) - 1)}^\n"


def _diagnostics(error: PitError) -> list[Diagnostic]:
    """What to print for a failed pipeline: MLIR's own errors where there are some, and how to reproduce them."""
    given = list(error.diagnostics) if isinstance(error, PassError) else []
    found = given or [Diagnostic("error", error.location or "<unknown>:0", error.message)]
    if isinstance(error, PassError) and error.command:
        found.append(Diagnostic("note", found[0].location, f"reproduce with: {error.command}"))
    return found


def _read(name: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise InputError(f"cannot open input file '{name}': {error.strerror}") from None


def _write(name: str, output: bytes) -> None:
    if name == "-":
        sys.stdout.buffer.write(output)
        sys.stdout.flush()
        return
    try:
        Path(name).write_bytes(output)
    except OSError as error:
        raise InputError(f"cannot write output file '{name}': {error.strerror}") from None


def _parts(source: bytes) -> Iterator[bytes]:
    """The parts between `// -----` lines, each behind empty lines so that its line numbers are those of the file."""
    start = 0
    for separator in [*_SEPARATOR.finditer(source), None]:
        end = len(source) if separator is None else separator.start()
        yield b"\n" * source.count(b"\n", 0, start) + source[start:end]
        start = end if separator is None else separator.end()


def _reproducer_pipeline(source: bytes, name: str) -> str:
    """The pipeline that a reproducer names."""
    found = Reproducer.find(source.decode(errors="replace"))
    if found is None:
        raise InputError("no pipeline of a reproducer in this file", location=f"{name}:1:1")
    return found.pipeline


if __name__ == "__main__":
    sys.exit(main())
