"""`pit.mark` in a model: the identity in torch, an operation on the right value in the IR."""

import pytest
import torch
from torch import Tensor, nn

from pit_mlir.bindings import ir
from pit_mlir.dialect import make_context
from pit_mlir.errors import InputError
from pit_mlir.frontend.lowering import main_function
from pit_mlir.frontend.marks import mark
from pit_mlir.frontend.torch_import import import_model


def operations(model: nn.Module, *args: Tensor) -> tuple[list[ir.Operation], ir.Module]:
    """The operations of the imported @main, in order."""
    module = import_model(model, args, context=make_context()).module
    assert module.operation.verify()
    return [op.operation for op in main_function(module).regions[0].blocks[0].operations], module


class Marked(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(8, 16), nn.Linear(16, 8)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        h = mark(torch.relu(self.first(x)), mask)
        return self.second(h) + h.sum(-1, keepdim=True)


def test_is_the_identity_in_torch() -> None:
    x = torch.randn(3, 4, requires_grad=True)
    assert mark(x) is x
    assert mark(x, torch.ones(3, 1, dtype=torch.bool)) is x


def test_marks_the_value_and_its_users() -> None:
    mask = torch.ones(4, 1, dtype=torch.bool)
    ops, _module = operations(Marked(), torch.randn(4, 8), mask)
    (marked,) = [op for op in ops if op.name == "pit.mark"]
    source, given_mask = marked.operands
    body = [op.operation.name for op in source.owner.operation.regions[0].blocks[0].operations]
    assert body[-2:] == ["arith.select", "linalg.yield"]
    assert isinstance(given_mask, ir.BlockArgument)
    assert [use.owner.operation.name for use in source.uses] == ["pit.mark"]
    assert len(list(marked.results[0].uses)) == 2
    returned = ops[-1]
    assert returned.name == "func.return" and len(returned.operands) == 1


def test_marks_an_input_and_pads_the_mask() -> None:
    class Input(nn.Module):
        def forward(self, x: Tensor, mask: Tensor) -> Tensor:
            return mark(x, mask) * 2

    ops, _module = operations(Input(), torch.randn(4, 8), torch.ones(8, dtype=torch.int64))
    (marked,) = [op for op in ops if op.name == "pit.mark"]
    assert isinstance(marked.operands[0], ir.BlockArgument)
    assert list(ir.RankedTensorType(marked.operands[1].type).shape) == [1, 8]


def test_without_mask_and_twice() -> None:
    class Twice(nn.Module):
        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            y = mark(torch.relu(x))
            return mark(y * 2), y

    ops, _module = operations(Twice(), torch.randn(4, 8))
    assert [op.name for op in ops].count("pit.mark") == 2
    assert len(ops[-1].operands) == 2


def test_survives_an_exported_program() -> None:
    example = (torch.randn(4, 8), torch.ones(4, 1, dtype=torch.bool))
    model = Marked()
    program = torch.export.export(model, example, strict=False)
    torch.testing.assert_close(program.module()(*example), model(*example))
    module = import_model(program, context=make_context()).module
    assert "pit.mark" in str(module)


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (torch.ones(4, 1), "mask holds torch.float32, expected bool or integers"),
        (torch.ones(3, 1, dtype=torch.bool), r"mask of shape \[3, 1\] does not broadcast to \[4, 8\]"),
        (torch.ones(1, 4, 1, dtype=torch.bool), "does not broadcast"),
    ],
)
def test_mask_that_does_not_fit(mask: Tensor, message: str) -> None:
    with pytest.raises(InputError, match=message):
        mark(torch.ones(4, 8), mask)
