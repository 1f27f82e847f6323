"""What surrounds a call: torch's modes, containers of all kinds, uint8, models that change, errors that are kept."""

import dataclasses
import gc
import io
from collections import OrderedDict, namedtuple
from collections.abc import Callable
from typing import Any

import pytest
import torch
import transformers
from targets import small
from torch import Tensor, nn

import pit_mlir as pit
from pit_mlir.bindings import live_contexts

X = torch.randn(2, 4)


def tiny() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 4), nn.ReLU()).eval()


class Apply(nn.Module):
    """A model that applies a function."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)


def test_modes_of_torch() -> None:
    model = tiny()
    expected = model(X).detach()
    with torch.inference_mode():
        made_inside = pit.compile(model, (X,))
        assert torch.equal(made_inside(X), made_inside(X.clone()))
    given = made_inside(X)
    assert not given.requires_grad
    torch.testing.assert_close(given, expected)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert pit.compile(model, (X,))(X).dtype is torch.bfloat16
    torch.set_default_dtype(torch.float64)
    try:
        torch.testing.assert_close(pit.compile(model, (X,))(X), expected)
    finally:
        torch.set_default_dtype(torch.float32)


def test_model_may_be_freed() -> None:
    model = tiny()
    fast, expected = pit.compile(model, (X,)), model(X).detach()
    del model
    gc.collect()
    torch.testing.assert_close(fast(X), expected)


def test_models_on_other_devices() -> None:
    mixed = tiny()
    mixed[0].bias = nn.Parameter(torch.zeros(4, device="meta"))
    for model, x in ((tiny().to("meta"), X), (tiny().to("meta"), X.to("meta")), (mixed, X)):
        with pytest.raises(pit.PitError, match="meta"):
            pit.compile(model, (x,))


CHANGES: dict[str, tuple[Callable[[nn.Sequential], Any], str]] = {
    "device": (lambda model: model.to("meta"), "on meta"),
    "dtype": (lambda model: model.double(), "float64"),
    "other module": (lambda model: model.__setitem__(0, nn.ReLU()), "0.weight"),
    "no module": (lambda model: model.__delitem__(0), "1 modules, 2 when"),
    "more modules": (lambda model: model.append(nn.Linear(4, 4)), "3 modules, 2 when"),
    "no bias": (lambda model: setattr(model[0], "bias", None), "0.bias"),
}


@pytest.mark.parametrize("change, message", CHANGES.values(), ids=CHANGES.keys())
def test_model_that_changed(change: Callable[[nn.Sequential], Any], message: str) -> None:
    model = tiny()
    fast = pit.compile(model, (X,))
    fast(X)
    change(model)
    with pytest.raises(pit.InputError, match=message):
        fast(X)


def test_transposed_weight_in_place() -> None:
    model = tiny()
    fast = pit.compile(model, (X,))
    fast(X)
    model[0].weight.data.t_()
    torch.testing.assert_close(fast(X), model(X).detach())


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((lambda x: x * 2, (X,)), "<lambda>.*put a function into a module"),
        ((nn.ReLU, (X,)), "type ReLU"),
        ((None, (X,)), "NoneType"),
        ((tiny(), X), r"args is a Tensor.*\(x,\)"),
        ((tiny(), (X,), [1]), "kwargs is a list"),
        ((tiny(), ()), "missing a required argument"),
    ],
)
def test_wrong_arguments_of_compile(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(pit.PitError, match=message):
        pit.compile(*arguments)


def test_wrong_options_of_compile() -> None:
    for options in ({"sparsity": "attention_mask"}, {"options": {"freeze": True}}, {"target": 3}):
        with pytest.raises(pit.InputError, match="expected"):
            pit.compile(tiny(), (X,), **options)


Pair = namedtuple("Pair", "a b")


def test_containers() -> None:
    nested = pit.compile(
        Apply(lambda d: {"a": [d["q"][0] + 1, (d["p"] * 2,)], "b": d["q"][1]}), ({"q": [X, -X], "p": X},)
    )
    given = nested({"p": 3 * X, "q": [X, -X]})
    assert torch.equal(given["a"][1][0], 6 * X) and torch.equal(given["a"][0], X + 1)
    with pytest.raises(pit.InputError, match="structure"):
        nested({"p": X, "q": [X]})
    pair = pit.compile(Apply(lambda p: Pair(p.a + 1, OrderedDict(z=p.b * 2))), (Pair(X, X),))(Pair(X, 2 * X))
    assert isinstance(pair, Pair) and torch.equal(pair.b["z"], 4 * X)
    keywords = pit.compile(Apply(lambda *, a, b: a - b), (), {"b": X, "a": X})
    assert torch.equal(keywords(a=2 * X, b=X), X)
    several = pit.compile(Apply(lambda *xs, z: sum(xs) + z), (X, X), {"z": X})
    torch.testing.assert_close(several(X, X, z=X), 3 * X)


def test_example_with_one_tensor_twice() -> None:
    model, y, w = tiny(), torch.randn(2, 4), torch.randn(4, 4)
    fast = pit.compile(Apply(lambda x, y: x - y), (X, X))
    assert torch.equal(fast(X, y), X - y)
    model.forward = lambda x, w: (x @ model[0].weight, w * 2)
    given = pit.compile(model, (X, model[0].weight))(X, w)
    torch.testing.assert_close(given, (X @ model[0].weight.detach(), w * 2))


def test_no_arguments() -> None:
    model = tiny()
    model.forward = lambda: model[0].weight * 2
    torch.testing.assert_close(pit.compile(model)(), model[0].weight.detach() * 2)


@dataclasses.dataclass
class Answer:
    value: Tensor


def test_unknown_container() -> None:
    with pytest.raises(pit.UnsupportedError, match="Answer"):
        pit.compile(Apply(lambda x: Answer(x + 1)), (X,))


def bert() -> tuple[nn.Module, Tensor]:
    config = transformers.BertConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, vocab_size=30
    )
    return transformers.BertModel(config).eval(), torch.randint(0, 30, (2, 5))


def test_answer_of_transformers() -> None:
    model, ids = bert()
    with torch.no_grad():
        expected = model(input_ids=ids)
        backend = torch.compile(model, backend="pit", dynamic=False)(input_ids=ids)
    for given in (pit.compile(model, (), {"input_ids": ids})(input_ids=ids), backend):
        assert type(given) is type(expected) and list(given) == list(expected)
        torch.testing.assert_close(given.last_hidden_state, expected.last_hidden_state, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(given.pooler_output, expected.pooler_output, rtol=1e-4, atol=1e-5)


def test_exported_program_that_was_saved() -> None:
    model, file = tiny(), io.BytesIO()
    torch.export.save(torch.export.export(model, (X,)), file)
    file.seek(0)
    torch.testing.assert_close(pit.compile(torch.export.load(file))(X), model(X).detach())


def bad(x: Tensor) -> Tensor:
    return torch.special.bessel_j0(x)


def test_kept_error_keeps_no_context() -> None:
    kept: list[BaseException] = []
    for source in (
        (Apply(bad), (X,)),
        (tiny(), (X.to(torch.complex64),)),
        ("func.func @main(%a: f32)",),
        (tiny(),),
    ):
        with pytest.raises(pit.PitError) as caught:
            pit.compile(*source)
        kept.append(caught.value)
        assert live_contexts() == 0
    assert len(kept) == 4


@pytest.mark.parametrize("phase", ["importing", "pit-normalize", "generating code", "done"])
def test_interrupted(phase: str) -> None:
    def stop(name: str, _done: int, _total: int) -> None:
        if name == phase:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        pit.compile(tiny(), (X,), options=pit.CompileOptions(progress=stop))
    gc.collect()
    assert live_contexts() == 0 and caught.value is not None
    pit.compile(tiny(), (X,))(X)


NARROW: dict[str, Callable[..., Any]] = {
    "number": lambda x, y: x * 2 + 1,
    "less one": lambda x, y: (x - 1, 1 - x, x // 2, x % 3),
    "two": lambda x, y: (x + y, x - y, x * y, torch.maximum(x, y), x > y, x & y, x >> 1),
    "divisions": lambda x, y: (x / (y | 1), x // (y | 1), x % (y | 1)),
    "reductions": lambda x, y: (x.sum(), x.max(), x.min(0), x.amax(1), x.float().mean(), x.argmax()),
    "same type": lambda x, y: (x.sum(0, dtype=x.dtype), x.cumsum(1), x @ y.T),
    "casts": lambda x, y: (x.float(), x.long(), x.to(torch.uint8), x.to(torch.int8), x.short(), x.bool()),
    "mixed": lambda x, y: (x + y.long(), x * y.float(), x * 1.5, x + y.to(torch.int8)),
    "moves": lambda x, y: (
        torch.cat([x, y]),
        x.T.contiguous(),
        x[1:],
        torch.where(x > y, x, y),
        x.clone(),
    ),
    # Which of equal values topk takes is its own choice.
    "index": lambda x, y: (x[torch.tensor([1, 0])], x.gather(0, (y % 2).long()), x.sort(1), x.topk(2).values),
}


@pytest.mark.parametrize("function", NARROW.values(), ids=NARROW.keys())
@pytest.mark.parametrize("dtype", small([torch.int8, torch.uint8], [torch.uint8]), ids=str)
def test_narrow_integers(function: Callable[..., Any], dtype: torch.dtype) -> None:
    x, y = (torch.randint(-128, 256, (3, 7)).to(dtype) for _ in range(2))
    given, expected = (run(x, y) for run in (pit.compile(Apply(function), (x, y)), function))
    torch.testing.assert_close(given, expected)


def test_uint8_is_written_back() -> None:
    model = tiny()
    model.register_buffer("count", torch.full((4,), 250, dtype=torch.uint8))

    def step(x: Tensor) -> Tensor:
        model.count += 3
        return x + model.count

    model.forward = step
    torch.testing.assert_close(pit.compile(model, (X,))(X), X + 253)
    assert model.count.tolist() == [253] * 4


def test_unsigned_types_of_mlir() -> None:
    with pytest.raises(pit.UnsupportedError, match=r"ui8.*expected.*i8"):
        pit.compile("func.func @main(%a: tensor<4xui8>) -> tensor<4xui8> { return %a : tensor<4xui8> }")


PRECISE: dict[str, Callable[[Tensor], Tensor]] = {
    name: getattr(nn.functional, name)
    for name in "gelu silu elu celu selu mish softplus hardswish hardsigmoid logsigmoid softsign".split()
} | {
    "gelu tanh": lambda x: nn.functional.gelu(x, approximate="tanh"),
    "asinh": torch.asinh,
    "expm1": torch.expm1,
    "logsumexp": lambda x: x.logsumexp(-1),
    "std": lambda x: (x + 100).std(-1),
    "group_norm": lambda x: nn.functional.group_norm(x[:, :4000].reshape(2, 8, 250), 4),
}


@pytest.mark.parametrize("name", small(list(PRECISE), ["gelu", "softplus", "expm1", "std", "group_norm"]))
def test_precision(name: str) -> None:
    function = PRECISE[name]
    x = torch.linspace(-9, 9, 4001)[None]
    expected = function(x.double())
    error = (pit.compile(Apply(function), (x,))(x) - expected).abs()
    assert float(error.max()) < 5e-7 * max(1.0, float(expected.abs().max()))


def test_special_values() -> None:
    x = torch.tensor([0.0, -0.0, float("inf"), float("-inf"), float("nan"), 1e30, -1e30, 1e-30])
    for function in (torch.reciprocal, nn.functional.elu, torch.asinh):
        torch.testing.assert_close(pit.compile(Apply(function), (x,))(x), function(x), equal_nan=True)


def test_truth_values() -> None:
    x = torch.rand(5, 7) > 0.8
    fast = pit.compile(Apply(lambda x: (x**2, x.sum(1, dtype=torch.bool), x.sum(dtype=torch.bool))), (x,))
    torch.testing.assert_close(fast(x), (x**2, x.sum(1, dtype=torch.bool), x.sum(dtype=torch.bool)))


@pytest.mark.filterwarnings("ignore:.*degrees of freedom")
@pytest.mark.parametrize("shape", [(), (0, 7), (5, 0)], ids=str)
def test_empty_and_scalar_tensors(shape: tuple[int, ...]) -> None:
    functions: list[Callable[[Tensor], Any]] = [
        lambda x: (x.view(-1), x.clone(), x * 2, x.sum(), x.mean()),
        lambda x: x.transpose(0, -1).reshape(-1),
        lambda x: (x.std(-1), x.var(-1, correction=0), x.softmax(-1)),
    ]
    for function in functions:
        x = torch.randn(shape)
        torch.testing.assert_close(pit.compile(Apply(function), (x,))(x), function(x), equal_nan=True)


def test_dynamic_size_of_zero() -> None:
    batch, length = torch.export.Dim("batch", min=0, max=64), torch.export.Dim("length", min=0, max=64)
    model = nn.Linear(4, 6)

    class Heads(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            b, t, d = x.shape
            return (
                nn.functional.linear(x.view(b * t, d), model.weight)
                .view(b, t, 2, 3)
                .transpose(1, 2)
                .reshape(b, 2, -1)
            )

    fast = pit.compile(Heads(), (torch.randn(2, 3, 4),), dynamic_shapes=({0: batch, 1: length},))
    for b, t in ((0, 3), (2, 0), (0, 0), (2, 5)):
        expected = nn.functional.linear(torch.ones(b, t, 4), model.weight).view(b, t, 2, 3).transpose(1, 2)
        torch.testing.assert_close(fast(torch.ones(b, t, 4)), expected.reshape(b, 2, t * 3).detach())
