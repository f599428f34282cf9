"""The tap: residuals and attention weights, held against those of transformers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from gptterm.engine.decoders.attention_step import Point
from gptterm.engine.decoders.kv_cache import KVCache
from gptterm.engine.decoders.native_decoder import NativeDecoder
from gptterm.engine.decoders.tap import AttentionWeights, Floats, attention_weights
from tests.engine import references
from tests.engine.checkpoints import ARCHITECTURES, NATIVE, draw_ids, load, make, save

IDS = draw_ids(40)


class Recorder:
    """A tap that keeps everything."""

    def __init__(self) -> None:
        self.residuals: dict[tuple[int, Point], Floats] = {}
        self.weights: dict[int, Floats] = {}

    def residual(self, layer: int, point: Point, x: Floats) -> None:
        self.residuals[layer, point] = x

    def attention(self, layer: int, weights: AttentionWeights) -> None:
        self.weights[layer] = weights()


@pytest.fixture(scope="module", params=NATIVE)
def model(request: pytest.FixtureRequest) -> Any:
    return make(ARCHITECTURES[request.param]())


@pytest.fixture
def decoder(model: Any, tmp_path: Path, backend: object) -> NativeDecoder:
    del backend
    decoder = load(save(model, tmp_path)).decoder
    assert isinstance(decoder, NativeDecoder)
    return decoder


def observe(decoder: NativeDecoder, cache: KVCache, ids: list[int]) -> Recorder:
    recorder = Recorder()
    decoder.observe(np.array([ids]), cache, recorder)
    return recorder


def test_residuals_and_attention_are_those_of_transformers(
    model: Any, decoder: NativeDecoder
) -> None:
    middle = residuals_after_attention(model)
    expected = references.observe(model, IDS)
    cache = decoder.new_cache()
    decoder.forward(np.array([IDS[:30]]), cache)
    found = observe(decoder, cache, IDS[30:])
    layers = decoder.num_layers
    assert set(found.residuals) == {
        *((layer, point) for layer in range(layers) for point in ("input", "attention")),
        (layers, "input"),
    }
    for layer in range(layers):
        assert found.weights[layer].shape[0] == decoder.num_heads
        close(found.weights[layer], expected.attentions[layer][0, :, 30:], 1e-5)
        close(found.residuals[layer, "input"], expected.hidden_states[layer][0, 30:], 1e-4)
        close(found.residuals[layer, "attention"], middle[layer][0, 30:], 1e-4)


def residuals_after_attention(model: Any) -> list[torch.Tensor]:
    """Filled by the model's next pass: what the module of each block reads that is next."""
    found: list[torch.Tensor] = []
    if model.config.model_type == "openai-gpt":  # it goes on with a norm's result
        for name, module in model.named_modules():
            if name.endswith("ln_1"):
                module.register_forward_hook(lambda _m, _i, output: found.append(output))
        return found
    if is_parallel(model.config):
        for name, module in model.named_modules():
            if name.endswith(ATTENTION):
                add_sums(model.get_submodule(name.rpartition(".")[0]), module, found)
        return found
    names = {name.rpartition(".")[2] for name, _ in model.named_modules()}
    following = next(name for name in FOLLOWING if name in names)
    if model.config.model_type == "olmo2":
        following = "mlp"
    for name, module in model.named_modules():
        if name.endswith(f".{following}"):
            module.register_forward_pre_hook(lambda _m, inputs: found.append(as_batch(inputs[0])))
    return found


def as_batch(x: torch.Tensor) -> torch.Tensor:
    """(1, n, width), of OPT's (n, width), too."""
    return x.reshape(1, -1, x.shape[-1])


FOLLOWING = ("ln_2", "pre_feedforward_layernorm", "post_attention_layernorm", "final_layer_norm")
"""Modules behind the sum of residual and attention; the first that a model has."""
ATTENTION = (".attn", ".attention", ".self_attn", ".self_attention")


def is_parallel(config: Any) -> bool:
    """Whether no module reads the sum, as attention and MLP read the same."""
    names = ("use_parallel_residual", "parallel_attn")
    return config.model_type in ("gptj", "phi") or any(getattr(config, x, False) for x in names)


def add_sums(block: torch.nn.Module, attention: torch.nn.Module, found: list[torch.Tensor]) -> None:
    given: list[torch.Tensor] = []
    block.register_forward_pre_hook(lambda _m, inputs: given.append(inputs[0]))
    attention.register_forward_hook(lambda _m, _i, output: found.append(given.pop() + output[0]))


def test_the_lens_of_every_layer(model: Any, decoder: NativeDecoder) -> None:
    """The model's own head on the hidden states; the last gives the model's own logits."""
    expected = references.lens(model, references.observe(model, IDS))
    found = observe(decoder, decoder.new_cache(), IDS)
    for layer, logits in enumerate(expected):
        close(decoder.unembed(found.residuals[layer, "input"]), logits, 1e-4)


def test_a_position_can_be_looked_at_again(decoder: NativeDecoder) -> None:
    """It is fed again, and the tokens behind it stay in the cache."""
    cache = decoder.new_cache()
    decoder.forward(np.array([IDS[:-1]]), cache)
    first = observe(decoder, cache, IDS[-1:])
    with cache.rewound(20):
        assert cache.length == 20
        again = observe(decoder, cache, IDS[20:21])
    assert cache.length == len(IDS)
    short = decoder.new_cache()
    decoder.forward(np.array([IDS[:20]]), short)
    same(again, observe(decoder, short, IDS[20:21]))
    with cache.rewound(len(IDS) - 1):
        same(observe(decoder, cache, IDS[-1:]), first)


def test_an_observed_pass_gives_the_same_logits(decoder: NativeDecoder) -> None:
    observed, plain = decoder.new_cache(), decoder.new_cache()
    observe(decoder, observed, IDS[:20])
    decoder.forward(np.array([IDS[:20]]), plain, last=0)
    a, b = (decoder.forward(np.array([IDS[20:]]), cache) for cache in (observed, plain))
    assert a is not None
    assert b is not None
    np.testing.assert_allclose(a, b, atol=1e-6)


def same(found: Recorder, expected: Recorder) -> None:
    for key, residual in expected.residuals.items():
        np.testing.assert_allclose(found.residuals[key], residual, atol=1e-5)
    for layer, weights in expected.weights.items():
        np.testing.assert_allclose(found.weights[layer], weights, atol=1e-6)


def close(found: NDArray[Any], expected: torch.Tensor, atol: float) -> None:
    assert found.dtype == np.float32
    torch.testing.assert_close(torch.from_numpy(found), expected, rtol=0, atol=atol)


@pytest.fixture
def draw() -> Callable[..., Floats]:
    generator = np.random.default_rng(0)
    return lambda *shape: generator.standard_normal(shape).astype(np.float32)


def test_soft_caps_and_biases(draw: Callable[..., Floats]) -> None:
    """Against the definition, a pair of tokens at a time."""
    query, keys, bias = draw(3, 4 * 8), draw(2, 7, 8), draw(4, 20)
    how: dict[str, Any] = {"scale": 0.7, "window": 4, "soft_cap": 1.5}
    found = attention_weights(query, keys, bias=bias, **how)
    assert found.shape == (4, 3, 7)
    for head in range(4):
        for row, own in enumerate((4, 5, 6)):
            scores = np.full(7, -np.inf)
            for key in range(max(0, own - 3), own + 1):
                q, k = query[row, 8 * head : 8 * head + 8], keys[head // 2, key]
                score = 0.7 * float(q.astype(np.float64) @ k.astype(np.float64))
                scores[key] = 1.5 * np.tanh(score / 1.5) + bias[head, key] - bias[head, own]
            expected = np.exp(scores - scores.max())
            np.testing.assert_allclose(found[head, row], expected / expected.sum(), atol=1e-6)
