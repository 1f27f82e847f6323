"""What torch.export took for granted about sizes: each call is checked against it.

Where a model or an operator asks something of its sizes, such as `if x.shape[0] > x.shape[1]`, the exporter
follows the answer of the example and keeps the question as a guard. A program is right for sizes that give the
same answers.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any, cast

import sympy
from torch import fx
from torch.export import ExportedProgram
from torch.fx.experimental.symbolic_shapes import ShapeEnv

from pit_mlir.errors import UnsupportedError
from pit_mlir.frontend.signature import Condition
from pit_mlir.frontend.source import is_model_file
from pit_mlir.frontend.symbols import Symbols, shape_env_of

STRIDE_QUESTIONS = (
    "is_contiguous",
    "check_contiguous_sizes_strides",
    "is_channels_last_contiguous_2d",
    "is_channels_last_contiguous_3d",
    "are_strides_like_channels_last_or_false",
    "compute_elementwise_output_logical_to_physical_perm",
)
"""Functions of torch that ask how memory is laid out, which our programs do not depend on."""

_SIZE = re.compile(r"L((?:\['?\w+'?\])+)\.size\(\)\[(\d+)\]")


def size_conditions(
    program: ExportedProgram, symbols: Symbols, saved: Sequence[str] = ()
) -> tuple[Condition, ...]:
    """The guards of `program` that its results depend on, as conditions on the sizes of its inputs.

    `saved` are those of a program that may be loaded from a file, which has no others.
    """
    inputs = {node.name: node for node in program.graph.nodes if node.op == "placeholder"}
    shape_env = shape_env_of(program)
    if shape_env is None:
        return ()
    exported_here = bool(shape_env.source_to_var)
    found = _recorded(shape_env, symbols) if exported_here else _saved(saved, inputs, symbols)
    return tuple(Condition(text, location) for text, location in dict(found).items())


def _recorded(shape_env: ShapeEnv, symbols: Symbols) -> Iterator[tuple[str, str | None]]:
    """Text and line of the guards of a program that was exported in this process."""
    for guard in shape_env.guards:
        # A frame, or None where nothing is known; the annotation says text.
        frame = cast(Any, guard.sloc.framework_loc)
        from_model = frame is not None and is_model_file(frame.filename)
        # What differs needs no special treatment in torch's own code: it asks for 0 and 1, or for a faster way.
        neutral = isinstance(guard.expr, sympy.Ne) or (frame is not None and frame.name in STRIDE_QUESTIONS)
        if neutral and not from_model:
            continue
        expression = shape_env.simplify(guard.expr)
        text = symbols.text(expression)
        if text is not None and expression is not sympy.true:
            yield text, f"{frame.filename}:{frame.lineno}:0" if frame is not None and from_model else None


def _saved(
    guards: Sequence[str], inputs: dict[str, fx.Node], symbols: Symbols
) -> Iterator[tuple[str, str | None]]:
    """The guards of a program that was loaded from a file, of which only a text remains."""

    def size(match: re.Match[str]) -> str:
        # The exporter names what is nested, x[0] and y["key"], x_0 and y_key.
        name = "_".join(re.findall(r"\w+", match[1]))
        if name not in inputs:
            return match[0]
        return str(symbols.size(inputs[name].meta["val"].shape[int(match[2])], f"a dimension of '{name}'"))

    for guard in guards:
        if " != " in guard:
            continue
        text = _SIZE.sub(size, guard)
        if "L[" in text:
            raise UnsupportedError(
                f"the program was saved with the condition {guard}, which cannot be checked; pass the model itself"
            )
        if re.search(r"[A-Za-z_]\w*", text):
            yield text, None
