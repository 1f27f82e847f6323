"""What kernels cost on a GPU, and how many multiprocessors it has: one file for each chip. Nothing here knows MLIR.

No machine at hand has had a GPU: the files say where their numbers come from, and `measured` is false in all of them.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

DIRECTORY = Path(__file__).parent / "chips"
FORMAT = 1
HEIGHTS = (8, 16, 32, 64, 128)
"""Rows of a tile whose costs a file has."""


@dataclass(frozen=True)
class Chip:
    """`listed[rows]`: a multiply-add of a listed step in tiles of so many rows, where one of the dense kernel is 1."""

    name: str
    measured: bool
    origin: str
    multiprocessors: int
    listed: Mapping[int, float]

    def cost_of_listed(self, rows: int) -> float:
        """What a multiply-add of a listed step costs in blocks of `rows` rows, against one of the dense kernel."""
        return self.listed[min((height for height in HEIGHTS if height >= rows), default=HEIGHTS[-1])]


@cache
def chip_of(name: str) -> Chip:
    """What is known of the chip `name`, one of `target.CHIPS`."""
    data = json.loads((DIRECTORY / f"{name}.json").read_text(encoding="utf-8"))
    assert data["format"] == FORMAT and data["chip"] == name, f"the file of {name} is of another kind"
    listed = {height: float(data[f"listed_{height}"]) for height in HEIGHTS}
    return Chip(name, bool(data["measured"]), data["origin"], int(data["multiprocessors"]), listed)
