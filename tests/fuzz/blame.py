"""Tells faults of upstream's parser and passes from ours, when a driver process died or hung.

The case is run again with the IR printed before each pass, those that our passes run inside among them; the last one
that was begun is at fault. One of upstream is to blame if it dies on that IR alone, where nothing of ours has run.
"""

import re
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from pit_mlir.bindings import PassManager, ir
from pit_mlir.dialect import make_context
from pit_mlir.tools.pit_mlir_opt import main
from tests.fuzz.driver import Case
from tests.fuzz.outcome import Outcome
from tests.fuzz.workers import run_all

BEGIN = re.compile(r"^// -----// IR Dump Before (.+?) //----- //\n", re.MULTILINE)
END = "// -----// upstream ended //----- //"


def blame(case: Case, outcome: Outcome, seconds: float, folder: Path) -> Outcome:
    """`outcome` with the pass in its signature; its status is "upstream" where nothing of ours is at fault."""

    def ends(work: Callable[[], object]) -> Outcome:
        def run(_: object) -> Outcome:
            work()
            return Outcome("passed")

        ((_, found),) = run_all(run, [case.name], jobs=1, seconds=seconds, folder=folder)
        return found

    unregistered = "--allow-unregistered-dialect" in case.words
    if ends(lambda: parse(case.text, unregistered)).is_finding:
        return Outcome(
            "upstream", f"{outcome.status}: the parser", outcome.detail, outcome.facts, outcome.files
        )
    log = ends(lambda: dumped(case)).detail
    dumps = list(BEGIN.finditer(log))
    if not dumps:
        return Outcome(
            outcome.status, f"{outcome.signature} (no pass began)", log, outcome.facts, outcome.files
        )
    names = [dump[1] for dump in dumps]
    name, last = names[-1], log[dumps[-1].end() :]
    ours = next((n for n in reversed(names) if n.startswith("pit-")), "")
    files = {**outcome.files, "before.mlir": last}
    is_upstream = name.startswith("upstream ") and END not in last
    pipeline = name.removeprefix("upstream ")
    if is_upstream and ends(lambda: upstream(last, pipeline, unregistered)).is_finding:
        inside = f" inside {ours}" if ours else ""
        short = re.sub(r"\{[^}]*\}", "", pipeline)
        return Outcome("upstream", f"{outcome.status}: {short}{inside}", log[-4000:], outcome.facts, files)
    return Outcome(
        outcome.status, f"{outcome.signature} in {ours or name}", log[-4000:], outcome.facts, files
    )


def parse(text: str, unregistered: bool) -> None:
    """Only reads `text`."""
    context = make_context()
    context.allow_unregistered_dialects = unregistered
    try:
        ir.Module.parse(text, context)
    except ir.MLIRError:
        return


def dumped(case: Case) -> None:
    """Runs the driver with the IR before each pass on standard error."""
    plain = PassManager.run

    def run(manager: PassManager, op: ir.Operation) -> None:
        text = op.get_asm(print_generic_op_form=True)
        print(f"// -----// IR Dump Before upstream {manager} //----- //\n{text}", file=sys.stderr, flush=True)
        plain(manager, op)
        print(END, file=sys.stderr, flush=True)

    PassManager.run = run  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "input.mlir"
        path.write_bytes(case.text.encode())
        main([str(path), *case.words, "--mlir-print-ir-before-all", "--mlir-print-op-generic"])


def upstream(text: str, pipeline: str, unregistered: bool) -> None:
    """Runs passes of upstream on `text`."""
    with make_context() as context:
        context.allow_unregistered_dialects = unregistered
        try:
            PassManager.parse(pipeline).run(ir.Operation.parse(text).operation)
        except (ValueError, ir.MLIRError):
            return
