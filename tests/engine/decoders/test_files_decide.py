"""Checkpoints whose config.json and weights say different things: as transformers decides."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from gptterm.engine.decoders import native
from gptterm.engine.runtime.model_files import read_json
from gptterm.errors import ModelError
from tests.engine.checkpoints import make

CONFIGS: dict[str, Any] = {
    "openai-gpt": transformers.OpenAIGPTConfig(
        vocab_size=90, n_positions=24, n_embd=32, n_layer=2, n_head=4
    ),
    "gpt2": transformers.GPT2Config(vocab_size=90, n_positions=24, n_embd=32, n_layer=2, n_head=4),
    "gpt_neo": transformers.GPTNeoConfig(
        vocab_size=90,
        max_position_embeddings=24,
        hidden_size=32,
        num_layers=2,
        num_heads=4,
        attention_types=[[["global", "local"], 1]],
    ),
    "llama": transformers.LlamaConfig(
        vocab_size=90,
        max_position_embeddings=24,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=48,
        tie_word_embeddings=True,
    ),
}
EMBEDDINGS = {
    "openai-gpt": "transformer.tokens_embed.weight",
    "llama": "model.embed_tokens.weight",
}
IDS = torch.tensor([[5, 17, 3, 88, 60, 2, 41]])


@pytest.fixture(params=CONFIGS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def directory(name: str, tmp_path: Path) -> Path:
    """A checkpoint of the architecture, as transformers saves it."""
    make(CONFIGS[name]).save_pretrained(tmp_path)
    return tmp_path


def change(directory: Path, *removed: str, **changes: Any) -> None:
    file = directory / "config.json"
    config = {k: v for k, v in json.loads(file.read_text()).items() if k not in removed}
    file.write_text(json.dumps(config | changes))


def rewrite(directory: Path, weights: dict[str, torch.Tensor]) -> None:
    save_file(weights, directory / "model.safetensors", {"format": "pt"})


def logits(directory: Path) -> torch.Tensor:
    config = read_json(directory / "config.json")
    decoder = native.load(directory, config, "cpu", "float32")
    assert decoder is not None
    found = decoder.forward(IDS.numpy(), decoder.new_cache(), last=IDS.shape[1])
    return torch.as_tensor(found)


def assert_as_transformers(directory: Path) -> None:
    model: Any = transformers.AutoModelForCausalLM.from_pretrained(directory)
    with torch.inference_mode():
        expected = model.eval()(IDS).logits[0]
    torch.testing.assert_close(logits(directory), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("tied", [True, False])
def test_a_head_of_its_own_is_used(tied: bool, directory: Path) -> None:
    change(directory, tie_word_embeddings=tied)
    weights = load_file(directory / "model.safetensors")
    weights["lm_head.weight"] = torch.randn(90, 32, generator=torch.Generator().manual_seed(1))
    rewrite(directory, weights)
    assert_as_transformers(directory)


def test_a_tied_head_that_is_the_same(name: str, directory: Path) -> None:
    weights = load_file(directory / "model.safetensors")
    embedding = weights[EMBEDDINGS.get(name, "transformer.wte.weight")]
    rewrite(directory, weights | {"lm_head.weight": embedding.clone()})
    assert_as_transformers(directory)


def test_a_tied_matrix_under_the_head_s_name_alone(name: str, directory: Path) -> None:
    weights = load_file(directory / "model.safetensors")
    head = weights.pop(EMBEDDINGS.get(name, "transformer.wte.weight"))
    rewrite(directory, weights | {"lm_head.weight": head})
    assert_as_transformers(directory)


@pytest.mark.parametrize("also_own", [False, True], ids=["alone", "beside its own"])
@pytest.mark.parametrize("alias", ["hidden_size", "max_position_embeddings", "num_attention_heads",
                                   "num_hidden_layers"])  # fmt: skip
def test_names_of_other_architectures(
    alias: str, also_own: bool, name: str, directory: Path
) -> None:
    own = CONFIGS[name].attribute_map.get(alias, alias)
    value = getattr(CONFIGS[name], own)
    if own == alias:
        return  # GPT-Neo's own name
    change(directory, own, **{alias: value}, **({own: 3 * value} if also_own else {}))
    assert_as_transformers(directory)


@pytest.mark.parametrize("layers", [1, 3])
def test_another_number_of_layers_than_the_weights(layers: int, name: str, directory: Path) -> None:
    changes: dict[str, Any] = {"num_hidden_layers": layers}
    if name == "gpt_neo":
        changes["attention_layers"] = ["global"] * layers
    change(directory, **changes)
    with pytest.raises(ModelError, match=f"config.json has {layers} layers, the weights hold 2"):
        logits(directory)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"tie_word_embeddings": "false"}, "tie_word_embeddings must be true or false"),
        ({"tie_word_embeddings": None}, "tie_word_embeddings must be true or false"),
        ({"n_embd": "32"}, "n_embd must be a positive integer, not '32'"),
        ({"n_head": 5}, "is not a multiple of"),
        ({"n_head": 10**60}, "n_head must be a positive integer, not 1000.*…"),
        ({"n_head": [1] * 99}, "n_head must be a positive integer, not \\[1, 1, .*…"),
        ({"layer_norm_epsilon": float("nan")}, "layer_norm_epsilon must be a number from 0"),
        ({"scale_attn_weights": "no"}, "scale_attn_weights must be true or false"),
    ],
)
def test_values_of_other_types(changes: dict[str, Any], expected: str, tmp_path: Path) -> None:
    make(CONFIGS["gpt2"]).save_pretrained(tmp_path)
    change(tmp_path, **changes)
    with pytest.raises(ModelError, match=expected):
        logits(tmp_path)


def test_a_context_without_room_for_a_reply(tmp_path: Path) -> None:
    config = transformers.GPT2Config(vocab_size=90, n_positions=1, n_embd=32, n_layer=2, n_head=4)
    make(config).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="a context of 1 token has no room for a reply"):
        logits(tmp_path)


def test_weights_of_a_dtype_that_is_not_computed_with(tmp_path: Path) -> None:
    make(CONFIGS["gpt2"]).save_pretrained(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    rewrite(tmp_path, {name: x.to(torch.float8_e4m3fn) for name, x in weights.items()})
    with pytest.raises(ModelError, match="in F8_E4M3, which gptterm does not compute with"):
        logits(tmp_path)


def test_int8_of_a_head_of_its_own(tmp_path: Path) -> None:
    make(CONFIGS["gpt2"]).save_pretrained(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    weights["lm_head.weight"] = torch.randn(90, 32, generator=torch.Generator().manual_seed(1))
    rewrite(tmp_path, weights)
    exact = logits(tmp_path).log_softmax(1)
    decoder = native.load(tmp_path, read_json(tmp_path / "config.json"), "cpu", "int8")
    assert decoder is not None
    found = torch.as_tensor(decoder.forward(IDS.numpy(), decoder.new_cache(), last=7)).log_softmax(
        1
    )
    assert (exact.exp() * (exact - found)).sum(1).mean() < 0.05
