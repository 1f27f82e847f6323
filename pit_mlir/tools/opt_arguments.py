"""The command line of `pit-mlir-opt`: mlir-opt's options by their names, and every pass as a flag of its own."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from itertools import groupby
from typing import Any, Literal, get_origin, get_type_hints

from pit_mlir.errors import InputError, PassError
from pit_mlir.passes.options import parse_value
from pit_mlir.passes.pipeline_text import suggestion

Verbosity = Literal["errors", "warnings", "remarks"]
Display = Literal["list", "pipeline"]

MARKER = "// -----"

_SHORT = {"p": "pass-pipeline", "h": "help"}

_NOT_BUILT = frozenset(
    """
    color debug debug-only disable-i2p-p2i-opt elide-all-zero-branch-weights elide-resource-data-from-bytecode
    emit-bytecode-producer help-hidden help-list help-list-hidden load-dialect-plugin load-pass-plugin log-actions-to
    log-mlir-actions-filter mlir-debug-counter mlir-enable-debugger-hook mlir-print-debug-counter
    mlir-print-elementsattrs-with-hex-if-larger mlir-print-stacktrace-on-diagnostic mlir-print-unique-ssa-ids
    mlir-print-value-users mlir-very-unsafe-disable-verifier-on-parsing profile-actions-to remark-format remark-policy
    remarks-filter remarks-filter-analyse remarks-filter-failed remarks-filter-missed remarks-filter-passed
    remarks-output-file stats time-passes track-memory
    """.split()
)
"""Options of mlir-opt for which MLIR's Python bindings offer nothing."""


def _option(group: str, default: Any, text: str, bare: str | None = None) -> Any:
    """A field for an option; `bare` is its value where it stands without `=`."""
    return field(default=default, metadata={"group": group, "help": text, "bare": bare})


@dataclass(frozen=True)
class Arguments:
    """One field an option, `_` for `-`; `input` is the file (`-` for standard input), `passes` the flags of passes."""

    input: str = "-"
    passes: tuple[tuple[str, str], ...] = ()
    pass_pipeline: str | None = _option(
        "Passes",
        None,
        "the passes to run, e.g. 'pit-normalize,func.func(cse)' (also -p); not with passes as flags",
    )
    dump_pass_pipeline: bool = _option("Passes", False, "print the pipeline to stderr before it runs")
    verify_each: bool = _option("Passes", True, "verify the IR after each pass; =false does not")
    mlir_disable_threading: bool = _option("Passes", False, "run in one thread, which is always so here")
    o: str = _option("Input and output", "-", "write the result to this file")
    split_input_file: str | None = _option(
        "Input and output",
        None,
        f"treat the parts between '{MARKER}' (or =MARKER) as files of their own",
        MARKER,
    )
    output_split_marker: str | None = _option(
        "Input and output", None, f"what stands between the results of the parts ({MARKER})"
    )
    no_implicit_module: bool = _option(
        "Input and output", False, "put no module around the input's operation"
    )
    allow_unregistered_dialect: bool = _option(
        "Input and output", False, "accept operations of dialects nobody knows"
    )
    irdl_file: str | None = _option("Input and output", None, "load the IRDL dialects in this file first")
    emit_bytecode: bool = _option(
        "Input and output",
        False,
        "write bytecode, of an input that is not split; it is read without being asked",
    )
    emit_bytecode_version: int | None = _option("Input and output", None, "the version of the bytecode")
    verify_roundtrip: bool = _option(
        "Input and output", False, "check that text and bytecode of the input are read back as they were"
    )
    mlir_print_op_generic: bool = _option("Text of the IR", False, "print operations in their generic form")
    mlir_print_debuginfo: bool = _option("Text of the IR", False, "print locations")
    mlir_pretty_debuginfo: bool = _option(
        "Text of the IR", False, "print locations for reading; cannot be parsed"
    )
    mlir_print_local_scope: bool = _option(
        "Text of the IR", False, "print attributes and types without aliases"
    )
    mlir_print_skip_regions: bool = _option("Text of the IR", False, "leave the regions of operations out")
    mlir_use_nameloc_as_prefix: bool = _option("Text of the IR", False, "name values by their name locations")
    mlir_elide_elementsattrs_if_larger: int | None = _option(
        "Text of the IR", None, "elide constants with more elements"
    )
    mlir_elide_resource_strings_if_larger: int | None = _option(
        "Text of the IR", None, "elide resources with more characters"
    )
    mlir_print_ir_before_all: bool = _option(
        "What passes do, on stderr", False, "print the IR before each pass"
    )
    mlir_print_ir_after_all: bool = _option(
        "What passes do, on stderr", False, "print the IR after each pass"
    )
    mlir_print_ir_before: tuple[str, ...] = _option(
        "What passes do, on stderr", (), "print the IR before these passes, e.g. cse,pit-simplify"
    )
    mlir_print_ir_after: tuple[str, ...] = _option(
        "What passes do, on stderr", (), "print the IR after these passes"
    )
    mlir_print_ir_after_change: bool = _option(
        "What passes do, on stderr", False, "print the IR after passes only where they changed it"
    )
    mlir_print_ir_after_failure: bool = _option(
        "What passes do, on stderr", False, "print the IR after a pass that failed"
    )
    mlir_print_ir_module_scope: bool = _option(
        "What passes do, on stderr", False, "print the whole module, whatever the pass runs on"
    )
    mlir_print_ir_tree_dir: str | None = _option(
        "What passes do, on stderr", None, "write the IR into files in this directory instead"
    )
    mlir_timing: bool = _option("What passes do, on stderr", False, "print execution times")
    mlir_timing_display: Literal["list", "tree"] = _option(
        "What passes do, on stderr", "tree", "times by size (list), or in the order of the pipeline (tree)"
    )
    mlir_output_format: Literal["text", "json"] = _option(
        "What passes do, on stderr", "text", "times as text or as json"
    )
    mlir_pass_statistics: bool = _option(
        "What passes do, on stderr",
        False,
        "print what passes count (upstream's: how many operations they add)",
    )
    mlir_pass_statistics_display: Display = _option(
        "What passes do, on stderr", "pipeline", "statistics by name (list), or pass by pass (pipeline)"
    )
    verify_diagnostics: Literal["all", "only-expected"] | None = _option(
        "Diagnostics",
        None,
        "check that diagnostics are those of '// expected-error@+1 {{text}}' comments; =only-expected allows others",
        "all",
    )
    mlir_diagnostic_verbosity_level: Verbosity = _option(
        "Diagnostics", "remarks", "which diagnostics to print"
    )
    mlir_disable_diagnostic_notes: bool = _option("Diagnostics", False, "print no notes")
    mlir_print_op_on_diagnostic: bool = _option(
        "Diagnostics", True, "print the operation that a diagnostic is about, as a note"
    )
    run_reproducer: bool = _option(
        "Reproducers", False, "run the pipeline that the input, a reproducer, names"
    )
    mlir_pass_pipeline_crash_reproducer: str | None = _option(
        "Reproducers", None, "where to write the reproducer of a failing pass"
    )
    mlir_pass_pipeline_local_reproducer: bool = _option(
        "Reproducers", False, "reproduce the failing pass only, which is always so here"
    )
    mlir_generate_reproducer: str | None = _option(
        "Reproducers", None, "write the input and the pipeline to this file, whether it fails or not"
    )
    list_passes: bool = _option("About", False, "list the passes and exit")
    show_dialects: bool = _option("About", False, "list the dialects and exit")
    version: bool = _option("About", False, "print versions and exit")
    help: bool = _option("About", False, "print this text and exit (also -h)")


OPTIONS = {option.name.replace("_", "-"): option for option in fields(Arguments) if "help" in option.metadata}


def parse_arguments(words: Sequence[str]) -> Arguments:
    """The options that `words` give; raises `InputError` where they do not fit."""
    values: dict[str, Any] = {}
    inputs: list[str] = []
    passes: list[tuple[str, str]] = []
    remaining = iter(words)
    for word in remaining:
        if word == "--":
            inputs += remaining
        elif word == "-" or not word.startswith("-"):
            inputs.append(word)
        elif _SHORT.get(_name(word), _name(word)) in OPTIONS:
            _take(word, remaining, values)
        else:
            passes.append(_pass(word))
    if len(inputs) > 1:
        raise InputError(f"takes one input file, got {len(inputs)}: {' '.join(inputs)}")
    for other in ("pass_pipeline", "run_reproducer"):
        if passes and values.get(other):
            place = "in --pass-pipeline" if other == "pass_pipeline" else "from the reproducer"
            raise InputError(f"takes passes as flags or {place}, got both: --{passes[0][0]}")
    if values.get("run_reproducer") and values.get("pass_pipeline") is not None:
        raise InputError("takes passes from the reproducer or in --pass-pipeline, got both")
    if values.get("emit_bytecode") and values.get("split_input_file") is not None:
        raise InputError(
            "--emit-bytecode writes one module, --split-input-file makes several: "
            "leave one of them out, or put each part into a file of its own"
        )
    return Arguments(inputs[0] if inputs else "-", tuple(passes), **values)


def _name(word: str) -> str:
    return word.lstrip("-").partition("=")[0]


def _take(word: str, remaining: Iterator[str], values: dict[str, Any]) -> None:
    """Adds to `values` what the option `word` says, with the next word where it needs one."""
    option = OPTIONS[_SHORT.get(_name(word), _name(word))]
    hint = get_type_hints(Arguments)[option.name]
    _, equals, given = word.partition("=")
    if not equals and hint is not bool:
        given = option.metadata["bare"] or next(remaining, None)
        if given is None:
            raise InputError(f"option '{word}' needs a value")
    repeatable = get_origin(hint) is tuple
    if option.name in values and not repeatable:
        raise InputError(f"option '{word}' may stand once only")
    try:
        value = parse_value(hint, _name(word), given if equals or hint is not bool else None)
    except PassError as error:
        raise InputError(error.message) from None
    values[option.name] = (*values.get(option.name, ()), *value) if repeatable else value


def _pass(word: str) -> tuple[str, str]:
    """The pass that the flag `word` names, and its options; whether there is one, MLIR must say."""
    name, _, options = word.lstrip("-").partition("=")
    if name in _NOT_BUILT:
        raise InputError(
            f"mlir-opt's option '--{name}' is not available here: MLIR's Python bindings lack it"
        )
    if not re.fullmatch(r"[A-Za-z][\w.-]*", name):
        raise unknown_option(word[2:])
    return name, options[1:-1] if options.startswith("{") and options.endswith("}") else options


def unknown_option(name: str) -> InputError:
    """The error for a flag that is neither an option nor a pass."""
    near = suggestion(name, list(OPTIONS))
    return InputError(f"unknown option or pass '--{name}'{near} (--help lists them)")


def usage() -> str:
    """What `--help` prints."""
    lines = [
        "usage: pit-mlir-opt [FILE] [OPTION]... [--PASS[=OPTIONS]]...",
        "",
        "Runs passes on MLIR text or bytecode, as mlir-opt does: those of this project (--list-passes) and every",
        "upstream pass, in the order in which they are given: as flags, or in one pipeline (-p), not both.",
        "",
        "  pit-mlir-opt in.mlir --pit-normalize --cse --canonicalize='top-down=false max-iterations=3'",
        "  pit-mlir-opt in.mlir -p 'pit-normalize, func.func(cse), pit-prove-permutation{floats=strict}' -o out.mlir",
        "  pit-mlir-opt in.mlir --pit-simplify --mlir-print-ir-after-change --mlir-timing",
    ]
    for group, options in groupby(OPTIONS.items(), lambda item: item[1].metadata["group"]):
        lines += ["", f"{group}:"]
        lines += [f"  {_form(name):44} {option.metadata['help']}" for name, option in options]
    return "\n".join(lines)


def _form(name: str) -> str:
    """How the option is written: `--mlir-timing-display=list|tree`."""
    hint = get_type_hints(Arguments)[OPTIONS[name].name]
    text = "" if hint is bool else _values(hint)
    bare = OPTIONS[name].metadata["bare"] is not None
    return f"{'-' if len(name) == 1 else '--'}{name}{f'[{text}]' if bare else text}"


def _values(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return "=" + "|".join(hint.__args__)
    kinds = {tuple: "=PASS,...", int: "=N", str: "=TEXT"}
    return next(
        (
            text
            for kind, text in kinds.items()
            if kind in (get_origin(hint), *getattr(hint, "__args__", (hint,)))
        ),
        "",
    )
