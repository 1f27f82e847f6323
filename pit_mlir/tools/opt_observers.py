"""What `pit-mlir-opt` prints while passes run: the IR around them and their times."""

import sys
from collections import defaultdict

from pit_mlir.bindings import ir
from pit_mlir.passes.base import Pass
from pit_mlir.passes.pipeline_text import Upstream
from pit_mlir.passes.runner import Observer
from pit_mlir.tools.opt_arguments import Arguments


def op_text(op: ir.Operation, arguments: Arguments) -> str:
    """`op` as text, in the form that the command line asks for."""
    return op.get_asm(
        large_elements_limit=arguments.mlir_elide_elementsattrs_if_larger,
        enable_debug_info=arguments.mlir_print_debuginfo,
        print_generic_op_form=arguments.mlir_print_op_generic,
        use_local_scope=arguments.mlir_print_local_scope,
    )


class PrintIR(Observer):
    """`--mlir-print-ir-*`: the operation a pass runs on, to stderr, under MLIR's banners."""

    def __init__(self, arguments: Arguments) -> None:
        self.arguments = arguments
        self.last = ""

    def before(self, step: Pass | Upstream, op: ir.Operation) -> None:
        """Prints the IR, or keeps it to see later whether it changed."""
        if self.arguments.mlir_print_ir_after_change:
            self.last = op_text(op, self.arguments)
        if self.arguments.mlir_print_ir_before_all:
            self.show("Before", step, op_text(op, self.arguments))

    def after(self, step: Pass | Upstream, op: ir.Operation, seconds: float) -> None:
        """Prints the IR, unless only changes are asked for and there was none."""
        if not (self.arguments.mlir_print_ir_after_all or self.arguments.mlir_print_ir_after_change):
            return
        text = op_text(op, self.arguments)
        if not self.arguments.mlir_print_ir_after_change or text != self.last:
            self.show("After", step, text)

    def failed(self, step: Pass | Upstream, op: ir.Operation) -> None:
        """Prints the IR as the pass left it."""
        if self.arguments.mlir_print_ir_after_all or self.arguments.mlir_print_ir_after_failure:
            self.show("After", step, op_text(op, self.arguments), " Failed")

    def show(self, when: str, step: Pass | Upstream, text: str, failed: str = "") -> None:
        """The text under a banner as MLIR prints it."""
        print(f"// -----// IR Dump {when} {step.name}{failed} //----- //\n{text}\n", file=sys.stderr)


class Timing(Observer):
    """`--mlir-timing`: seconds and share of each pass, in the order of their first runs."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)

    def after(self, step: Pass | Upstream, op: ir.Operation, seconds: float) -> None:
        """Adds to the time of the pass."""
        self.seconds[step.name] += seconds

    def show(self) -> None:
        """Prints the table to stderr."""
        total = sum(self.seconds.values())
        print("===- Pass execution timing report -===", file=sys.stderr)
        print(f"  Total: {total:.4f} seconds\n\n  ----Wall Time----  ----Name----", file=sys.stderr)
        for name, seconds in self.seconds.items():
            share = 100 * seconds / total if total else 0.0
            print(f"  {seconds:8.4f} ({share:5.1f}%)  {name}", file=sys.stderr)
