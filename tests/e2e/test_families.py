"""Each family of sparsity on random data: right numbers, nothing read that is not needed, equal bits in equal calls."""

import copy

import pytest
import torch
from families import FAMILIES, Family, Inputs
from torch import Tensor, nn

import pit_mlir as pit
from pit_mlir.sample import Array, Lists

pytestmark = pytest.mark.usefixtures("inference")

TOLERANCE = {torch.float64: 1e-12, torch.float32: 2e-5, torch.bfloat16: 4e-2}
CALLS = 4
RUNS = 20


def converted(inputs: Inputs, dtype: torch.dtype) -> Inputs:
    """`inputs` with their floats in `dtype`."""
    return tuple(value.to(dtype) if value.is_floating_point() else value for value in inputs)


def prepared(family: Family, dtype: torch.dtype, generator: torch.Generator) -> tuple[nn.Module, Inputs]:
    """A model of `family` and inputs for it, of sizes that torch.export does not take for constants."""
    model = family.model().eval().to(dtype)
    inputs = family.draw(model, generator)
    while any(1 in value.shape for value in inputs):
        inputs = family.draw(model, generator)
    return model, converted(inputs, dtype)


def exact(family: Family, model: nn.Module, inputs: Inputs) -> Tensor:
    """What the dense model gives in double precision."""
    return family.expected(copy.deepcopy(model).double(), converted(inputs, torch.float64))


def poison_memory() -> None:
    """Leaves blocks of NaN to whoever allocates next: what a program does not write is seen."""
    for elements in (64, 1024, 16384, 262144):
        torch.full((elements,), float("nan"))


CASES = [
    pytest.param(name, dtype, id=f"{name}-{str(dtype).removeprefix('torch.')}")
    for name, family in FAMILIES.items()
    for dtype in family.dtypes
]


@pytest.mark.parametrize(("name", "dtype"), CASES)
def test_right_and_nothing_read_in_vain(name: str, dtype: torch.dtype) -> None:
    family, generator = FAMILIES[name], torch.Generator().manual_seed(len(name))
    model, inputs = prepared(family, dtype, generator)
    compiled = family.compile(model, inputs)
    for _ in range(CALLS):
        poison_memory()
        result, expected = compiled(*inputs), exact(family, model, inputs)
        scale = expected.abs().max().clamp(min=1) if expected.numel() else 1.0
        assert result.dtype == dtype and result.shape == expected.shape
        assert ((result.double() - expected).abs() <= TOLERANCE[dtype] * scale).all()
        assert_equal_bits(compiled, inputs, result)
        kept = copy.deepcopy(model.state_dict())
        family.poison(model, inputs)
        assert torch.equal(compiled(*inputs), result), "what must not be read changes the result"
        model.load_state_dict(kept)
        inputs = converted(family.draw(model, generator), dtype)


def assert_equal_bits(compiled: pit.CompiledModule, inputs: Inputs, expected: Tensor) -> None:
    """The same bits in every call, whatever the number of threads."""
    threads = torch.get_num_threads()
    try:
        for run in range(RUNS):
            torch.set_num_threads((1, 2, 4)[run % 3])
            assert torch.equal(compiled(*inputs).view(torch.int8), expected.view(torch.int8))
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("name", ["combined", "relu"])
def test_lists_are_ascending(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the option promises of indices, as the sampler sees them: entries rise within each segment."""
    seen: list[Lists] = []
    original = Lists.owned

    def owned(lists: Lists) -> tuple[Array, Array]:
        seen.append(lists)
        return original(lists)

    monkeypatch.setattr(Lists, "owned", owned)
    model, inputs = prepared(FAMILIES[name], torch.float32, torch.Generator().manual_seed(3))
    FAMILIES[name].compile(model, inputs).explain(*inputs)
    assert seen
    for lists in seen:
        segment, coordinate = original(lists)
        rises = coordinate[1:] > coordinate[:-1]
        assert (rises | (segment[1:] != segment[:-1])).all()
