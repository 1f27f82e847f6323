"""Real models become linalg on tensors: arguments, types, locations, sizes."""

import re
from typing import Any

import pytest
import torch
from frontend_models import IMPLEMENTATIONS, MODELS, bert, dynamic_tokens, tokens
from torch import fx, nn

from pit_mlir.bindings import ir
from pit_mlir.dialect import make_context
from pit_mlir.dialect.location import location_text
from pit_mlir.frontend.export import capture_program, decompose_program
from pit_mlir.frontend.guards import drop_softmax_guards
from pit_mlir.frontend.lowering import main_function
from pit_mlir.frontend.signature import ResultOutput, SymbolRange
from pit_mlir.frontend.torch_import import import_model
from pit_mlir.frontend.views import VIEWS, clean_views

LIMIT = 16


def walk(module: ir.Module) -> list[ir.Operation]:
    found: list[ir.Operation] = []

    def visit(op: ir.Operation) -> ir.WalkResult:
        found.append(op)
        return ir.WalkResult.ADVANCE

    module.operation.walk(visit)
    return found


def narrowing_casts(module: ir.Module) -> list[str]:
    """Casts that claim a size for a dynamic dimension: torch-mlir's miscompile of `view` shows as one."""
    found: list[str] = []
    for op in walk(module):
        if op.name == "tensor.cast":
            source, target = (ir.RankedTensorType(v.type) for v in (op.operands[0], op.results[0]))
            if any(source.is_dynamic_dim(d) and not target.is_dynamic_dim(d) for d in range(source.rank)):
                found.append(str(op))
    return found


@pytest.mark.parametrize("dynamic", [False, True], ids=["static", "dynamic"])
@pytest.mark.parametrize("attention", IMPLEMENTATIONS)
@pytest.mark.parametrize("name", MODELS)
def test_import_of_transformers(name: str, attention: str, dynamic: bool) -> None:
    model, example = MODELS[name](attention), tokens()
    imported = import_model(
        model, example, dynamic_shapes=dynamic_tokens() if dynamic else None, context=make_context()
    )
    assert imported.module.operation.verify()
    assert [i.name for i in imported.interface.inputs] == ["input_ids", "attention_mask"]
    assert [i.dtype for i in imported.interface.inputs] == ["int64", "int64"]
    expected = ("batch", "length") if dynamic else (2, 8)
    assert all(i.shape == expected for i in imported.interface.inputs)
    assert imported.interface.outputs == (ResultOutput(0),)
    check_arguments(imported, model)
    assert narrowing_casts(imported.module) == []
    operations = walk(imported.module)
    assert not [op.name for op in operations if op.name in ("tensor.reshape", "torch.operator")]
    if dynamic:
        assert imported.interface.symbols == {"batch": SymbolRange(0, 64), "length": SymbolRange(0, 32)}
        dims = [op for op in operations if op.name == "tensor.dim"]
        assert len(dims) == 2 and all(isinstance(op.operands[0], ir.BlockArgument) for op in dims)
        messages = {op.attributes["msg"].value for op in operations if op.name == "cf.assert"}
        assert all("index must be" in message for message in messages), messages


def check_arguments(imported: Any, model: nn.Module) -> None:
    """The arguments of @main are as described, and each weight is the model's own tensor of that name."""
    function = main_function(imported.module)
    block = function.regions[0].blocks[0]
    named = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    weights = iter(imported.weights.read())
    for value, argument, described in zip(
        block.arguments, imported.interface.arguments, function.attributes["arg_attrs"], strict=True
    ):
        assert described["pit.name"].value == argument.name
        assert described["pit.kind"].value == argument.kind
        type_ = ir.RankedTensorType(value.type)
        assert type_.rank == len(argument.shape)
        assert all(
            type_.is_dynamic_dim(d) if isinstance(size, str) else type_.get_dim_size(d) == size
            for d, size in enumerate(argument.shape)
        )
        if argument.kind == "weight":
            tensor = next(weights)
            assert tensor is named[argument.name]
            assert tuple(tensor.shape) == argument.shape
            assert str(tensor.dtype) == f"torch.{argument.dtype}"
    assert next(weights, None) is None


@pytest.mark.parametrize("attention", IMPLEMENTATIONS)
@pytest.mark.parametrize("name", MODELS)
def test_cleaned_graph_computes_what_the_model_does(name: str, attention: str) -> None:
    model, example = MODELS[name](attention), tokens()
    program = decompose_program(capture_program(model, example, {}, dynamic_tokens()))
    drop_softmax_guards(program.graph)
    clean_views(program.graph)
    program.graph.lint()
    targets = {node.target for node in program.graph.nodes}
    assert not targets & VIEWS
    assert torch.ops.aten.linear.default in targets or name == "gpt2"
    ids, mask = torch.randint(3, 100, (3, 7)), torch.ones(3, 7, dtype=torch.int64)
    mask[1, 4:] = 0
    specs = [s for s in program.graph_signature.input_specs if s.target is not None]
    held = {**program.state_dict, **program.constants}
    arguments = [*(held[s.target] for s in specs), ids, mask]
    with torch.no_grad():
        (given,) = fx.Interpreter(program.graph_module, graph=program.graph).run(*arguments)
        torch.testing.assert_close(given, model(ids, mask), rtol=1e-4, atol=1e-5)


def test_locations_are_lines_of_the_model() -> None:
    imported = import_model(bert("eager"), tokens(), context=make_context())
    places = {location_text(op.location) for op in walk(imported.module) if op.name.startswith("linalg.")}
    assert any(re.search(r"modeling_bert\.py:\d+:0$", place) for place in places)
    assert not [place for place in places if "/torch/nn/" in place or "runtime_assert" in place]


def test_large_weights_are_arguments_and_not_copied() -> None:
    class Large(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Parameter(torch.empty(16384, 1024))
            self.register_buffer("hidden", torch.ones(1024, 512), persistent=False)
            self.plain = torch.ones(512)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return (x @ self.table) @ self.hidden + self.plain

    model = Large()
    imported = import_model(model, (torch.zeros(4, 16384),), context=make_context())
    given = dict(zip(imported.interface.argument_names, imported.weights.read(), strict=False))
    for name, tensor in (("table", model.table), ("hidden", model.hidden), ("plain", model.plain)):
        assert given[name].data_ptr() == tensor.data_ptr()
    assert len(imported.module.operation.get_asm()) < 20_000
    for op in walk(imported.module):
        if op.name == "arith.constant" and isinstance(op.results[0].type, ir.RankedTensorType):
            type_ = ir.RankedTensorType(op.results[0].type)
            assert type_.has_static_shape
            elements = 1
            for size in type_.shape:
                elements *= size
            assert elements <= LIMIT


@pytest.mark.parametrize(
    "dtype",
    [torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.int64, torch.int32, torch.bool],
)
def test_element_types(dtype: torch.dtype) -> None:
    class Choose(nn.Module):
        def forward(self, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return torch.where(x == y, x, y), x.sum(-1)

    x = torch.ones(3, 5, dtype=dtype)
    imported = import_model(Choose(), (x, x), context=make_context())
    assert [i.dtype for i in imported.interface.inputs] == [str(dtype).removeprefix("torch.")] * 2


def test_layer_norm_and_softmax_stay_out_of_f64() -> None:
    model = nn.Sequential(nn.LayerNorm(8), nn.GroupNorm(2, 8), nn.Softmax(-1))
    imported = import_model(model, (torch.randn(3, 8),), context=make_context())
    wide = [op.name for op in walk(imported.module) if any(str(r.type) == "f64" for r in op.results)]
    assert set(wide) <= {"arith.constant"}


def test_two_dynamic_dims_flattened_by_view() -> None:
    class Flatten(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(64, 32)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            b, t, d = x.shape
            return self.linear(x.view(b * t, d)).view(b, t, 4, 8).transpose(1, 2).reshape(b, 4, t * 8)

    batch, length = torch.export.Dim("batch"), torch.export.Dim("length")
    imported = import_model(
        Flatten(), (torch.randn(2, 3, 64),), dynamic_shapes=({0: batch, 1: length},), context=make_context()
    )
    assert narrowing_casts(imported.module) == []
    assert not [op for op in walk(imported.module) if op.name == "tensor.reshape"]


def test_exported_program_brings_its_own_example() -> None:
    model = bert("eager")
    program = torch.export.export(model, tokens(), dynamic_shapes=dynamic_tokens(), strict=False)
    imported = import_model(program, context=make_context())
    assert [i.name for i in imported.interface.inputs] == ["input_ids", "attention_mask"]
    given = dict(zip(imported.interface.argument_names, imported.weights.read(), strict=False))
    weight = model.model.encoder.layer[0].intermediate.dense.weight
    assert given["model.encoder.layer.0.intermediate.dense.weight"].data_ptr() == weight.data_ptr()
