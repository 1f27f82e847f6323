"""What `pit-mlir-opt --list-passes`, `--show-dialects` and `--version` print."""

import textwrap

from pit_mlir.bindings import available_dialects
from pit_mlir.dialect import make_context
from pit_mlir.passes.options import option_lines
from pit_mlir.passes.pipelines import phases
from pit_mlir.passes.registry import pass_class
from pit_mlir.passes.upstream_names import UPSTREAM_NAMES


def pass_listing() -> str:
    """By phase, each pass of ours with the first line of its documentation, and its options; upstream's by name."""
    lines: list[str] = []
    for title, names in phases().items():
        lines += [f"{title}:", ""]
        for name in names:
            cls = pass_class(name)
            lines.append(f"  --{name:36} {(cls.__doc__ or '').strip().splitlines()[0]}")
            lines += [f"      {option}" for option in option_lines(cls)]
        lines.append("")
    indent = "  "
    names = textwrap.fill(
        " ".join(UPSTREAM_NAMES), 110, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False
    )
    title = "Passes and pipelines of upstream MLIR, see https://mlir.llvm.org/docs/Passes:"
    return "\n".join([*lines, title, "", names])


def dialect_listing() -> str:
    """The dialects, as mlir-opt prints them."""
    return f"Available Dialects: {','.join(available_dialects(make_context()))}"
