"""Weights are read from the model at each call, whatever was done to it in between."""

from collections.abc import Callable
from typing import Any

import numpy
import pytest
import torch
from torch import Tensor, nn

from pit_mlir.dialect import make_context
from pit_mlir.errors import InputError
from pit_mlir.frontend.signature import ArgumentOutput, ImportedModel, ResultOutput, WriteBack
from pit_mlir.frontend.torch_import import import_model


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.block = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
        self.register_buffer("scale", torch.ones(4))
        self.register_buffer("shift", torch.zeros(4), persistent=False)
        self.plain = torch.ones(4)

    def forward(self, x: Tensor) -> Tensor:
        return self.block(x) * self.scale + self.shift + self.plain + torch.tensor([1.0, 2.0, 3.0, 4.0])


def imported_net() -> tuple[Net, ImportedModel]:
    net = Net().eval()
    return net, import_model(net, (torch.zeros(2, 4),), context=make_context())


def weights(imported: ImportedModel) -> dict[str, Tensor]:
    names = [a.name for a in imported.interface.arguments if a.kind == "weight"]
    return dict(zip(names, imported.weights.read(), strict=True))


def step(net: Net) -> None:
    optimizer = torch.optim.SGD(net.parameters(), lr=0.5)
    net.block[0](torch.ones(2, 4)).sum().backward()
    optimizer.step()


def load(net: Net, assign: bool) -> None:
    net.load_state_dict({name: value + 1 for name, value in net.state_dict().items()}, assign=assign)


def set_data(net: Net) -> None:
    net.block[0].weight.data = torch.full((4, 4), 7.0)


def write_numpy(net: Net) -> None:
    numpy.asarray(net.block[0].weight.detach())[:] = 3.0


def replace_module(net: Net) -> None:
    net.block[0] = nn.Linear(4, 4)


def replace_parameter(net: Net) -> None:
    net.block[0].weight = nn.Parameter(torch.full((4, 4), 5.0))


CHANGES: dict[str, Callable[[Net], Any]] = {
    "optimizer": step,
    "load": lambda net: load(net, assign=False),
    "assign": lambda net: load(net, assign=True),
    "copy": lambda net: net.block[0].weight.data.copy_(torch.ones(4, 4)),
    "data": set_data,
    "mask": lambda net: net.block[0].weight.data.mul_(torch.eye(4)),
    "numpy": write_numpy,
    "module": replace_module,
    "parameter": replace_parameter,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_change_is_seen(change: Callable[[Net], Any]) -> None:
    net, imported = imported_net()
    before = weights(imported)["block.0.weight"].clone()
    change(net)
    read = weights(imported)
    assert not torch.equal(read["block.0.weight"], before)
    assert read["block.0.weight"] is net.block[0].weight
    assert read["block.0.bias"] is net.block[0].bias


def test_buffers_and_attributes_are_seen() -> None:
    net, imported = imported_net()
    assert {"scale", "shift", "plain"} <= weights(imported).keys()
    net.scale = torch.full((4,), 2.0)
    net.shift = torch.full((4,), 3.0)
    net.plain = torch.full((4,), 4.0)
    read = weights(imported)
    assert [read[name][0].item() for name in ("scale", "shift", "plain")] == [2.0, 3.0, 4.0]


def test_constants_of_forward_are_held() -> None:
    _, imported = imported_net()
    held = [t for name, t in weights(imported).items() if name.startswith("lifted")]
    assert len(held) == 1 and torch.equal(held[0], torch.tensor([1.0, 2.0, 3.0, 4.0]))


def test_weight_that_is_gone_is_named() -> None:
    net, imported = imported_net()
    del net.block[0].weight
    with pytest.raises(InputError, match=r"weight 'block\.0\.weight' is NoneType"):
        imported.weights.read()


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(10, 4)
        self.head = nn.Linear(4, 10, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(self.embed(ids))


def test_tied_weights_must_stay_tied() -> None:
    net = Tied()
    imported = import_model(net, (torch.tensor([1, 2]),), context=make_context())
    assert len(weights(imported)) == 1
    net.embed.weight.data = torch.ones(10, 4)
    assert next(iter(weights(imported).values())) is net.embed.weight
    net.load_state_dict(net.state_dict(), assign=True)
    imported.weights.read()
    net.embed.weight = nn.Parameter(torch.zeros(10, 4))
    with pytest.raises(InputError, match="were one tensor when the model was compiled"):
        imported.weights.read()


def test_mutated_buffer_is_written_back() -> None:
    class Counter(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("count", torch.zeros(()))

        def forward(self, x: Tensor) -> Tensor:
            self.count += 1
            return x * self.count

    imported = import_model(Counter(), (torch.ones(3),), context=make_context())
    assert imported.interface.argument_names == ["count", "x"]
    assert imported.interface.write_backs == (WriteBack(ResultOutput(0), 0),)
    assert imported.interface.outputs == (ResultOutput(1),)


def test_mutated_input_is_written_back() -> None:
    class Double(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            x.mul_(2)
            return x + 1

    imported = import_model(Double(), (torch.ones(3),), context=make_context())
    assert imported.interface.write_backs == (WriteBack(ResultOutput(0), 0),)
    assert imported.interface.outputs == (ResultOutput(1),)


def test_outputs_that_are_arguments() -> None:
    class Through(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(3))

        def forward(self, x: Tensor) -> dict[str, Any]:
            y = x + 1
            return {
                "x": x,
                "copy": x.clone(),
                "weight": self.weight,
                "y": y,
                "again": y,
                "n": 3,
                "none": None,
            }

    imported = import_model(Through(), (torch.ones(3),), context=make_context())
    x, copy, weight, y, again, n, none = imported.interface.outputs
    assert (x, copy, weight) == (
        ArgumentOutput(1, copy=False),
        ArgumentOutput(1, copy=True),
        ArgumentOutput(0, copy=False),
    )
    assert y == again == ResultOutput(0)
    assert (n.value, none.value) == (3, None)
    assert imported.call.unflatten(list(range(7)))["again"] == 4
