"""Norms, softmaxes and activations of `bench.elementwise` against torch in f64: what they pass on stays in a row."""

import pytest
import torch
from targets import small

import pit_mlir
from bench.elementwise import CHAINS, Chain, operand

TOLERANCES = {torch.float32: 2e-6, torch.bfloat16: 2e-2}


@pytest.mark.parametrize("name", CHAINS)
@pytest.mark.parametrize("dtype", list(TOLERANCES))
def test_chain(name: str, dtype: torch.dtype) -> None:
    """Few rows and many (which threads share), columns that no vector divides, and the same results twice."""
    function, kinds = CHAINS[name]
    torch.manual_seed(1)
    sizes = small([(129, 66), (7, 1), (1, 34)], [(9, 66), (1, 34)])
    for rows, columns in sizes:
        if name == "rotary" and columns == 1:
            continue
        operands = [operand(kind, rows, columns, dtype) for kind in kinds]
        matrices = tuple(x for x in operands if x.ndim > 1)
        if name == "masked_softmax":
            matrices[1][:, 0] = True
        chain = Chain(function, [x for x in operands if x.ndim == 1]).eval()
        compiled = pit_mlir.compile(chain, matrices)
        first = compiled(*matrices)
        expected = function(*(x.double() if x.is_floating_point() else x for x in operands))
        error = (first.double() - expected).abs().max() / expected.abs().max().clamp_min(1)
        assert error < TOLERANCES[dtype], f"{rows}x{columns}: {error:.1e}"
        assert torch.equal(first, compiled(*matrices))
