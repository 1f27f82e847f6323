"""What a contraction asks memory for: exactly the lines that it packs next."""

from types import SimpleNamespace
from typing import Any

import pytest

from pit_mlir.bindings import ir
from pit_mlir.codegen.contract_access import Access
from pit_mlir.codegen.cpu.contract_ahead import block_at
from pit_mlir.codegen.cpu.contract_frame import Tile
from pit_mlir.codegen.cpu.contract_pairs import pair_view
from pit_mlir.codegen.cpu.contract_views import View
from pit_mlir.dialect import make_context

COLUMN, DEPTH = 0, 1
TILE = Tile(14, 2, 16, 256)


def lines_asked(block: Any) -> set[int]:
    """The lines of the first panel of `block`, as numbers from the first one in memory."""
    asks = block.asks
    places = [
        block.distance * (pair // asks.run) + 2 * asks.line * (pair % asks.run) + partner
        for pair in range(block.pairs)
        for partner in (0, block.partner)
    ]
    lines = [place // asks.line for place in places]
    assert len(set(lines)) == len(lines), "a line is asked for once"
    return set(lines)


@pytest.mark.parametrize(
    ("name", "paired"), [("f64", False), ("f32", False), ("bf16", False), ("bf16", True)]
)
@pytest.mark.parametrize("along", [True, False], ids=["n_k", "k_n"])
def test_every_line_of_the_next_block_is_asked_for_once(name: str, paired: bool, along: bool) -> None:
    """Columns that are contiguous along the depth, or along the columns; pairs of bf16 take two steps at once."""
    with make_context(), ir.Location.unknown():
        element: Any = ir.Type.parse(name)
        # A multiple of the line, so that lines are those of no other row.
        row = 1024
        strides = (row, 1) if along else (1, row)
        source: Any = None
        view = View(Access(source, (COLUMN, DEPTH), False), source, 0, strides, ())
        frame: Any = SimpleNamespace(tile=TILE, depth_axes=(DEPTH,), column_axis=COLUMN)
        if paired:
            view = pair_view(view, DEPTH, along=along)
        exists: Any = None
        block = block_at(frame, view, element, exists)
        steps = TILE.depth * (2 if paired else 1)
        wanted = {
            (column * strides[COLUMN] + step * strides[DEPTH]) // block.asks.line
            for column in range(TILE.width)
            for step in range(steps)
        }
        assert lines_asked(block) == wanted
        assert block.panel == TILE.width * strides[COLUMN]
