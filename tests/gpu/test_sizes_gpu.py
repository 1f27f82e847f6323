"""Sizes of operands that disagree in a call: an error, as on the CPU, and nothing is read out of bounds."""

import ml_dtypes
import numpy as np
import pytest
from programs import program
from test_contract_gpu import contraction

from pit_mlir.errors import InputError

LISTS = {
    "nothing": {},
    "rows": {"index": "segments = array<i64>, axis = array<i64: 0>, block = array<i64>", "group": ": 0"},
    "depth": {
        "index": "segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 8>",
        "group": ": 0, 2",
        "block": ": 8",
    },
    "parts": {
        "index": "segments = array<i64: 1>, axis = array<i64: 0>, block = array<i64: 8>",
        "group": ": 2, 0",
        "block": ": 8",
    },
}


@pytest.mark.parametrize(
    ("listed", "target"), [*((listed, "emulator") for listed in LISTS), ("rows", "emulator:sm_90a")]
)
def test_sizes_that_disagree_are_an_error(listed: str, target: str) -> None:
    """One operand at a time is too small: its rows, its depth, the mask's; where all agree the program runs."""
    # Of 64 columns and 16 bits, `wgmma` multiplies.
    text = contraction("mk,nk->mn", {"m": "?", "n": 64, "k": "?"}, "bf16", **LISTS[listed])
    compiled = program(text, target=target)

    def run(rows: int = 9, depth: int = 40, of_weights: int = 40, listed_rows: int = 9) -> np.ndarray:
        a, b, c = (np.ones(shape, ml_dtypes.bfloat16) for shape in ((9, depth), (64, of_weights), (rows, 64)))
        mask = np.ones((listed_rows, 40) if listed in ("depth", "parts") else listed_rows, np.float32)
        return compiled.run_numpy(a, b, c, mask)[0]

    np.testing.assert_array_equal(run().astype(float), 40.0)
    wrong = [{"rows": 8}, {"of_weights": 39}, {"depth": 41}]
    wrong += [{"listed_rows": 8 if listed == "rows" else 17}] if listed != "nothing" else []
    for sizes in wrong:
        with pytest.raises(InputError, match="sizes of the operands of a contraction differ"):
            run(**sizes)
    np.testing.assert_array_equal(run().astype(float), 40.0)
