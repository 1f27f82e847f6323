"""Padding on imported models: rows from the token ids to the result, and the numbers of the dense model."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from frontend_models import MODELS, dynamic_tokens, tokens
from torch import nn

import pit_mlir as pit
from pit_mlir import dialect
from pit_mlir.analysis.extents import extent_source
from pit_mlir.bindings import ir
from pit_mlir.diagnostics import Report
from pit_mlir.dialect.structured import owner
from pit_mlir.frontend.padding import Padding
from pit_mlir.frontend.signature import ImportedModel
from pit_mlir.frontend.torch_import import import_model
from pit_mlir.passes.runner import run_pipeline

sys.path.insert(0, str(Path(__file__).parent.parent))

import interpreter

NORMAL = "pit-normalize"
RULES = "pit-form-attention, pit-prove-permutation, pit-insert-sparsity{only=rows}, pit-simplify"


def sparse_program(
    model: nn.Module,
    context: ir.Context,
    dynamic: bool = False,
    report: Report | None = None,
    example: tuple[torch.Tensor, ...] | None = None,
) -> ImportedModel:
    """`model` imported, padding declared on its attention mask, the rules applied."""
    shapes = dynamic_tokens() if dynamic else None
    imported = import_model(model, example or tokens(), dynamic_shapes=shapes, context=context)
    number = Padding("attention_mask").argument_number(imported.interface.arguments)
    run_pipeline(imported.module, f"{NORMAL}, pit-declare-padding{{argument={number}}}, {RULES}", report)
    return imported


def operations(imported: ImportedModel) -> list[ir.Operation]:
    """The operations of @main."""
    function = next(op.operation for op in imported.module.body.operations)
    return [op.operation for op in function.regions[0].blocks[0].operations]


def has_rows(value: ir.Value) -> bool:
    """Whether a dimension of `value` runs over the rows of an index."""
    for dim in range(value.type.rank):
        source = extent_source(value, dim)
        maker = (
            owner(source[0] if isinstance(source, tuple) else source) if not isinstance(source, int) else None
        )
        if maker is not None and maker.name in ("pit.size", "pit.sread"):
            return True
    return False


def dense_on_tokens(imported: ImportedModel) -> list[str]:
    """Operations that compute floats of the token ids and do not run on rows."""
    ids = [argument.name for argument in imported.interface.arguments].index("input_ids")
    function = next(op.operation for op in imported.module.body.operations)
    reached = {function.regions[0].blocks[0].arguments[ids]}
    found: list[str] = []
    for op in operations(imported):
        if op.name == "tensor.dim" or not reached & set(op.operands):
            continue
        reached.update(op.results)
        floats = [r for r in op.results if isinstance(r.type.element_type, ir.FloatType)]
        if op.name not in ("pit.swrite", "tensor.extract_slice") and any(not has_rows(r) for r in floats):
            found.append(str(op))
    return found


def values_of(imported: ImportedModel, model: nn.Module, *inputs: torch.Tensor) -> list[np.ndarray]:
    """The arguments of @main: weights of `model`, and `inputs` in order."""
    weights = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    rest = iter(inputs)
    return [
        (next(rest) if argument.kind == "input" else weights[argument.name]).detach().numpy()
        for argument in imported.interface.arguments
    ]


@pytest.mark.parametrize(
    ("name", "attention", "dynamic"),
    [("bert", "sdpa", False), ("bert", "eager", True), ("opt", "eager", False), ("opt", "sdpa", True)],
)
def test_everything_runs_on_rows(name: str, attention: str, dynamic: bool) -> None:
    """One index; what depends on the ids is compact; live rows equal the model's, unused rows are 0."""
    torch.manual_seed(0)
    model = MODELS[name](attention)
    ids, mask = tokens()
    masks = [mask, torch.ones_like(mask), torch.zeros_like(mask), mask.flip(1)]
    with dialect.make_context() as context, ir.Location.unknown():
        imported = sparse_program(model, context, dynamic)
        names = [op.name for op in operations(imported)]
        assert (names.count("pit.detect"), names.count("pit.swrite"), names.count("pit.attend")) == (1, 1, 2)
        assert not dense_on_tokens(imported)
        for one in masks:
            with torch.no_grad():
                want = model(ids, one).numpy()
            (have,) = interpreter.run(imported.module, *values_of(imported, model, ids, one))
            live = one.numpy() != 0
            np.testing.assert_allclose(have[live], want[live], rtol=1e-4, atol=1e-5)
            assert not np.any(have[~live])


@pytest.mark.parametrize(("batch", "length"), [(1, 7), (5, 1)])
def test_a_size_of_one(batch: int, length: int) -> None:
    """One sequence, or sequences of one token: the dimension is gone inside, the rows are there."""
    torch.manual_seed(0)
    model = MODELS["bert"]("sdpa")
    ids = torch.randint(3, 100, (batch, length))
    mask = (torch.arange(batch * length) < batch * length // 2).reshape(batch, length).long()
    with dialect.make_context() as context, ir.Location.unknown():
        imported = sparse_program(model, context, example=(ids, mask))
        assert not dense_on_tokens(imported)
        (have,) = interpreter.run(imported.module, *values_of(imported, model, ids, mask))
    with torch.no_grad():
        want = model(ids, mask).numpy() * mask.numpy()[..., None]
    np.testing.assert_allclose(have, want, rtol=1e-4, atol=1e-5)


class Gated(nn.Module):
    """Two layers, times a mask that comes with the result's rank."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(24, 40), nn.ReLU(), nn.Linear(40, 24))

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return self.layers(x) * mask


@pytest.mark.parametrize("dtype", [torch.float32, torch.int64])
def test_a_mask_with_a_dimension_of_size_one(dtype: torch.dtype) -> None:
    """A factor (batch, token, 1) lists rows as one of (batch, token) does that the model expands."""
    torch.manual_seed(0)
    model, x = Gated().eval(), torch.randn(7, 5, 24)
    mask = (torch.rand(7, 5, 1) < 0.5).to(dtype)
    with dialect.make_context() as context, ir.Location.unknown():
        imported = import_model(model, (x, mask), context=context)
        run_pipeline(imported.module, f"{NORMAL}, {RULES}")
        generics = [op for op in operations(imported) if op.name == "linalg.generic"]
        products = [op for op in generics if "reduction" in str(op.attributes["iterator_types"])]
        assert len(products) == 2
        assert all(has_rows(op.results[0]) for op in products)
        (have,) = interpreter.run(imported.module, *values_of(imported, model, x, mask))
    np.testing.assert_allclose(have, model(x, mask).detach().numpy(), rtol=1e-4, atol=1e-5)


class Head(nn.Module):
    """Something behind an encoder that takes tokens out of the (batch, token) frame."""

    def __init__(self, encoder: nn.Module, kind: str) -> None:
        super().__init__()
        self.encoder, self.kind = encoder, kind

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        hidden = self.encoder(input_ids, attention_mask)
        if self.kind == "first":
            return torch.tanh(hidden[:, 0])
        if self.kind == "mean":
            return hidden.mean(1)
        weights = attention_mask[..., None].to(hidden.dtype)
        return (hidden * weights).sum(1) / weights.sum(1).clamp(min=1)


@pytest.mark.parametrize(
    ("kind", "rows", "remark"),
    [
        ("first", True, "assumes: the rows that this slice reads are live"),
        ("masked mean", True, "compact through the index of the live rows of 'attention_mask'"),
        ("mean", False, "reduces over tokens, and the mask does not make the unused ones 0"),
    ],
)
def test_heads(kind: str, rows: bool, remark: str) -> None:
    """A pooled token and a masked mean leave the encoder on rows, an unmasked mean does not; all say so."""
    torch.manual_seed(0)
    model = Head(MODELS["bert"]("sdpa"), kind).eval()
    ids, mask = tokens()
    report = Report()
    with dialect.make_context() as context, ir.Location.unknown():
        imported = sparse_program(model, context, report=report)
        attends = [op for op in operations(imported) if op.name == "pit.attend"]
        assert [len(op.attributes["compact"]) == 4 for op in attends] == [rows, rows]
        (have,) = interpreter.run(imported.module, *values_of(imported, model, ids, mask))
    assert any(remark in diagnostic.message for diagnostic in report)
    with torch.no_grad():
        np.testing.assert_allclose(have, model(ids, mask).numpy(), rtol=1e-4, atol=1e-5)


MOVES = {
    "roll": lambda y: y.roll(1, 1),
    "roll by more": lambda y: y.roll(-2, 1),
    "flip": lambda y: y.flip(1),
    "shift": lambda y: torch.cat([y[:, :1] * 0, y[:, :-1]], 1),
    "pad": lambda y: nn.functional.pad(y, (0, 0, 1, 0))[:, :-1],
    "difference": lambda y: y[:, 1:] - y[:, :-1],
}


@pytest.mark.parametrize("move", MOVES)
def test_moved_tokens_are_those_of_the_model(move: str) -> None:
    """A token that is moved may come from an unused place: nothing of what is moved is left out."""

    class Moved(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(8, 8)

        def forward(self, x: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            y = torch.relu(self.linear(x))
            return y * mask[..., None], MOVES[move](y)

    model = Moved().eval()
    mask = torch.tensor([[1, 0, 1, 1, 0, 0], [1, 1, 1, 1, 1, 1], [0, 1, 0, 0, 1, 0]]).float()
    x = torch.randn(3, 6, 8)
    compiled = pit.compile(model, (x, mask), sparsity=[pit.Padding("mask")])
    for ours, theirs in zip(compiled(x, mask), model(x, mask), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
