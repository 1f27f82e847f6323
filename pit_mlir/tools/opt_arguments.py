"""The command line of `pit-mlir-opt`: mlir-opt's options by their names, and every pass as a flag of its own."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_type_hints

from pit_mlir.errors import InputError, PassError
from pit_mlir.passes.options import parse_value

Verbosity = Literal["errors", "warnings", "remarks"]

_SHORT = {"p": "pass-pipeline", "h": "help"}


def _option(default: Any, text: str) -> Any:
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True)
class Arguments:
    """One field an option, `_` for `-`; `input` is the file (`-` for standard input), `passes` the flags of passes."""

    input: str = "-"
    passes: tuple[tuple[str, str], ...] = ()
    o: str = _option("-", "write the result to this file")
    pass_pipeline: str | None = _option(
        None, "the passes to run, e.g. 'pit-normalize,func.func(cse)' (also -p)"
    )
    split_input_file: bool = _option(False, "treat the parts between lines '// -----' as files of their own")
    verify_diagnostics: bool = _option(
        False, "check diagnostics against '// expected-error@+1 {{text}}' comments"
    )
    verify_each: bool = _option(True, "verify the IR after each pass")
    allow_unregistered_dialect: bool = _option(False, "accept operations of dialects nobody knows")
    mlir_print_ir_before_all: bool = _option(False, "print the IR before each pass to stderr")
    mlir_print_ir_after_all: bool = _option(False, "print the IR after each pass to stderr")
    mlir_print_ir_after_change: bool = _option(
        False, "print the IR after each pass that changed it to stderr"
    )
    mlir_print_ir_after_failure: bool = _option(False, "print the IR after a pass that failed to stderr")
    mlir_print_op_generic: bool = _option(False, "print operations in their generic form")
    mlir_print_debuginfo: bool = _option(False, "print locations")
    mlir_print_local_scope: bool = _option(False, "print attributes and types without aliases")
    mlir_elide_elementsattrs_if_larger: int | None = _option(None, "elide constants with more elements")
    mlir_timing: bool = _option(False, "print the time of each pass to stderr")
    mlir_diagnostic_verbosity_level: Verbosity = _option("remarks", "which diagnostics to print")
    mlir_pass_pipeline_crash_reproducer: str | None = _option(
        None, "write a failing pass's input to this file"
    )
    run_reproducer: bool = _option(False, "run the pipeline that a reproducer names in its first line")
    dump_pass_pipeline: bool = _option(False, "print the pipeline to stderr before it runs")
    emit_bytecode: bool = _option(False, "write bytecode instead of text")
    list_passes: bool = _option(False, "list the passes of this project and exit")
    version: bool = _option(False, "print versions and exit")
    help: bool = _option(False, "print this text and exit (also -h)")


def parse_arguments(words: Sequence[str]) -> Arguments:
    """The options that `words` give; raises `InputError` where they do not fit."""
    hints = get_type_hints(Arguments)
    names = {name.replace("_", "-"): name for name in hints if name not in ("input", "passes")}
    values: dict[str, Any] = {}
    inputs: list[str] = []
    passes: list[tuple[str, str]] = []
    remaining = iter(words)
    for word in remaining:
        if word == "-" or not word.startswith("-"):
            inputs.append(word)
            continue
        name, equals, value = word.lstrip("-").partition("=")
        name = _SHORT.get(name, name)
        if name not in names:
            passes.append((name, value))
            continue
        hint = hints[names[name]]
        given = value if equals or hint is bool else _next(remaining, word)
        try:
            values[names[name]] = parse_value(hint, name, given if equals or hint is not bool else None)
        except PassError as error:
            raise InputError(error.message) from None
    if len(inputs) > 1:
        raise InputError(f"takes one input file, got {len(inputs)}: {' '.join(inputs)}")
    if passes and "pass_pipeline" in values:
        raise InputError(f"takes passes as flags or in --pass-pipeline, got both: --{passes[0][0]}")
    return Arguments(inputs[0] if inputs else "-", tuple(passes), **values)


def _next(remaining: Iterator[str], word: str) -> str:
    value = next(remaining, None)
    if value is None:
        raise InputError(f"option '{word}' needs a value")
    return value


def usage() -> str:
    """What `--help` prints."""
    lines = [
        "usage: pit-mlir-opt [FILE] [OPTION]... [--PASS[=OPTIONS]]...",
        "",
        "Runs passes on MLIR text or bytecode, as mlir-opt does: those of this project (--list-passes) and every",
        "upstream pass, e.g. pit-mlir-opt in.mlir --pit-normalize --cse --canonicalize='top-down=false'.",
        "",
    ]
    options = [option for option in fields(Arguments) if "help" in option.metadata]
    for option in options:
        dashes = "-" if len(option.name) == 1 else "--"
        lines.append(f"  {dashes}{option.name.replace('_', '-'):38} {option.metadata['help']}")
    return "\n".join(lines)
