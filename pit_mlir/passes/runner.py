"""Runs a pipeline of our passes and upstream ones: verifies, reports, times, makes failures reproducible."""

import logging
import os
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from pit_mlir.bindings import ir
from pit_mlir.diagnostics import Diagnostic, Report, Severity
from pit_mlir.dialect.location import location_text
from pit_mlir.errors import PassError, PitError
from pit_mlir.passes.base import Pass
from pit_mlir.passes.interrupts import interrupts_deferred
from pit_mlir.passes.pipeline_text import Nested, Step, Upstream, pipeline_steps, pipeline_text
from pit_mlir.passes.reproducer import Reproducer
from pit_mlir.passes.upstream import Managers
from pit_mlir.passes.verification import Verify, verify_by_default

logger = logging.getLogger("pit_mlir.passes")


class Observer:
    """Sees the passes of a pipeline run; what it does not override is ignored."""

    def before(self, step: Pass | Upstream, op: ir.Operation) -> None:
        """`step` is about to run on `op`."""

    def after(self, step: Pass | Upstream, op: ir.Operation, seconds: float) -> None:
        """`step` ran on `op`, which is valid where verification is on."""

    def counted(self, step: Pass | Upstream, statistics: Mapping[str, int]) -> None:
        """What `step`, which ended well, counted on one operation."""

    def failed(self, step: Pass | Upstream, op: ir.Operation) -> None:
        """`step` failed or left `op` invalid; `op` is as it was left."""


def run_pipeline(
    module: ir.Module | ir.Operation,
    pipeline: str | Sequence[Step | str],
    report: Report | None = None,
    *,
    verify: Verify | None = None,
    observers: Sequence[Observer] = (),
    reproducer: Path | bool | None = True,
) -> Report:
    """Runs `pipeline` on `module` in place and gives back `report`, a new one where none is given.

    `pipeline` is text, or a sequence of passes and texts. All of it is checked before anything runs. Raises the
    `PitError` that a pass raised, or a `PassError` where a pass failed otherwise or left invalid IR; the latter
    names a file and a command that reproduce it: at `reproducer`, by default in the directory for temporary
    files, nowhere if it is None or False. Where `verify` is not given, it is `verify_by_default()`.
    """
    report = Report() if report is None else report
    op = module.operation
    managers = Managers(op.context)
    steps = managers.resolve(pipeline_steps(pipeline), op.name)
    verify = verify_by_default() if verify is None else verify
    runner = _Runner(report, managers, verify, (_Log(), *observers))
    backup = op.clone() if reproducer else None
    with op.context, forwarding(op.context, report):
        # Not a lambda, here and below: its cells would keep the IR alive as long as the error.
        failure = _failure_of(partial(runner.run, op, steps))
    if isinstance(failure, PassError) and backup is not None:
        # An error of the user's model, another kind of `PitError`, needs no reproducer.
        if verify == "ours":
            again = _Runner(Report(), managers, "each")
            with op.context:
                found = _failure_of(partial(again.run, backup.clone(), steps))
            if isinstance(found, PassError):
                # The pass that is to blame, which need not be the one that stumbled.
                failure, runner = found, again
        _write_reproducer(failure, backup, runner, reproducer)
    if failure is not None:
        raise failure
    return report


class _Runner:
    def __init__(
        self, report: Report, managers: Managers, verify: Verify, observers: Sequence[Observer] = ()
    ) -> None:
        self.report = report
        self.managers = managers
        self.verify: Verify = verify
        self.observers = observers
        self.done: list[Step] = []
        """The steps on the module that were begun: all but the last have ended well."""

    def run(self, op: ir.Operation, steps: Sequence[Step]) -> None:
        for step in steps:
            self.done.append(step)
            self.step(op, step)
        if self.verify == "ours":
            op.verify()

    def step(self, op: ir.Operation, step: Step) -> None:
        if isinstance(step, Nested):
            for child in self.children(op, step):
                for inner in step.steps:
                    self.step(child, inner)
            return
        for observer in self.observers:
            observer.before(step, op)
        self.report.statistics.clear()
        start = time.perf_counter()
        with interrupts_deferred():
            failure = _failure_of(partial(self.apply, op, step), f"pass '{step.name}'")
        seconds = time.perf_counter() - start
        if failure is not None:
            for observer in self.observers:
                observer.failed(step, op)
            raise failure
        for observer in self.observers:
            observer.after(step, op, seconds)
            observer.counted(step, self.report.statistics)

    def children(self, op: ir.Operation, nested: Nested) -> list[ir.Operation]:
        """The operations directly in `op` that `nested` is for; `any` is for those on which all its steps may run."""
        inside = [
            child.operation for region in op.regions for block in region.blocks for child in block.operations
        ]
        if nested.anchor == "any":
            return [
                child
                for child in inside
                if child.has_trait(ir.IsIsolatedFromAboveTrait)
                and all(self.managers.fits(step, child.name) for step in nested.steps)
            ]
        found = [child for child in inside if child.name == nested.anchor]
        for child in found:
            if not child.has_trait(ir.IsIsolatedFromAboveTrait):
                raise PassError(
                    f"'{child.name}' op trying to schedule a pass on an operation not marked as "
                    "'IsolatedFromAbove'",
                    location=location_text(child.location),
                )
        return found

    def apply(self, op: ir.Operation, step: Pass | Upstream) -> None:
        if isinstance(step, Upstream):
            manager = self.managers.manager(step, op.name)
            manager.enable_verifier(self.verify == "each")
            manager.run(op)
            return
        step.run(op, self.report)
        unknown = self.report.statistics.keys() - step.statistics.keys()
        assert not unknown, f"'{step.name}' does not declare the statistics {sorted(unknown)}"
        if self.verify != "never":
            op.verify()


class _Log(Observer):
    """`PIT_LOG`: each pass with its time, and with the number of operations it left where debug is on."""

    def after(self, step: Pass | Upstream, op: ir.Operation, seconds: float) -> None:
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug("%s: %.2f ms, %d operations", step, seconds * 1e3, count_operations(op))
        else:
            logger.info("%s: %.2f ms", step, seconds * 1e3)


def count_operations(op: ir.Operation) -> int:
    """How many operations `op` holds at any depth."""
    # The walk counts `op` itself.
    count = -1

    def visit(_: ir.Operation) -> ir.WalkResult:
        nonlocal count
        count += 1
        return ir.WalkResult.ADVANCE

    op.walk(visit)
    return count


def diagnostics_of(error: ir.MLIRError) -> list[Diagnostic]:
    """The diagnostics that an MLIR error carries, with their notes; none of them refers to the IR."""
    return [_diagnostic(info) for info in error.error_diagnostics]


def _diagnostic(info: ir.DiagnosticInfo | ir.Diagnostic) -> Diagnostic:
    severity: dict[ir.DiagnosticSeverity, Severity] = {
        ir.DiagnosticSeverity.ERROR: "error",
        ir.DiagnosticSeverity.WARNING: "warning",
        ir.DiagnosticSeverity.REMARK: "remark",
        ir.DiagnosticSeverity.NOTE: "note",
    }
    notes = tuple(map(_diagnostic, info.notes))
    return Diagnostic(severity[info.severity], location_text(info.location), info.message, notes)


@contextmanager
def forwarding(context: ir.Context, report: Report) -> Iterator[None]:
    """Meanwhile, the warnings and remarks of MLIR itself go to `report`."""

    def handle(diagnostic: ir.Diagnostic) -> bool:
        is_error = diagnostic.severity == ir.DiagnosticSeverity.ERROR
        if not is_error:
            report.add(_diagnostic(diagnostic))
        return not is_error

    with context.attach_diagnostic_handler(handle):
        yield


def _failure_of(action: Callable[[], None], name: str = "pipeline") -> PitError | None:
    """Runs `action`; its failure as a `PitError` that keeps no live IR (neither cause nor context), or None."""
    try:
        action()
    except PitError as error:
        return error
    except ir.MLIRError as error:
        errors = diagnostics_of(error) or [Diagnostic("error", "<unknown>:0", str(error))]
        return PassError(
            f"{errors[0].message} ({name} failed)", location=errors[0].location, diagnostics=errors
        )
    except Exception as error:
        logger.debug("%s raised", name, exc_info=True)
        frame = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(frame.filename).name}:{frame.lineno}, in {frame.name}"
        return PassError(
            f"{name} failed: {type(error).__name__}: {error} ({where}); PIT_LOG=debug tells more"
        )
    return None


def _write_reproducer(
    failure: PassError, module: ir.Operation, runner: _Runner, place: Path | bool | None
) -> None:
    """Adds to a `PassError` a file with the module before the failed step and the command that runs just that step.

    The module is made anew by the steps before the failed one, which are deterministic; an error of the user's
    model (another kind of `PitError`) needs no reproducer.
    """
    *before, failed = runner.done
    failing, start = [failed], module.clone()
    again = _Runner(Report(), runner.managers, "never")
    if _failure_of(partial(again.run, module, before)) is not None:
        failing, module = runner.done, start
    if isinstance(place, Path):
        path = place
    else:
        descriptor, name = tempfile.mkstemp(prefix="pit-reproducer-", suffix=".mlir")
        os.close(descriptor)
        path = Path(name)
    reproducer = Reproducer(pipeline_text(failing, module.name), runner.verify != "never")
    try:
        path.write_text(reproducer.text(str(module)))
    except OSError as error:
        logger.warning("cannot write the reproducer %s: %s", path, error.strerror)
        return
    failure.reproduce_with(f"pit-mlir-opt {path} --run-reproducer")
