"""What `pit-mlir-opt --list-passes` and `--version` print."""

from pit_mlir import __version__
from pit_mlir.passes.options import option_lines
from pit_mlir.passes.registry import PASSES, pass_class


def pass_listing() -> str:
    """Each pass of ours with the first line of its documentation, and its options."""
    lines: list[str] = []
    for name in sorted(PASSES):
        cls = pass_class(name)
        lines.append(f"  --{name:36} {(cls.__doc__ or '').strip().splitlines()[0]}")
        lines += [f"      {option}" for option in option_lines(cls)]
    return "\n".join([*lines, "", "Every pass of upstream MLIR is known by its name as well."])


def version_text() -> str:
    """The versions of this package and of the MLIR bindings below it."""
    # Ten milliseconds that no other call of the driver should pay.
    from importlib.metadata import version

    return f"pit-mlir-opt {__version__} (torch-mlir {version('torch-mlir')})"
