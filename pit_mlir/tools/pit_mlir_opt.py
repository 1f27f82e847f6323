"""`pit-mlir-opt`: runs our passes and upstream ones on MLIR text, as mlir-opt does. Needs no torch."""

import io
import logging
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pit_mlir.bindings import ir, load_irdl
from pit_mlir.diagnostics import Diagnostic, Report
from pit_mlir.dialect import make_context
from pit_mlir.errors import InputError, PassError, PitError
from pit_mlir.passes.pipeline_text import (
    Nested,
    Step,
    Upstream,
    parse_flag,
    parse_pipeline,
    pipeline_listing,
    pipeline_text,
)
from pit_mlir.passes.registry import PASSES
from pit_mlir.passes.reproducer import Reproducer
from pit_mlir.passes.runner import Observer, diagnostics_of, forwarding, run_pipeline
from pit_mlir.passes.upstream import Managers
from pit_mlir.tools.opt_arguments import MARKER, Arguments, parse_arguments, unknown_option, usage
from pit_mlir.tools.opt_input import Input
from pit_mlir.tools.opt_observers import PrintIR, op_text
from pit_mlir.tools.opt_statistics import Statistics
from pit_mlir.tools.opt_timing import Timing
from pit_mlir.tools.process import deepen_stack, discard_output, write_output
from pit_mlir.tools.source import Source
from pit_mlir.tools.verify_diagnostics import SHOWN_OPERATION, mismatches

_NO_REPRODUCER = "ignoring unknown external resources for 'mlir_reproducer'"
"""What MLIR warns about in a file that is read as a module and happens to be a reproducer."""

logger = logging.getLogger("pit_mlir.tools")


def main(words: Sequence[str] | None = None) -> int:
    """Runs the command line `words` (that of the process by default); the exit status."""
    if words is None:
        _prepare_process()
    try:
        arguments = parse_arguments(sys.argv[1:] if words is None else words)
        text = _about(arguments)
        if text is not None:
            _write("-", f"{text}\n".encode())
            return 0
        return _Driver(arguments).run()
    except PitError as error:
        print(f"{error.location or 'pit-mlir-opt'}: error: {error.message}", file=sys.stderr)
    except BrokenPipeError:
        discard_output()
    except Exception as error:
        logger.debug("the driver raised", exc_info=True)
        print(
            f"pit-mlir-opt: error: internal error, please report it: {type(error).__name__}: {error}; "
            "PIT_LOG=debug tells more",
            file=sys.stderr,
        )
    return 1


def _prepare_process() -> None:
    """Makes an interrupt end the process at once, also in a long pass, and deep nesting less of a danger."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if sys.stderr is None:  # pyright: ignore[reportUnnecessaryComparison]
        # Else what is meant for it goes to standard output.
        sys.stderr = io.TextIOWrapper(io.BytesIO())
    deepen_stack()


def _about(arguments: Arguments) -> str | None:
    """What the driver says about itself where it is asked."""
    if arguments.help:
        return usage()
    if not (arguments.list_passes or arguments.show_dialects or arguments.version):
        return None
    if arguments.version and not (arguments.list_passes or arguments.show_dialects):
        # Ten milliseconds that no other call of the driver should pay.
        from pit_mlir.tools.version import version_text

        return version_text("pit-mlir-opt")
    from pit_mlir.tools import opt_listing

    return opt_listing.pass_listing() if arguments.list_passes else opt_listing.dialect_listing()


class _Driver:
    def __init__(self, arguments: Arguments) -> None:
        self.arguments = arguments
        self.input = Input.read(arguments.input)
        self.context = self.make_context()
        self.managers = Managers(self.context)
        self.verify_each = arguments.verify_each
        self.steps = self.managers.resolve(self.pipeline(), "builtin.module")
        self.check_printed()
        self.timing = Timing(self.steps)
        self.statistics = Statistics(self.steps)
        self.observers = self.chosen_observers()

    def make_context(self) -> ir.Context:
        """A context that knows the dialects that the command line allows."""
        context = make_context()
        context.allow_unregistered_dialects = self.arguments.allow_unregistered_dialect
        if self.arguments.irdl_file is not None:
            load_irdl(Source.read(self.arguments.irdl_file).parse(context))
        return context

    def check_printed(self) -> None:
        """Raises `InputError` for passes to print around that there are not."""
        for option in ("mlir_print_ir_before", "mlir_print_ir_after"):
            for name in getattr(self.arguments, option):
                if name not in PASSES and not self.managers.knows(name):
                    raise InputError(
                        f"option --{option.replace('_', '-')}: unknown pass '{name}' (--list-passes lists them)"
                    )

    def chosen_observers(self) -> list[Observer]:
        """What watches the passes, as far as the command line asks for it."""
        arguments = self.arguments
        prints = any(value for name, value in vars(arguments).items() if name.startswith("mlir_print_ir"))
        chosen: list[tuple[bool, Observer]] = [
            (arguments.mlir_timing, self.timing),
            (arguments.mlir_pass_statistics, self.statistics),
            (prints, PrintIR(arguments)),
        ]
        return [observer for wanted, observer in chosen if wanted]

    def pipeline(self) -> tuple[Step, ...]:
        """The steps of `--pass-pipeline`, of a reproducer, or of the pass flags."""
        if self.arguments.run_reproducer:
            reproducer = Reproducer.find(self.input.data.decode(errors="replace"))
            if reproducer is None:
                raise InputError(
                    "no reproducer: it has no 'mlir_reproducer' among its resources",
                    location=f"{self.input.name}:1:1",
                )
            self.verify_each &= reproducer.verify_each
            return parse_pipeline(reproducer.pipeline)
        if self.arguments.pass_pipeline is not None:
            return parse_pipeline(self.arguments.pass_pipeline)
        return tuple(self.flag(name, options) for name, options in self.arguments.passes)

    def flag(self, name: str, options: str) -> Step:
        """The step of a pass flag, nested in `func.func` if the pass runs on functions only."""
        step = parse_flag(name, options)
        if isinstance(step, Upstream) and not self.managers.knows(name):
            raise unknown_option(name)
        return self.managers.nested_where_needed(step)

    def run(self) -> int:
        """All parts of the input in turn; 1 if any of them fails."""
        arguments = self.arguments
        if arguments.dump_pass_pipeline:
            listing = (
                f"builtin.module(\n{pipeline_listing(self.steps)}\n)" if self.steps else "builtin.module()"
            )
            print(f"Pass Manager with {len(self.steps)} passes:\n{listing}\n", file=sys.stderr)
        split = arguments.split_input_file
        parts = [self.input] if split is None else list(self.input.parts(split))
        outputs: list[bytes] = []
        succeeded = True
        for part in parts:
            output, valid = self.part(part)
            outputs += [] if output is None else [output]
            succeeded &= valid
        marker = MARKER if arguments.output_split_marker is None else arguments.output_split_marker
        if succeeded or arguments.o == "-":
            with self.timing.measure("Output"):
                _write(arguments.o, f"\n{marker}\n".encode().join(outputs))
        if arguments.mlir_timing:
            self.timing.show(arguments)
        if arguments.mlir_pass_statistics:
            self.statistics.show(arguments.mlir_pass_statistics_display)
        return 0 if succeeded else 1

    def part(self, source: Input) -> tuple[bytes | None, bool]:
        """The result of one part, None where it failed, and whether it went as it should."""
        expected = self.arguments.verify_diagnostics
        report = Report(listener=None if expected else self.show)
        output = self.transform(source, report)
        if expected is None:
            return output, output is not None
        faults = mismatches(
            source.data.decode(errors="replace"),
            source.name,
            map(source.named, report),
            only_expected=expected == "only-expected",
        )
        for fault in faults:
            print(fault, file=sys.stderr)
        return output, not faults

    def transform(self, source: Input, report: Report) -> bytes | None:
        """Parses, runs the passes, prints; what goes wrong is in the report."""
        with self.timing.measure("Parser"):
            op = self.parse(source, report)
        if op is None:
            return None
        try:
            if self.arguments.verify_roundtrip:
                self.check_roundtrip(op)
            self.run_passes(op, report)
        except PitError as error:
            for diagnostic in _diagnostics(error):
                report.add(diagnostic)
            crash = self.arguments.mlir_pass_pipeline_crash_reproducer
            if crash and not self.arguments.verify_diagnostics:
                print(f"note: reproduce with: pit-mlir-opt {crash} --run-reproducer", file=sys.stderr)
            return None
        with self.timing.measure("Output"):
            return self.result(op)

    def run_passes(self, op: ir.Operation, report: Report) -> None:
        """Runs the pipeline on `op`; a reproducer is there already should a pass end the process."""
        arguments = self.arguments
        steps = tuple(step for outer in self.steps for step in _at_root(outer, op.name))
        reproducer = Reproducer(pipeline_text(steps, op.name), self.verify_each)
        crash = arguments.mlir_pass_pipeline_crash_reproducer
        for path in filter(None, (arguments.mlir_generate_reproducer, crash)):
            _write(path, reproducer.text(str(op)).encode())
        run_pipeline(
            op,
            steps,
            report,
            verify="each" if self.verify_each else "never",
            observers=self.observers,
            reproducer=Path(crash) if crash else None,
        )
        if crash:
            Path(crash).unlink()

    def parse(self, source: Input, report: Report) -> ir.Operation | None:
        """The operation in `source`; a whole file is parsed as such, so that its locations carry its name."""
        try:
            with self.context, forwarding(self.context, report):
                if self.arguments.no_implicit_module and not source.is_bytecode:
                    return ir.Operation.parse(source.text, source_name=source.name).operation
                if source.is_file and self.arguments.split_input_file is None:
                    return ir.Module.parseFile(source.name).operation
                return ir.Module.parse(source.data).operation
        except ir.MLIRError as error:
            for diagnostic in diagnostics_of(error):
                report.add(diagnostic)
        except InputError as error:
            report.add(Diagnostic("error", error.location or source.name, error.message))
        return None

    def check_roundtrip(self, op: ir.Operation) -> None:
        """Raises `PassError` if what is written of `op`, text or bytecode, is read back as something else."""
        written = op.get_asm(enable_debug_info=True)
        for kind, source in (("text", written), ("bytecode", _bytecode(op, None))):
            # A context that has a resource already gives the next one another name.
            context = self.make_context()
            try:
                again = ir.Module.parse(source, context).operation
            except ir.MLIRError as error:
                raise PassError(f"the {kind} written of it cannot be read: {error}") from None
            if again.get_asm(enable_debug_info=True) != written:
                raise PassError(f"the {kind} written of it is read as something else:\n{again}")

    def result(self, op: ir.Operation) -> bytes:
        """`op` as the command line wants it."""
        if self.arguments.emit_bytecode:
            return _bytecode(op, self.arguments.emit_bytecode_version)
        return op_text(op, self.arguments).rstrip("\n").encode() + b"\n"

    def show(self, diagnostic: Diagnostic) -> None:
        """Prints `diagnostic` and its notes with the lines of the input they are about."""
        if diagnostic.message == _NO_REPRODUCER:
            return
        shown = {"errors": ("error",), "warnings": ("error", "warning")}
        level = self.arguments.mlir_diagnostic_verbosity_level
        if diagnostic.severity not in shown.get(level, (diagnostic.severity,)):
            return
        notes = () if self.arguments.mlir_disable_diagnostic_notes else diagnostic.notes
        if not self.arguments.mlir_print_op_on_diagnostic:
            notes = tuple(note for note in notes if not note.message.startswith(SHOWN_OPERATION))
        for one in map(self.input.named, (replace(diagnostic, notes=()), *notes)):
            print(f"{one.location}: {one.severity}: {one.message}", file=sys.stderr)
            print(self.input.excerpt(one.location), end="", file=sys.stderr)


def _at_root(step: Step, name: str) -> tuple[Step, ...]:
    """`step` of a pipeline on a module as steps on a top-level operation called `name`."""
    return step.steps if isinstance(step, Nested) and name == step.anchor != "builtin.module" else (step,)


def _diagnostics(error: PitError) -> list[Diagnostic]:
    """What to print for a failed pipeline: MLIR's own errors where there are some."""
    given = list(error.diagnostics) if isinstance(error, PassError) else []
    return given or [Diagnostic("error", error.location or "<unknown>:0", error.message)]


def _bytecode(op: ir.Operation, version: int | None) -> bytes:
    buffer = io.BytesIO()
    try:
        op.write_bytecode(buffer, desired_version=version)
    except ValueError as error:
        raise InputError(f"cannot write bytecode of version {version}: {error}") from None
    return buffer.getvalue()


def _write(path: str, output: bytes) -> None:
    """Writes to the file at `path`, to standard output for `-`."""
    if path == "-":
        write_output(output)
        return
    try:
        Path(path).write_bytes(output)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise InputError(f"cannot write output file '{path}': {error.strerror}") from None


if __name__ == "__main__":
    sys.exit(main())
