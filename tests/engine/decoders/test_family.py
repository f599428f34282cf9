"""GPT-1 and GPT-Neo, decoded natively: what their files may look like."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from gptterm.errors import ModelError
from tests.engine.checkpoints import (
    edit_config,
    gpt1,
    gpt_neo,
    load,
    make,
    save,
)
from tests.engine.decoders.native_checks import check

FILE = "model.safetensors"
MAKERS = {"gpt1": gpt1, "gpt-neo": gpt_neo}

Change = Callable[[dict[str, Tensor]], dict[str, Tensor]]


@pytest.fixture(scope="module", params=MAKERS)
def named(request: pytest.FixtureRequest) -> tuple[str, Any]:
    name: str = request.param
    return name, make(MAKERS[name]())


@pytest.fixture
def name(named: tuple[str, Any]) -> str:
    return named[0]


@pytest.fixture
def model(named: tuple[str, Any]) -> Any:
    return named[1]


@pytest.fixture
def directory(model: Any, tmp_path: Path) -> Path:
    return save(model, tmp_path / "model")


def rewrite(directory: Path, change: Change) -> None:
    file = directory / FILE
    save_file(change(load_file(file)), file, metadata={"format": "pt"})


def refused(directory: Path) -> str:
    with pytest.raises(ModelError) as caught:
        load(directory)
    message = str(caught.value)
    assert "\n" not in message
    return message


# -------------------------------------------------------------------------------------- files


@pytest.mark.usefixtures("backend")
def test_names_with_and_without_a_prefix(model: Any, directory: Path) -> None:
    assert all(name.startswith("transformer.") for name in load_file(directory / FILE))
    check(directory, model)
    rewrite(directory, lambda all_: {n.removeprefix("transformer."): t for n, t in all_.items()})
    check(directory, model)


def test_constants_that_old_files_hold(name: str, model: Any, directory: Path) -> None:
    attention = "attn" if name == "gpt1" else "attn.attention"
    constants = {
        f"transformer.h.0.{attention}.bias": torch.ones(1, 1, 128, 128, dtype=torch.uint8),
        f"transformer.h.0.{attention}.masked_bias": torch.tensor(-1e9),
        "transformer.position_ids": torch.arange(128),
    }
    rewrite(directory, lambda all_: all_ | constants)
    check(directory, model)


@pytest.mark.parametrize("stored", [torch.float16, torch.bfloat16])
def test_weights_kept_in_16_bits(name: str, stored: torch.dtype, tmp_path: Path) -> None:
    model = make(MAKERS[name]()).to(stored)
    directory = save(model, tmp_path)
    check(directory, model.float())


def test_a_weight_that_is_missing(name: str, directory: Path) -> None:
    lost = "h.2.attn.c_attn.bias" if name == "gpt1" else "h.2.attn.attention.k_proj.weight"
    rewrite(directory, lambda all_: {n: t for n, t in all_.items() if not n.endswith(lost)})
    assert f"lacks the weight {lost}" in refused(directory)


def test_weights_of_another_model(name: str, directory: Path) -> None:
    edit_config(directory, **{"n_positions" if name == "gpt1" else "window_size": 0})
    assert "must be a positive integer, not 0" in refused(directory)
    edit_config(directory, n_positions=200, window_size=16)
    edit_config(directory, **{"n_embd" if name == "gpt1" else "hidden_size": 64})
    assert "do not belong together" in refused(directory)


@pytest.mark.parametrize("wrong", ["small", None, True])
def test_an_epsilon_that_is_no_number(directory: Path, wrong: object) -> None:
    edit_config(directory, layer_norm_epsilon=wrong)
    assert "layer_norm_epsilon must be a number" in refused(directory)


@pytest.mark.parametrize(
    ("changes", "decoder"),
    [
        ({"tie_word_embeddings": False}, "native"),
        ({"layer_norm_epsilon": 0.1}, "native"),
        ({"heads": 1}, "native"),
        ({"activation": "relu"}, "transformers"),
        ({"activation": "silu"}, "transformers"),
    ],
)
def test_variants(name: str, changes: dict[str, Any], decoder: str, tmp_path: Path) -> None:
    names = {
        "gpt1": {"heads": "n_head", "activation": "afn"},
        "gpt-neo": {"heads": "num_heads", "activation": "activation_function"},
    }[name]
    config = MAKERS[name]
    model = make(config(**{names.get(key, key): value for key, value in changes.items()}))
    check(save(model, tmp_path), model, decoder)


def test_a_config_that_says_only_what_it_must(name: str, model: Any, directory: Path) -> None:
    config = json.loads((directory / "config.json").read_text())
    own = {
        "gpt1": ("n_embd", "n_layer", "n_head", "n_positions"),
        "gpt-neo": (
            *("hidden_size", "num_layers", "num_heads", "max_position_embeddings"),
            *("window_size", "attention_layers"),
        ),
    }[name]
    kept = {key: config[key] for key in ("model_type", "vocab_size", *own)}
    (directory / "config.json").write_text(json.dumps(kept))
    check(directory, model)


def test_transformers_is_never_imported(directory: Path) -> None:
    code = f"""
import sys
from gptterm.engine.api import GenerateRequest, LoadRequest, ModelSource, TextPrompt
from gptterm.engine.generation.loader import load_engine
engine = load_engine(LoadRequest(source=ModelSource(name="x", directory={str(directory)!r})))
request = GenerateRequest(prompt=TextPrompt(text="hello"), max_tokens=3, samples=2)
assert all(type(event).__name__ != "Failed" for event in engine.generate(request))
assert engine.info.decoder == "native"
assert "transformers" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
