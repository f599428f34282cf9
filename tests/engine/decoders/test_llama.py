"""Llama and its relatives: odd settings, and what their files may look like."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from gptterm.engine.api import ModelSource
from gptterm.engine.decoders.config_parsers.registry import parse_config, why_not_native
from gptterm.errors import ModelError
from gptterm.models.metadata import read_metadata
from tests.engine.checkpoints import (
    ARCHITECTURES,
    LLAMA3,
    POSITIONS,
    VOCABULARY,
    WINDOW,
    edit_config,
    library,
    load,
    make,
    save,
)
from tests.engine.decoders.native_checks import check

FILE = "model.safetensors"
NAMES = ("llama", "llama-odd", "mistral", "qwen2", "qwen3")
SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 60,
    "max_position_embeddings": POSITIONS,
    "num_key_value_heads": 2,
}


@pytest.fixture(scope="module", params=NAMES)
def model(request: pytest.FixtureRequest) -> Any:
    return make(ARCHITECTURES[request.param]())


@pytest.fixture
def directory(model: Any, tmp_path: Path) -> Path:
    return save(model, tmp_path / "model")


@pytest.fixture
def llama(tmp_path: Path) -> Path:
    return save(make(ARCHITECTURES["llama"]()), tmp_path / "model")


def parsed(**changes: Any) -> Any:
    return parse_config({"model_type": "llama", **SIZES} | changes)


# ----------------------------------------------------------------------------------- settings

LINEAR = {"rope_type": "linear", "rope_theta": 500.0, "factor": 3.0}
YARN: dict[str, Any] = {
    "rope_type": "yarn", "rope_theta": 1e4, "factor": 4.0, "original_max_position_embeddings": 32,
}  # fmt: skip
VARIANTS: dict[str, tuple[Any, str]] = {
    "all-heads": (
        transformers.LlamaConfig(**SIZES | {"num_key_value_heads": 4}, rope_parameters=LLAMA3),
        "native",
    ),
    "linear": (transformers.LlamaConfig(**SIZES, rope_parameters=LINEAR), "native"),
    "tied": (transformers.LlamaConfig(**SIZES, tie_word_embeddings=True), "native"),
    "wide-heads": (
        transformers.LlamaConfig(**SIZES | {"num_key_value_heads": 1}, head_dim=34),
        "native",
    ),
    "narrow-heads": (transformers.Qwen3Config(**SIZES, head_dim=6), "native"),
    "no-window": (transformers.MistralConfig(**SIZES, sliding_window=None), "native"),
    "window-of-1": (transformers.MistralConfig(**SIZES, sliding_window=1), "native"),
    "epsilon": (transformers.LlamaConfig(**SIZES, rms_norm_eps=0.1), "native"),
    "qwen3-bias": (
        transformers.Qwen3Config(
            **SIZES, attention_bias=True, use_sliding_window=True,
            sliding_window=WINDOW, layer_types=["sliding_attention", "full_attention"],
        ),
        "native",
    ),
    "gelu": (transformers.LlamaConfig(**SIZES, hidden_act="gelu"), "native"),
    "relu": (transformers.LlamaConfig(**SIZES, hidden_act="relu"), "native"),
    "quick-gelu": (transformers.LlamaConfig(**SIZES, hidden_act="quick_gelu"), "transformers"),
    "dynamic": (
        transformers.LlamaConfig(
            **SIZES, rope_parameters={"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}
        ),
        "native",
    ),
    "yarn": (transformers.Qwen3Config(**SIZES, head_dim=16, rope_parameters=YARN), "native"),
    "yarn-magnitude": (
        transformers.LlamaConfig(
            **SIZES, rope_parameters=YARN | {"attention_factor": 0.7, "beta_fast": 2.0}
        ),
        "native",
    ),
    "yarn-of-deepseek": (
        transformers.LlamaConfig(
            **SIZES, head_dim=24,
            rope_parameters=YARN | {"mscale": 0.7, "mscale_all_dim": 1.3, "truncate": False},
        ),
        "native",
    ),
    "yarn-of-a-context": (
        transformers.LlamaConfig(**SIZES, rope_parameters=YARN | {"factor": None}), "native",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", VARIANTS)
def test_variants(name: str, tmp_path: Path) -> None:
    config, decoder = VARIANTS[name]
    model = make(config)
    check(save(model, tmp_path), model, decoder)


@pytest.mark.parametrize("beside", [True, False])
def test_rotary_settings_of_older_files(beside: bool, tmp_path: Path) -> None:
    model = make(transformers.LlamaConfig(**SIZES, rope_parameters=LLAMA3 | {"rope_theta": 500.0}))
    directory = save(model, tmp_path)
    config = json.loads((directory / "config.json").read_text())
    scaling = {k: v for k, v in config.pop("rope_parameters").items() if k != "rope_theta"}
    name = scaling.pop("rope_type")
    config["rope_scaling"] = scaling | {"rope_type" if beside else "type": name}
    config["rope_theta"] = 500
    (directory / "config.json").write_text(json.dumps(config))
    check(directory, model)


def test_a_config_that_says_only_what_it_must(model: Any, directory: Path) -> None:
    """A key that is left out has the value that transformers gives it."""
    config = json.loads((directory / "config.json").read_text())
    bare = type(model.config)()
    needed = {k: v for k, v in config.items() if getattr(bare, k, None) != v or k == "model_type"}
    (directory / "config.json").write_text(json.dumps(needed))
    check(directory, model)


@pytest.mark.parametrize(
    "changes",
    [
        {"rope_parameters": {"rope_type": "new"}},
        {"rope_parameters": {"full_attention": {"rope_type": "default"}}},
        {"rope_parameters": [1, 2]},
        {"rope_scaling": {"type": "llama3", "factor": 2.0}},
        {"partial_rotary_factor": 0.5},
        {"head_dim": 9},
        {"hidden_act": ["silu"]},
        {"model_type": "mistral", "layer_types": ["full_attention"] * 2},
        {"model_type": "qwen2", "layer_types": ["full_attention"]},
        {"model_type": "qwen2", "layer_types": ["full_attention", ["new"]]},
        {"model_type": "qwen2", "max_window_layers": "all"},
        {"model_type": "qwen3", "head_dim": None},
    ],
)
def test_what_is_not_computed_here_goes_to_transformers(changes: dict[str, Any]) -> None:
    assert parsed(**changes) is None
    assert why_not_native({"model_type": "llama", **SIZES} | changes)


def test_a_family_without_a_decoder_is_named() -> None:
    config = {"model_type": "olmo", **SIZES}
    assert why_not_native(config) == "model_type 'olmo' has no native decoder"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"num_key_value_heads": 3}, "4 heads cannot share the keys and values of 3"),
        ({"num_key_value_heads": "2"}, "num_key_value_heads must be a positive integer"),
        ({"head_dim": -8}, "head_dim must be a positive integer, not -8"),
        ({"rms_norm_eps": None}, "rms_norm_eps must be a number from 0, not None"),
        ({"rope_theta": 0.5}, "rope_theta must be a number above 1, not 0.5"),
        ({"rope_scaling": {"type": "linear", "factor": 0}}, "factor must be a number above 0"),
        ({"attention_bias": 1}, "attention_bias must be true or false"),
        ({"num_hidden_layers": 2**30}, "num_hidden_layers must be at most 10,000"),
        ({"model_type": "mistral", "sliding_window": 0}, "sliding_window must be a positive"),
        ({"model_type": "qwen2", "use_sliding_window": "no"}, "use_sliding_window must be true"),
    ],
)
def test_values_of_another_type_or_range(changes: dict[str, Any], expected: str) -> None:
    with pytest.raises(ModelError, match=expected):
        parsed(**changes)


def test_what_is_told_of_a_model_before_it_is_loaded(model: Any, directory: Path) -> None:
    found = read_metadata(ModelSource(name="m", directory=str(directory)))
    assert (found.decoder, found.context_length) == ("native", POSITIONS)
    assert found.parameters == sum(p.numel() for p in model.parameters())


# -------------------------------------------------------------------------------------- files


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("stored", [torch.float16, torch.bfloat16])
def test_weights_kept_in_16_bits(stored: torch.dtype, tmp_path: Path) -> None:
    directory = save(make(ARCHITECTURES["qwen3"]()).to(stored), tmp_path)
    # Read again: `to` has also rounded the frequencies.
    model = library.AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32)
    check(directory, model.eval())


def test_names_without_a_prefix_and_old_constants(tmp_path: Path) -> None:
    model = make(ARCHITECTURES["llama"]())
    directory = save(model, tmp_path)
    weights = {name.removeprefix("model."): w for name, w in load_file(directory / FILE).items()}
    weights["layers.0.self_attn.rotary_emb.inv_freq"] = torch.ones(4)
    save_file(weights, directory / FILE, metadata={"format": "pt"})
    check(directory, model)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"num_hidden_layers": 3}, "3 layers, the weights hold 2 (but no layers.2.*)"),
        ({"num_hidden_layers": 1}, "1 layers, the weights hold 2 (up to layers.1.*)"),
        ({"vocab_size": 10**6}, "embed_tokens.weight of shape (1000000, 32)"),
        ({"head_dim": 2**30}, "layers.0.self_attn.q_proj.weight of shape"),
        ({"intermediate_size": 10**9}, "layers.0.mlp.gate_proj.weight of shape (1000000000, 32)"),
    ],
)
def test_weights_of_another_model(changes: dict[str, int], expected: str, llama: Path) -> None:
    edit_config(llama, **changes)
    with pytest.raises(ModelError) as caught:
        load(llama)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)
