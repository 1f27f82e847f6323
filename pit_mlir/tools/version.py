"""What `--version` prints."""

from importlib.metadata import version

from pit_mlir import __version__


def version_text(program: str) -> str:
    """The versions of this package and of the MLIR bindings below it."""
    return f"{program} {__version__} (torch-mlir {version('torch-mlir')})"
