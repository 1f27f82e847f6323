"""`pit-mlir compile`: from a model to a file that runs without the compiler."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pit_mlir.compile import compile
from pit_mlir.errors import PitError
from pit_mlir.frontend.padding import Padding
from pit_mlir.options import CompileOptions
from pit_mlir.tools.explain_command import progress
from pit_mlir.tools.model_file import load
from pit_mlir.tools.terminal import print_error, show

SUFFIX = ".pit"


def run(
    file: str,
    output: str | None,
    padding: Sequence[str],
    target: str | None,
    options: CompileOptions,
    *,
    weights: bool,
) -> int:
    """Compiles the model of `file` into `output`, by default a file of the same name; the exit status."""
    path = Path(Path(file.partition(".py:")[0]).stem + SUFFIX if output is None else output)
    try:
        subject = load(file, None)
        args, kwargs = (subject.call or ((), None)) if subject.has_example else ((), None)
        with progress() as callback:
            compiled = compile(
                subject.model,
                args,
                kwargs,
                dynamic_shapes=subject.dynamic_shapes,
                sparsity=[*subject.sparsity, *(Padding(mask) for mask in padding)],
                target=target,
                options=replace(options, progress=callback),
            )
        compiled.save(path, weights=weights)
    except PitError as error:
        print_error(error)
        return 1
    size = path.stat().st_size / 2**20
    return show(f"{path}: {size:,.1f} MiB for {compiled.target}; pit-mlir run {path} says what it takes\n")
