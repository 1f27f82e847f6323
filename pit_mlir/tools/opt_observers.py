"""What `pit-mlir-opt` prints while passes run: the IR around them. Times and statistics are in files of their own."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from pit_mlir.bindings import ir
from pit_mlir.errors import InputError
from pit_mlir.passes.base import Pass
from pit_mlir.passes.pipeline_text import Nested, Step, Upstream
from pit_mlir.passes.runner import Observer
from pit_mlir.tools.opt_arguments import Arguments

RULER = f"===-{'-' * 71}-==="


def heading(title: str) -> str:
    """`title` between rulers, as MLIR heads its reports."""
    text = f"... {title} ..."
    return f"{RULER}\n{text:^79}".rstrip() + f"\n{RULER}"


def tree(steps: Sequence[Step], depth: int = 0) -> Iterator[tuple[int, Step]]:
    """`steps` and what is nested in them, each with its depth, in order."""
    for step in steps:
        yield depth, step
        if isinstance(step, Nested):
            yield from tree(step.steps, depth + 1)


def step_name(step: Step) -> str:
    """What reports call `step`: `'func.func' Pipeline` for a nested one."""
    return f"'{step.anchor}' Pipeline" if isinstance(step, Nested) else step.name


def op_text(op: ir.Operation, arguments: Arguments) -> str:
    """`op` as text, in the form that the command line asks for."""
    return op.get_asm(
        large_elements_limit=arguments.mlir_elide_elementsattrs_if_larger,
        large_resource_limit=arguments.mlir_elide_resource_strings_if_larger,
        enable_debug_info=arguments.mlir_print_debuginfo or arguments.mlir_pretty_debuginfo,
        pretty_debug_info=arguments.mlir_pretty_debuginfo,
        print_generic_op_form=arguments.mlir_print_op_generic,
        use_local_scope=arguments.mlir_print_local_scope,
        use_name_loc_as_prefix=arguments.mlir_use_nameloc_as_prefix,
        skip_regions=arguments.mlir_print_skip_regions,
    )


class PrintIR(Observer):
    """`--mlir-print-ir-*`: the operation a pass runs on, under MLIR's banners, to stderr or into a tree of files."""

    def __init__(self, arguments: Arguments) -> None:
        self.arguments = arguments
        self.last = ""
        self.counts: dict[Path, int] = {}

    def before(self, step: Pass | Upstream, op: ir.Operation) -> None:
        """Prints the IR, or keeps it to see later whether it changed."""
        given = self.arguments
        if given.mlir_print_ir_after_change:
            self.last = op_text(op, given)
        if given.mlir_print_ir_before_all or step.name in given.mlir_print_ir_before:
            self.show("Before", step, op)

    def after(self, step: Pass | Upstream, op: ir.Operation, seconds: float) -> None:
        """Prints the IR, unless only changes are asked for and there was none."""
        given = self.arguments
        chosen = given.mlir_print_ir_after_all or step.name in given.mlir_print_ir_after
        # Alone it speaks of all passes.
        any_change = given.mlir_print_ir_after_change and not given.mlir_print_ir_after
        if not chosen and not any_change:
            return
        if not given.mlir_print_ir_after_change or op_text(op, given) != self.last:
            self.show("After", step, op)

    def failed(self, step: Pass | Upstream, op: ir.Operation) -> None:
        """Prints the IR as the pass left it."""
        given = self.arguments
        if given.mlir_print_ir_after_all or given.mlir_print_ir_after_failure:
            self.show("After", step, op, " Failed")

    def show(self, when: str, step: Pass | Upstream, op: ir.Operation, failed: str = "") -> None:
        """The IR under a banner as MLIR prints it."""
        shown, about = op, ""
        if self.arguments.mlir_print_ir_module_scope:
            shown = ancestors(op)[-1]
            about = f" ('{op.name}' operation{symbol_text(op, ': @')})" if shown != op else ""
        text = f"// -----// IR Dump {when} {step.name}{failed}{about} //----- //\n{op_text(shown, self.arguments)}\n"
        if self.arguments.mlir_print_ir_tree_dir is None:
            print(text, file=sys.stderr)
            return
        path = self.file(step, op)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        except OSError as error:
            raise InputError(f"cannot write '{path}': {error.strerror}") from None

    def file(self, step: Pass | Upstream, op: ir.Operation) -> Path:
        """`DIR/builtin_module_no-symbol-name/func_func_f/0_1_cse.mlir`: how many came before, at each level."""
        path, numbers = Path(self.arguments.mlir_print_ir_tree_dir or "."), list[str]()
        for parent in reversed(ancestors(op)):
            path /= parent.name.replace(".", "_") + symbol_text(parent, "_", "no-symbol-name")
            numbers.append(str(self.counts.get(path, 0)))
        self.counts[path] = self.counts.get(path, 0) + 1
        return path / f"{'_'.join(numbers)}_{step.name}.mlir"


def ancestors(op: ir.Operation) -> list[ir.Operation]:
    """`op` and the operations around it, the outermost last."""
    found = [op]
    while (parent := found[-1].parent) is not None:
        found.append(parent.operation)
    return found


def symbol_text(op: ir.Operation, before: str, otherwise: str = "") -> str:
    """The name of the symbol that `op` defines, after `before`; else `otherwise`, empty by default."""
    if "sym_name" in op.attributes:
        return before + ir.StringAttr(op.attributes["sym_name"]).value
    return before + otherwise if otherwise else ""
