"""Models of the transformers library: built only where the weights can be theirs."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from gptterm.engine.decoders.transformers_files import library_model
from gptterm.errors import ModelError
from gptterm.models import resolve
from tests.engine.checkpoints import (
    ARCHITECTURES,
    VOCABULARY,
    draw_ids,
    edit_config,
    load,
    log_probabilities,
    make,
    reference,
    save,
)
from tests.support import damaged_models

TEXT: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 128,
}
VISION: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "image_size": 28,
    "patch_size": 14,
}
MROPE = {"rope_type": "default", "mrope_section": [2, 1, 1], "rope_theta": 10_000.0}
MULTIMODAL: dict[str, Callable[[], Any]] = {
    "mistral3": lambda: transformers.Mistral3Config(
        text_config={"model_type": "mistral", **TEXT},
        vision_config={"model_type": "pixtral", "head_dim": 8, **VISION},
        image_token_index=5,
    ),
    "llava": lambda: transformers.LlavaConfig(
        text_config={"model_type": "llama", **TEXT},
        vision_config={"model_type": "clip_vision_model", **VISION},
        image_token_index=5,
    ),
    "qwen2_vl": lambda: transformers.Qwen2VLConfig(
        text_config={"rope_parameters": MROPE, **TEXT},
        vision_config={"depth": 1, "embed_dim": 32, "hidden_size": 32, "num_heads": 4},
    ),
}


@pytest.mark.parametrize("name", MULTIMODAL)
def test_the_text_half_of_a_multimodal_model_runs(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    auto_class: Any = transformers.AutoModelForImageTextToText
    model = auto_class.from_config(MULTIMODAL[name]()).eval()
    directory = save(model, tmp_path)
    assert resolve(str(directory)).directory == str(directory)
    engine = load(directory)
    assert engine.info.architecture == type(model).__name__
    assert engine.info.context_length == 128
    ids = [*range(40, 60)]  # no image's token
    expected = torch.log_softmax(reference(model, ids), 0)
    torch.testing.assert_close(log_probabilities(engine, ids), expected, rtol=0, atol=1e-4)


def test_a_multimodal_model_whose_text_settings_are_at_the_top(tmp_path: Path) -> None:
    """As in the published files of Qwen2-VL."""
    torch.manual_seed(0)
    auto_class: Any = transformers.AutoModelForImageTextToText
    model = auto_class.from_config(MULTIMODAL["qwen2_vl"]()).eval()
    directory = save(model, tmp_path)
    file = directory / "config.json"
    config = json.loads(file.read_text())
    text = {k: v for k, v in config.pop("text_config").items() if k != "model_type"}
    file.write_text(json.dumps(text | config))
    resolve(str(directory))
    ids = [*range(40, 60)]
    expected = torch.log_softmax(reference(model, ids), 0)
    torch.testing.assert_close(log_probabilities(load(directory), ids), expected, rtol=0, atol=1e-4)


REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    "defaults": ("llama", {"hidden_size": 4096, "head_dim": 128}, "describes a model of"),
    "vocabulary": ("llama", {"vocab_size": 10**8}, "describes a model of 6,4"),
    "inner size": ("mistral", {"intermediate_size": 10**9}, "describes a model of"),
    "tables": ("codegen", {"n_positions": 10**9}, "GB of tables, for weights of"),
    "types": ("llama", {"hidden_size": "wide"}, "transformers cannot load"),
    "nested types": ("llama", {"rope_parameters": [1, 2]}, "transformers cannot load"),
}


@pytest.mark.parametrize(("name", "changes", "expected"), REFUSED.values(), ids=REFUSED)
def test_what_the_weights_do_not_hold_is_not_built(
    name: str, changes: dict[str, Any], expected: str, tmp_path: Path
) -> None:
    directory = save(make(ARCHITECTURES[name]()), tmp_path)
    edit_config(directory, **changes)
    with pytest.raises(ModelError) as caught:
        library_model(directory)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_another_model_type_over_the_same_weights(tmp_path: Path) -> None:
    model = damaged_models.copy(tmp_path / "m")
    damaged_models.change(model, model_type="olmo", architectures=["OlmoForCausalLM"])
    with pytest.raises(
        ModelError, match=r"a model of 6,486\.5 M parameters, the weights hold 2\.5"
    ):
        load(model)


def test_a_config_with_a_byte_order_mark(tmp_path: Path) -> None:
    model = make(ARCHITECTURES["olmo"]())
    directory = save(model, tmp_path)
    file = directory / "config.json"
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    ids = draw_ids(10)
    expected = torch.log_softmax(reference(model, ids), 0)
    torch.testing.assert_close(log_probabilities(load(directory), ids), expected, rtol=0, atol=1e-4)
