"""What cannot be imported or called is said with the line of the model and the values involved."""

import re
from collections.abc import Callable
from typing import Any

import numpy
import pytest
import torch
from torch import Tensor, nn

from pit_mlir.dialect import make_context
from pit_mlir.errors import InputError, PitError, UnsupportedError
from pit_mlir.frontend.padding import Padding
from pit_mlir.frontend.signature import SizeOutput, bind_sizes
from pit_mlir.frontend.torch_import import import_model

THIS_FILE = re.escape(__file__)


class Wrap(nn.Module):
    """A model that applies a function."""

    def __init__(self, function: Callable[..., Any], *modules: nn.Module) -> None:
        super().__init__()
        self.function = function
        self.parts = nn.ModuleList(modules)

    def forward(self, x: Tensor) -> Any:
        return self.function(x, *self.parts)


def import_function(function: Callable[..., Any], *modules: nn.Module, train: bool = False) -> Any:
    model = Wrap(function, *modules).train(train)
    return import_model(model, (torch.randn(2, 4, 4),), context=make_context())


def branch(x: Tensor) -> Tensor:
    return x + 1 if x.sum() > 0 else x


def fail(x: Tensor) -> Tensor:
    raise ValueError("no such thing")


def test_data_dependent_branch_names_its_line() -> None:
    line = branch.__code__.co_firstlineno + 1
    with pytest.raises(UnsupportedError, match=f"{THIS_FILE}:{line}:0: torch.export cannot export"):
        import_function(branch)


def test_error_of_the_model_itself() -> None:
    with pytest.raises(UnsupportedError, match="ValueError: no such thing") as caught:
        import_function(fail)
    assert caught.value.location == f"{__file__}:{fail.__code__.co_firstlineno + 1}:0"


def test_place_from_the_data() -> None:
    with pytest.raises(UnsupportedError, match=r"aten\.select\.int takes a part .* without \.item\(\)"):
        import_function(lambda x: x[x.argmax().item()])


@pytest.mark.parametrize(
    "function",
    [
        lambda x: torch.linalg.eigh(x)[0],
        lambda x: torch.fft.fft(x).real,
        lambda x: torch.special.bessel_j0(x),
    ],
    ids=["eigh", "fft", "bessel"],
)
def test_unsupported_operator_names_operator_and_line(function: Callable[..., Any], capfd: Any) -> None:
    with pytest.raises(UnsupportedError, match="operator") as caught:
        import_function(function)
    # The exporter records the lines of `forward` methods, not of functions they call.
    assert caught.value.location == f"{__file__}:{Wrap.forward.__code__.co_firstlineno + 1}:0"
    output = capfd.readouterr()
    assert output.err == "" and output.out == ""


@pytest.mark.parametrize("function", [lambda x: x[x > 0], torch.nonzero, lambda x: torch.unique(x)])
def test_data_dependent_size(function: Callable[..., Any]) -> None:
    with pytest.raises(UnsupportedError, match="size depends on the data"):
        import_function(function)


def test_operator_with_effects() -> None:
    with pytest.raises(UnsupportedError, match="has effects besides its result"):
        import_function(torch.linalg.inv)


def test_failed_export_prints_nothing(capfd: Any) -> None:
    with pytest.raises(UnsupportedError):
        import_function(branch)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("module", [nn.Dropout(0.5), nn.BatchNorm1d(4)], ids=["dropout", "batch norm"])
def test_training_mode(module: nn.Module) -> None:
    with pytest.raises(InputError, match=r"call model\.eval\(\)") as caught:
        import_function(lambda x, part: part(x), module, train=True)
    assert caught.value.location is not None and THIS_FILE in re.escape(caught.value.location)
    import_function(lambda x, part: part(x), module)


def test_training_mode_without_effect_is_fine() -> None:
    import_function(lambda x, part: part(x), nn.Linear(4, 4), train=True)
    import_function(lambda x, part: part(x), nn.Dropout(0.0), train=True)


@pytest.mark.parametrize(
    "function", [torch.rand_like, torch.bernoulli, lambda x: torch.nn.functional.dropout(x, 0.1)]
)
def test_random_operators(function: Callable[..., Any]) -> None:
    with pytest.raises(InputError, match="random"):
        import_function(lambda x: function(x) + x)


def test_complex_input() -> None:
    with pytest.raises(UnsupportedError, match=r"'x' holds torch\.complex64"):
        import_model(Wrap(lambda x: x.real), (torch.zeros(2, dtype=torch.complex64),), context=make_context())


class Options(nn.Module):
    def forward(self, x: Tensor, scale: int = 2, *, flag: bool = True, extra: Tensor | None = None) -> Tensor:
        y = x * scale if flag else x
        return y if extra is None else y + extra


def test_calls_by_position_and_by_name() -> None:
    x = torch.ones(3)
    call = import_model(Options(), (x, 3), {"flag": True}, context=make_context()).call
    assert call.flatten((x, 3), {"flag": True}) == [x]
    assert call.flatten((x,), {"flag": True, "scale": 3}) == [x]
    assert call.flatten((), {"scale": 3, "x": x}) == [x]
    assert call.flatten((x, 3), {"extra": None}) == [x]


@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        ((0, 3), {}, "'x' is 0, compiled for a tensor"),
        ((1, 4), {"flag": True}, "'scale' is 4, compiled for 3"),
        ((1,), {"flag": True}, "'scale' is 2, compiled for 3"),
        ((1, 3), {"flag": False}, "'flag' is False, compiled for True"),
        ((1, 3.0), {}, "'scale' is 3.0, compiled for 3"),
        ((1, 3), {"other": 1}, "it has no 'other', it takes x, scale, flag, extra"),
        ((), {"other": 1}, "it has no 'other', it takes x, scale, flag, extra"),
        (
            (numpy.zeros((9, 99)), 3),
            {},
            "'x' is a numpy array of float64 and shape [9, 99], compiled for a tensor: ",
        ),
        (([1.0] * 999, 3), {}, "'x' is [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, ...], compiled for a tensor"),
        ((), {"scale": 3}, "missing a required argument: 'x'"),
        ((1, 3), {"extra": 5}, "'extra' is 5; the model was compiled without it"),
    ],
)
def test_calls_that_do_not_fit(args: tuple[Any, ...], kwargs: dict[str, Any], message: str) -> None:
    x = torch.ones(3)
    call = import_model(Options(), (x, 3), {"flag": True}, context=make_context()).call
    with pytest.raises(InputError, match=re.escape(message)):
        call.flatten(
            tuple(x if i == 0 and isinstance(a, int) and a == 1 else a for i, a in enumerate(args)), kwargs
        )


def test_more_by_name_than_compiled_for() -> None:
    class Keywords(nn.Module):
        def forward(self, x: Tensor, **more: Any) -> Tensor:
            return x + 1

    x = torch.ones(3)
    call = import_model(Keywords(), (x,), context=make_context()).call
    with pytest.raises(InputError, match="'other' is 1; the model was compiled without it"):
        call.flatten((x,), {"other": 1})


def test_structure_that_does_not_fit() -> None:
    class Pair(nn.Module):
        def forward(self, pair: tuple[Tensor, dict[str, Tensor]]) -> list[Tensor]:
            return [pair[0] + pair[1]["b"]]

    x = torch.ones(2)
    call = import_model(Pair(), ((x, {"b": x}),), context=make_context()).call
    assert len(call.flatten(((x, {"b": x}),), {})) == 2
    assert call.unflatten([x]) == [x]
    with pytest.raises(InputError, match="structure"):
        call.flatten(((x, {"c": x}),), {})


def test_sizes_that_do_not_fit() -> None:
    batch = torch.export.Dim("batch", min=1, max=8)

    class Add(nn.Module):
        def forward(self, x: Tensor, y: Tensor, z: Tensor) -> tuple[Tensor, int]:
            return x + y[: x.shape[0]] + z[:1], x.shape[0]

    shapes = {"x": {0: batch}, "y": {0: 2 * batch}, "z": {0: batch}}
    example = (torch.ones(3, 4), torch.ones(6, 4), torch.ones(3, 4))
    imported = import_model(Add(), example, dynamic_shapes=shapes, context=make_context())
    assert [i.shape for i in imported.interface.inputs] == [("batch", 4), ("2*batch", 4), ("batch", 4)]
    assert imported.interface.outputs[1] == SizeOutput("batch")

    def bind(*given: tuple[int, ...]) -> dict[str, int]:
        return bind_sizes(imported.interface.inputs, given, imported.interface.symbols)

    assert bind((5, 4), (10, 4), (5, 4)) == {"batch": 5}
    for given, message in (
        (((5, 4), (10, 4), (5,)), "'z' has shape [5], compiled for rank 2: [batch, 4]"),
        (((5, 3), (10, 4), (5, 4)), "dimension 1 of 'x' is 3, compiled for 4"),
        (((9, 4), (18, 4), (9, 4)), "dimension 0 of 'x' is 9, compiled for batch in 1..8"),
        (
            ((5, 4), (10, 4), (6, 4)),
            "dimension 0 of 'z' is 6, compiled to equal dimension 0 of 'x', which is 5",
        ),
        (((5, 4), (11, 4), (5, 4)), "dimension 0 of 'y' is 11, compiled for 2*batch = 10"),
    ):
        with pytest.raises(InputError, match=re.escape(message)):
            bind(*given)


def test_padding_names_an_input() -> None:
    class Masked(nn.Module):
        def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
            return hidden * mask[..., None]

    example = (torch.ones(2, 3, 4), torch.ones(2, 3))
    arguments = import_model(Masked(), example, context=make_context()).interface.arguments
    assert Padding("mask").argument_number(arguments) == 1
    with pytest.raises(InputError, match="inputs are 'hidden', 'mask'"):
        Padding("attention_mask").argument_number(arguments)
    with pytest.raises(InputError, match=r"shape \[2, 3, 4\], expected \(batch, token\)"):
        Padding("hidden").argument_number(arguments)


def test_every_error_is_a_pit_error() -> None:
    with pytest.raises(PitError):
        import_model(Options(), (), context=make_context())
