"""Runs one random program: sparse, by the whole pipeline to machine code, against the reference."""

import re
from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from pit_mlir.bindings import ir
from pit_mlir.compile import compile
from pit_mlir.dialect import make_context
from pit_mlir.errors import PassError, PitError
from pit_mlir.frontend.padding import Padding
from pit_mlir.options import CompileOptions
from pit_mlir.passes.pipelines import rewrite_pipeline
from pit_mlir.passes.pit_split_frozen import numbers_of
from pit_mlir.passes.runner import run_pipeline
from pit_mlir.runtime.engine import build_program
from pit_mlir.runtime.library import library
from pit_mlir.runtime.program import Program as Machine
from tests.fuzz import programs, reference
from tests.fuzz.outcome import Outcome

LATER = "pit-select-tiles"
"""From this pass on there are operations that the interpreter does not know."""
SPARSE = "detect sread swrite generic mark attend contract".split()


def run_seed(seed: int, keep: Collection[int] | None = None) -> Outcome:
    """The outcome of the program of `seed`."""
    return run_program(programs.build(seed, keep))


def run_program(program: programs.Program) -> Outcome:
    """Compiles, calls and compares."""
    facts: Counter[str] = Counter({f"theme {program.theme}": 1})
    files: dict[str, str] = {}
    try:
        text, given = execute(program)
    except PassError as error:
        # A pass that fails without being able to say why is a fault of ours; so is one that leaves invalid IR.
        kind = "failed" if re.search(r"failed: \w+(Error|Exception)|\bfailed\)", error.message) else "refused"
        return Outcome(kind, signature(error), str(error), facts, files)
    except PitError as error:
        return Outcome("refused", signature(error), str(error), facts, files)
    facts.update(coverage(text))
    facts["compiled"] = 1
    files["sparse.mlir"] = text
    with make_context(), ir.Location.unknown():
        module = declared(program)
        difference, compared = reference.compare(reference.expect(module, program.arguments), given)
        if difference is not None:
            difference, compared = reference.compare(reference.expect(module, program.arguments, 24), given)
    facts["elements"], facts["compared"] = sum(array.size for array in given), compared
    if difference is None:
        return Outcome("passed", "", "", facts, files)
    return Outcome("failed", f"wrong result, {culprit(program)}", str(difference), facts, files)


def signature(error: PitError) -> str:
    """The message without names, numbers and types, to count by."""
    lines = error.message.splitlines()
    line = lines[-1] if "Traceback" in lines[0] else lines[0]
    line = re.sub(r"tensor<[^>]*>|memref<[^>]*>|'[^']*'|\"[^\"]*\"|%\w+|#\w+", "_", line)
    return f"{type(error).__name__}: {re.sub(r'[0-9]+', 'N', line)[:140]}"


def coverage(text: str) -> Counter[str]:
    """Which operations of the dialect the sparse program has."""
    found = Counter({name: 1 for name in SPARSE if f'"pit.{name}"' in text})
    if found["detect"]:
        found["sparse"] = 1
    return found


def declared(program: programs.Program) -> ir.Module:
    """The dense program, with the declaration of padding that changes what it means."""
    module = reference.plain(program.text)
    if program.padding is not None:
        run_pipeline(
            module, f"pit-normalize, pit-declare-padding{{argument={program.padding}}}", reproducer=False
        )
    return module


def pipeline(program: programs.Program) -> tuple[str, ...]:
    padding = () if program.padding is None else (program.padding,)
    return rewrite_pipeline(padding, floats=program.floats, freeze=program.freeze)


def execute(program: programs.Program) -> tuple[str, list[np.ndarray]]:
    """The sparse program as text, and its results."""
    poison_allocator()
    if program.public:
        sparsity = [] if program.padding is None else [Padding(f"a{program.padding}")]
        compiled = compile(program.text, sparsity=sparsity, options=CompileOptions(floats=program.floats))  # type: ignore[arg-type]
        results = compiled(*program.arguments)
        return compiled.ir, list(results) if isinstance(results, tuple) else [results]
    with make_context(), ir.Location.unknown():
        module = ir.Module.parse(program.text)
        run_pipeline(module, pipeline(program), reproducer=False)
        text = str(module)
        machines, weights = [], []
        if program.freeze:
            functions = {op.attributes["sym_name"].value: op for op in module.body.operations}
            weights = numbers_of(functions["main"], "weight", "state")
            if "prepare" in functions:
                alone = ir.Module.create()
                alone.body.append(functions["prepare"])
                functions["prepare"].attributes["sym_name"] = ir.StringAttr.get("main")
                machines.append(build_program(alone))
        main = build_program(module)
    arguments = list(program.arguments)
    for prepare in machines:
        arguments += call(prepare, [program.arguments[number] for number in weights], program.threads)
    first = call(main, arguments, program.threads)
    again = call(main, arguments, program.threads)
    for one, other in zip(first, again, strict=True):
        same = np.array_equal(one.astype(np.float64), other.astype(np.float64), equal_nan=True)
        assert same, "two calls give two results"
    return text, first


def call(machine: Machine, arguments: Sequence[np.ndarray], threads: int) -> list[np.ndarray]:
    """The results, copied; what is left in freed memory is not a number."""
    results: list[Any] = machine.run_numpy(*arguments, threads=threads)
    copies = [np.array(result) for result in results]
    for result in results:
        if result.size:
            result.view(np.uint8 if result.ndim else result.dtype)[...] = -1 if not result.ndim else 0xFF
    return copies


def poison_allocator() -> None:
    """Fills blocks that the runtime's allocator will hand out next with bytes that are NaN as floats."""
    native = library()
    import ctypes

    sizes = [64 * 2**octave + 16 * 2**octave * part for octave in range(12) for part in range(4)]
    blocks = [(native.pit_alloc(size), size) for size in sizes for _ in range(6)]
    for address, size in blocks:
        ctypes.memset(address, 0xFF, size)
    for address, _ in blocks:
        native.pit_free(address)


def culprit(program: programs.Program) -> str:
    """The first pass after which the interpreter gets another result; else it is code generation."""
    # Contexts of their own: no pass may run on operations that the interpreter still has in its hands.
    with make_context(), ir.Location.unknown():
        expected = reference.expect(declared(program), program.arguments, 24)
    text = program.text
    for step in (step.strip() for phase in pipeline(program) for step in split_steps(phase)):
        if step.startswith(LATER):
            break
        with make_context(), ir.Location.unknown():
            module = reference.plain(text)
            run_pipeline(module, step, reproducer=False)
            text = str(module)
        if step.startswith("pit-normalize") and program.padding is not None:
            continue
        try:
            with make_context(), ir.Location.unknown():
                given = reference.run(ir.Module.parse(text), program.arguments)
        except (KeyError, AssertionError, ValueError, IndexError) as error:
            return f"{step} (the interpreter stops: {type(error).__name__})"
        if reference.compare(expected, given)[0] is not None:
            return step
    return "code generation"


def split_steps(text: str) -> list[str]:
    """The passes of a text, cut at commas that stand in no braces."""
    return re.split(r",(?![^{]*\})", text)
