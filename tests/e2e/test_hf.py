"""The drop-ins for `transformers`, against its own eager implementations in double precision."""

import copy
import gc
import pickle
import sys
import weakref
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hf_models import EXPERTS, FAMILIES, prompt, tiny, use
from torch import nn
from torch.nn import functional
from transformers.integrations.finegrained_fp8 import FP8ExpertsInterface
from transformers.integrations.moe import use_experts_implementation

import pit_mlir as pit
from pit_mlir import hf
from pit_mlir.hf.attention import attention_forward
from pit_mlir.hf.interfaces import register
from pit_mlir.hf.programs import is_traced

pytestmark = pytest.mark.usefixtures("inference")


@pytest.fixture(scope="module")
def alive() -> dict[str, Any]:
    """Models that keep their programs alive: others of their forms find them compiled."""
    return {family: use(tiny(family), "pit") for family in FAMILIES}


@pytest.fixture
def mixtral(alive: dict[str, Any]) -> Any:
    """A mixture of experts that computed something."""
    alive["mixtral"](**prompt(2, 9, 3))
    return alive["mixtral"]


def logits(model: Any, **inputs: Any) -> torch.Tensor:
    """The answers at tokens that are not masked."""
    answer = model(**inputs, use_cache=False).logits
    return answer[inputs["attention_mask"].bool()]


def exact(model: Any, **inputs: Any) -> torch.Tensor:
    """The same by the eager implementations, in double precision where they can.

    A query that sees no key is a row of NaN there: the lowest number in double precision is -inf for their softmax.
    """
    precision = torch.float64 if inputs["attention_mask"].all() else torch.float32
    return logits(use(copy.deepcopy(model).to(precision), "eager"), **inputs)


def assert_close(model: Any, tolerance: float = 1e-5, **inputs: Any) -> None:
    expected = exact(model, **inputs)
    error = (logits(model, **inputs).double() - expected).abs().max()
    assert error <= tolerance * expected.abs().max().clamp(min=1)


@pytest.mark.parametrize("family", FAMILIES)
def test_answers_are_those_of_the_eager_model(alive: dict[str, Any], family: str) -> None:
    """Padded on the left, by all but one token among others."""
    for rows, length, padded in ((2, 9, 3), (3, 33, 32)):
        assert_close(alive[family], **prompt(rows, length, padded))
    kinds = {name.rpartition(".")[2] for name in hf.programs(alive[family])}
    assert kinds == ({"self_attn", "experts"} if family in EXPERTS else {"self_attn"})


def test_masks_that_are_left_out(mixtral: Any) -> None:
    """Without padding there is no mask: more than one token is causal, one is not."""
    for rows, length in ((1, 1), (1, 7), (3, 127), (2, 1)):
        assert_close(mixtral, **prompt(rows, length))


def test_generated_tokens_are_those_of_the_eager_model(alive: dict[str, Any]) -> None:
    """A prompt at once, then token by token with a cache; the README does so with a Mixtral."""
    model, inputs = copy.deepcopy(alive["gpt_oss"]), prompt(2, 7, 2)
    tokens = model.generate(**inputs, max_new_tokens=8, do_sample=False)
    assert torch.equal(tokens, use(model, "eager").generate(**inputs, max_new_tokens=8, do_sample=False))


class Logits(nn.Module):
    """A model as a module of tensors."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        return self.model(input_ids, attention_mask=attention_mask, use_cache=False).logits


@pytest.mark.parametrize("family", EXPERTS)
def test_the_whole_model_compiled(family: str) -> None:
    """The definitions are part of the model's graph; experts are indexed, and there is no tensor of scores."""
    model = use(tiny(family, num_hidden_layers=1, layer_types=None), "pit")
    inputs = prompt(2, 9, 3)
    is_dynamic = family in ("mixtral", "gpt_oss")
    length = {1: torch.export.Dim("length", max=256)} if is_dynamic else None
    compiled = pit.compile(Logits(model).eval(), tuple(inputs.values()), dynamic_shapes=(length, length))
    for given in (inputs, prompt(2, 7, 2), prompt(2, 33)) if is_dynamic else (inputs, prompt(2, 9)):
        alive = given["attention_mask"].bool()
        expected = exact(model, **given)
        assert (compiled(*given.values())[alive] - expected).abs().max() <= 1e-5 * expected.abs().max()
    assert compiled.ir.count('"pit.attend"') == 1
    assert compiled.ir.count('combine = "add"') == 1
    assert "adds up what is live" in str(compiled.explain())
    assert not hf.programs(model)


def test_torch_compile(mixtral: Any) -> None:
    """The definitions trace as a whole; what runs them is another's."""
    inputs = prompt(2, 9, 3)
    traced = torch.compile(Logits(mixtral), backend="eager", fullgraph=True)
    expected = exact(mixtral, **inputs)
    ours = traced(*inputs.values())[inputs["attention_mask"].bool()]
    assert (ours - expected).abs().max() <= 1e-5 * expected.abs().max()
    torch._dynamo.reset()


def test_experts_compute_their_own_tokens_alone(mixtral: Any) -> None:
    """No tensor of experts x tokens x features; the weights of an expert that nobody chose may hold anything."""
    (compiled,) = hf.programs(mixtral)["model.layers.0.mlp.experts"]
    uses = [line for line in compiled.ir.splitlines() if "4x?x" in line and "tensor.empty" not in line]
    assert not uses, uses[0]
    experts = copy.deepcopy(mixtral.model.layers[0].mlp.experts)
    tokens, index, weights = torch.randn(7, 32), torch.randint(2, (7, 2)), torch.rand(7, 2)
    expected = experts(tokens, index, weights)
    for parameter in experts.parameters():
        parameter[2:] = float("nan")
    assert torch.equal(experts(tokens, index, weights), expected)
    # A number that no expert has is no expert: expert parallelism sends there what others compute.
    absent = torch.full_like(index, 4)
    assert not experts(tokens, absent, weights).any()


@use_experts_implementation(has_gate=False, is_transposed=True, has_bias=True, has_post_expert_norm=True)
class Normalised(nn.Module):
    """Experts without a gate, with biases, an activation that has weights, and a norm of their outputs."""

    def __init__(self, config: Any, experts: int = 3) -> None:
        super().__init__()
        self.num_experts = experts
        self.up_proj, self.down_proj = (
            nn.Parameter(torch.randn(experts, *shape)) for shape in ((8, 12), (12, 8))
        )
        self.up_proj_bias, self.down_proj_bias = (nn.Parameter(torch.randn(experts, d)) for d in (12, 8))
        self.act_fn, self.post_expert_norm = nn.PReLU(), nn.LayerNorm(8)

    def forward(self, tokens: torch.Tensor, index: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        out = torch.zeros_like(tokens)
        for token, (chosen, shares) in enumerate(zip(index.tolist(), weights, strict=True)):
            for expert, share in zip(chosen, shares, strict=True):
                hidden = self.act_fn(tokens[token] @ self.up_proj[expert] + self.up_proj_bias[expert])
                result = hidden @ self.down_proj[expert] + self.down_proj_bias[expert]
                out[token] += share * self.post_expert_norm(result)
        return out


def test_other_experts() -> None:
    """Whatever `ExpertsInterface` can hold; all tensors of the module are live, those of its parts too."""
    config = SimpleNamespace(_experts_implementation="pit")
    experts = Normalised(config).eval()
    for tokens in (7, 1, 33):
        routed = torch.randn(tokens, 8), torch.randint(3, (tokens, 2)), torch.rand(tokens, 2)
        config._experts_implementation = "eager"
        expected = copy.deepcopy(experts).double()(routed[0].double(), routed[1], routed[2].double())
        config._experts_implementation = "pit"
        torch.testing.assert_close(experts(*routed).double(), expected, rtol=1e-4, atol=1e-4)
        experts.act_fn.weight.mul_(3.0)
    ((compiled,),) = hf.programs(experts).values()
    assert 'combine = "add"' in compiled.ir


def test_quantised_experts_are_refused() -> None:
    experts = FP8ExpertsInterface().get_interface("pit", None)
    with pytest.raises(pit.UnsupportedError, match="Linear: quantised experts are not built"):
        experts(nn.Linear(1, 1), torch.zeros(1, 1))


def test_empty_batches(mixtral: Any) -> None:
    experts = mixtral.model.layers[0].mlp.experts
    none = experts(torch.zeros(0, 32), torch.zeros(0, 2, dtype=torch.int64), torch.zeros(0, 2))
    assert none.shape == (0, 32)


def test_bfloat16() -> None:
    """As near to exact numbers as the eager model in bf16 is."""
    model = use(tiny("mixtral", num_hidden_layers=1), "pit").bfloat16()
    # The choice of experts is torch's in both, by numbers that differ in the last bit: let all be chosen.
    model.model.layers[0].mlp.gate.top_k = 4
    inputs = prompt(2, 9, 3)
    expected = exact(model, **inputs)
    ours = (logits(model, **inputs) - expected).abs().max()
    theirs = (logits(use(model, "eager"), **inputs) - expected).abs().max()
    assert ours <= 1.5 * theirs + 1e-3 * expected.abs().max()


def test_weights_are_live(mixtral: Any) -> None:
    """Updates in place, new tensors and loaded states are seen by the next call, which compiles nothing."""
    model = copy.deepcopy(mixtral)
    inputs = prompt(1, 7)
    before = logits(model, **inputs)
    experts = model.model.layers[0].mlp.experts
    experts.down_proj.mul_(2.0)
    assert not torch.equal(logits(model, **inputs), before)
    assert_close(model, **inputs)
    experts.gate_up_proj = nn.Parameter(torch.randn_like(experts.gate_up_proj))
    assert_close(model, **inputs)
    model.load_state_dict(mixtral.state_dict())
    assert torch.equal(logits(model, **inputs), before)
    assert (
        hf.programs(model)["model.layers.0.mlp.experts"] == hf.programs(mixtral)["model.layers.0.mlp.experts"]
    )


def test_settings_that_change_are_seen(alive: dict[str, Any]) -> None:
    """A number that the activation reads is part of the form."""
    experts = copy.deepcopy(alive["gpt_oss"].model.layers[0].mlp.experts)
    routed = torch.randn(7, 32), torch.randint(4, (7, 4)), torch.rand(7, 4)
    for experts.limit in (7.0, 0.01, 7.0):
        expected = type(experts).forward.__wrapped__(experts, *routed)
        torch.testing.assert_close(experts(*routed), expected, rtol=1e-4, atol=1e-5)
    ((*compiled,),) = hf.programs(experts).values()
    assert len(compiled) == 2


def test_copies_and_pickles(mixtral: Any) -> None:
    """A model stays a model of transformers: nothing of ours is in it. The program of its form serves the copies."""
    inputs = prompt(2, 9, 3)
    expected = logits(mixtral, **inputs)
    for model in (copy.deepcopy(mixtral), pickle.loads(pickle.dumps(mixtral))):
        assert not hf.programs(model)
        assert torch.equal(logits(model, **inputs), expected)
        for name, compiled in hf.programs(model).items():
            assert compiled and set(compiled) <= set(hf.programs(mixtral)[name])


def answers_of_threads(model: Any, inputs: list[dict[str, torch.Tensor]]) -> list[torch.Tensor]:
    """The answers to `inputs`, each asked for by a thread of its own."""

    def run(given: dict[str, torch.Tensor]) -> torch.Tensor:
        with torch.no_grad():
            return logits(model, **given)

    with ThreadPoolExecutor(len(inputs)) as pool:
        return list(pool.map(run, inputs))


def test_many_threads() -> None:
    """Threads that ask for one form at a time get one program, which goes with its model."""
    model = use(tiny("mixtral", num_hidden_layers=1, num_local_experts=5), "pit")
    model.set_attn_implementation("eager")
    inputs = [prompt(1, 3 + length) for length in range(4)]
    for given, answer in zip(inputs, answers_of_threads(model, inputs), strict=True):
        expected = exact(model, **given)
        assert (answer - expected).abs().max() <= 1e-5 * expected.abs().max()
    ((compiled,),) = hf.programs(model).values()
    gone = weakref.ref(compiled)
    del compiled, model
    gc.collect()
    assert gone() is None


def test_threads_while_one_compiles() -> None:
    """They see the weights of the experts, not what stands for them in the export, and are not taken for traced."""
    experts = (
        use(tiny("mixtral", num_hidden_layers=1, num_local_experts=3), "pit").model.layers[0].mlp.experts
    )
    seen: list[Any] = []

    def look() -> tuple[bool, set[type]]:
        return is_traced(), {type(weight) for weight in experts.parameters()}

    class Meanwhile(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            with ThreadPoolExecutor(1) as pool:
                seen.append(pool.submit(look).result())
            return functional.silu(x)

    experts.act_fn = Meanwhile()
    experts(torch.randn(7, 32), torch.randint(3, (7, 2)), torch.rand(7, 2))
    assert seen and all(found == (False, {nn.Parameter}) for found in seen)


def test_back_to_eager(mixtral: Any) -> None:
    model, inputs = copy.deepcopy(mixtral), prompt(2, 9)
    assert torch.equal(logits(use(model, "eager"), **inputs), logits(use(tiny("mixtral"), "eager"), **inputs))


@pytest.mark.parametrize("kv_heads", [1, 2, 4])
@pytest.mark.parametrize("mask", [None, "bool", "float", "causal"])
def test_the_definition_of_attention(kv_heads: int, mask: str | None) -> None:
    """`attend` is torch's own attention, for any grouping and mask; queries that see nothing give 0."""
    query, key, value = (
        torch.randn(2, 4, 5, 8),
        torch.randn(2, kv_heads, 7, 8),
        torch.randn(2, kv_heads, 7, 6),
    )
    given = {"bool": torch.rand(2, 1, 5, 7) < 0.3, "float": torch.randn(1, 4, 5, 7)}.get(mask or "")
    expected = functional.scaled_dot_product_attention(
        query, key, value, given, scale=0.3, is_causal=mask == "causal", enable_gqa=True
    )
    actual = hf.attend(query, key, value, given, scaling=0.3, is_causal=mask == "causal")
    torch.testing.assert_close(actual, expected.transpose(1, 2))


def test_sinks_and_biases() -> None:
    """A sink is one more score; a bias is added to scores that a mask then hides."""
    query, key, value = (torch.randn(2, 2, 5, 8) for _ in range(3))
    seen, bias, sinks = torch.rand(2, 1, 5, 5) < 0.5, torch.randn(1, 2, 5, 5), torch.randn(2)
    scores = (query @ key.mT * 0.5 + bias).masked_fill(~seen, -torch.inf)
    scores = torch.cat([scores, sinks[None, :, None, None].expand(2, 2, 5, 1)], -1)
    expected = (scores.softmax(-1)[..., :-1] @ value).transpose(1, 2)
    torch.testing.assert_close(hf.attend(query, key, value, seen, bias, sinks, scaling=0.5), expected)


def test_masks_that_transformers_did_not_make() -> None:
    """Additive masks and biases for each head, in one program for any sizes."""
    module = nn.Module()
    for batch, queries, keys in ((2, 5, 7), (1, 1, 1), (1, 33, 9), (3, 1, 40)):
        query, key, value = (
            torch.randn(batch, length, 4, 8).transpose(1, 2) for length in (queries, keys, keys)
        )
        mask = torch.where(torch.rand(batch, 1, queries, keys) < 0.5, 0.0, -torch.inf)
        bias = torch.randn(1, 4, queries, keys)
        actual, _ = attention_forward(module, query, key, value, mask, position_bias=bias)
        expected = functional.scaled_dot_product_attention(query, key, value, mask + bias)
        torch.testing.assert_close(actual, expected.transpose(1, 2), rtol=1e-4, atol=1e-5)


def test_gradients_are_refused(mixtral: Any) -> None:
    with (
        torch.enable_grad(),
        pytest.raises(pit.InputError, match=r"MixtralAttention: .* no gradients; call the model under"),
    ):
        mixtral(**prompt(1, 5))
    mixtral.set_attn_implementation("sdpa")
    with torch.enable_grad(), pytest.raises(pit.InputError, match=r"MixtralExperts: .* no gradients"):
        mixtral(**prompt(1, 5))
    mixtral.set_attn_implementation("pit")


class Undecided(nn.Module):
    """An activation that torch.export cannot write down: what it does depends on values."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x if x.sum() > 0 else -x


def test_what_is_not_covered_is_named(mixtral: Any) -> None:
    experts = copy.deepcopy(mixtral.model.layers[0].mlp.experts)
    routed = torch.zeros(3, 32), torch.zeros(3, 2, dtype=torch.int64), torch.zeros(3, 2)
    with pytest.raises(pit.InputError, match=r"expected \(tokens, features\)"):
        experts(routed[0][None], *routed[1:])
    meta = copy.deepcopy(experts).to("meta")
    with pytest.raises(pit.UnsupportedError, match="on meta; programs run on the CPU"):
        meta(*(tensor.to("meta") for tensor in routed))
    with pytest.raises(pit.UnsupportedError, match=r"holds torch.float8_e4m3fn"):
        experts(routed[0].to(torch.float8_e4m3fn), *routed[1:])
    experts.act_fn = Undecided()
    with pytest.raises(pit.UnsupportedError, match=r"torch.export cannot export"):
        experts(*routed)

    q = torch.zeros(1, 2, 3, 4)
    module = nn.Module()
    with pytest.raises(pit.UnsupportedError, match=r"dropout = 0.1"):
        attention_forward(module, q, q, q, None, dropout=0.1)
    with pytest.raises(pit.UnsupportedError, match="output_attentions"):
        attention_forward(module, q, q, q, None, output_attentions=True)
    with pytest.raises(pit.UnsupportedError, match="paged cache"):
        attention_forward(module, q, q, q, None, cache=object())
    with pytest.raises(pit.InputError, match="expected 4 dimensions"):
        attention_forward(module, q, q, q, torch.ones(3, 3))


def test_without_transformers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both an `ImportError` and a `PitError`, which says what to install."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "transformers"]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r"pip install 'pit-mlir\[hf\]'") as caught:
        register()
    assert isinstance(caught.value, pit.PitError)
