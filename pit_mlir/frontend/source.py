"""Lines of the model: where a node of an exported graph, or a failure of the exporter, stands in its source."""

import functools
import os
import re
import sysconfig
import traceback

import torch
from torch import fx

_FRAME = re.compile(r'File "([^"]+)", line (\d+)')
_TORCH = os.path.dirname(os.path.abspath(torch.__file__)) + os.sep
_SITE_PACKAGES = os.path.dirname(os.path.dirname(_TORCH)) + os.sep
_PYTHON = sysconfig.get_path("stdlib") + os.sep


def is_torch_file(path: str) -> bool:
    """Whether `path` is part of torch (its frames are no lines of a model)."""
    return path.startswith((_TORCH, "torch/", "<"))


def is_model_file(path: str) -> bool:
    """Whether `path` belongs to a model: not to torch, and not to us."""
    return not is_torch_file(path) and os.path.abspath(path) not in _own_files()


def model_frames(node: fx.Node) -> list[tuple[str, int]]:
    """(file, line) of the frames of `node` outside torch, the outermost first; torch's own if there are no others."""
    frames = [(file, int(line)) for file, line in _FRAME.findall(node.meta.get("stack_trace") or "")]
    return [frame for frame in frames if not is_torch_file(frame[0])] or frames


def model_line(node: fx.Node) -> str | None:
    """`file:line:col` of the innermost line of the model that made `node`; None if nothing is known."""
    frames = model_frames(node)
    return f"{frames[-1][0]}:{frames[-1][1]}:0" if frames else None


def error_line(error: BaseException) -> str | None:
    """`file:line:col` of the innermost line of the model in the traceback of `error`."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not is_torch_file(frame.filename)
        and not _is_of_python(frame.filename)
        and frame.filename not in _own_files()
    ]
    return f"{frames[-1].filename}:{frames[-1].lineno}:0" if frames else None


def names_in(error: BaseException) -> set[str]:
    """The attributes and functions that the model's own code names in the functions of the traceback of `error`."""
    frames = (frame for frame, _ in traceback.walk_tb(error.__traceback__))
    return {
        name
        for frame in frames
        if not is_torch_file(frame.f_code.co_filename)
        for name in frame.f_code.co_names
    }


def keep_model_frames(graph: fx.Graph) -> None:
    """Drops torch's own frames from the nodes, so that locations in the IR are lines of the model.

    Placeholders lose theirs: the exporter gives them lines of its own machinery. What the exporter made for another
    node, such as a size, gets the line of that.
    """
    for node in reversed(graph.nodes):
        if node.op == "placeholder":
            node.meta.pop("stack_trace", None)
            continue
        frames = model_frames(node) or [frame for user in node.users for frame in model_frames(user)][:1]
        if frames:
            node.meta["stack_trace"] = "\n".join(
                f'File "{file}", line {line}, in model' for file, line in frames
            )


def _is_of_python(path: str) -> bool:
    """Whether `path` is part of Python's own library, which may contain the installed packages."""
    return path.startswith(_PYTHON) and not path.startswith(_SITE_PACKAGES)


@functools.cache
def _own_files() -> set[str]:
    """The files of this package through which the exporter is called, and by which it calls us."""
    folder = os.path.dirname(os.path.abspath(__file__))
    backend = os.path.join(os.path.dirname(folder), "compile.py")
    return {backend, *(os.path.join(folder, name) for name in os.listdir(folder))}
