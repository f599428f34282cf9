"""GPT-1 and GPT-Neo, decoded natively: what their files may look like, dtypes, the whole engine."""

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

from gptterm.engine.api import Dtype
from gptterm.errors import ModelError
from tests.engine.checkpoints import (
    POSITIONS,
    draw_ids,
    edit_config,
    gpt1,
    gpt_neo,
    load,
    log_probabilities,
    make,
    reference,
    save,
)
from tests.engine.runs import GREEDY, request, run

FILE = "model.safetensors"
IDS = draw_ids(60)
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


def check(directory: Path, model: Any, decoder: str = "native") -> None:
    engine = load(directory)
    assert engine.info.decoder == decoder
    assert engine.info.architecture == type(model).__name__
    assert engine.info.parameters == sum(p.numel() for p in model.parameters())
    for size in (1, 60):
        expected = torch.log_softmax(reference(model, IDS[:size]), 0)
        found = log_probabilities(engine, IDS[:size])
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)


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


def test_weights_in_several_files(model: Any, tmp_path: Path) -> None:
    directory = save(model, tmp_path, max_shard_size="50KB")
    assert len(list(directory.glob("*.safetensors"))) > 1
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


# ------------------------------------------------------------------------------------- dtypes

LIMITS: dict[str, dict[Dtype, float]] = {
    "gpt1": {"float16": 2e-5, "bfloat16": 2e-3, "int8": 1.5e-2},
    # Scores are not scaled, so that an error in a key or a query counts for more.
    "gpt-neo": {"float16": 2e-5, "bfloat16": 4e-3, "int8": 3e-2},
}
"""Mean KL divergence from float32, in nats, on a model whose every weight is random."""


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "int8"])
def test_how_far_a_dtype_is_from_float32(
    name: str, dtype: Dtype, model: Any, directory: Path
) -> None:
    engine = load(directory, dtype)
    assert (engine.info.dtype, engine.info.decoder) == (dtype, "native")
    assert engine.info.parameters == sum(p.numel() for p in model.parameters())
    divergences = []
    for size in range(1, 60):
        exact = torch.log_softmax(reference(model, IDS[:size]), 0)
        found = log_probabilities(engine, IDS[:size])
        divergences.append(float((exact.exp() * (exact - found)).sum()))
    assert sum(divergences) / len(divergences) < LIMITS[name][dtype]


# ----------------------------------------------------------------------------- the whole engine


@pytest.mark.usefixtures("backend")
def test_greedy_text_is_what_transformers_generates(model: Any, directory: Path) -> None:
    engine = load(directory)
    for size in (1, 20, 60):
        found = run(engine, request(IDS[:size], sampling=GREEDY, max_tokens=40)).ids()
        ids = torch.tensor([IDS[:size]])
        expected = model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            min_new_tokens=40,
            max_new_tokens=40,
            pad_token_id=0,
        )
        assert found == expected[0, size:].tolist()


@pytest.mark.usefixtures("backend")
def test_a_known_beginning_is_not_fed_again(directory: Path) -> None:
    engine = load(directory)
    first = run(engine, request(IDS[:40], max_tokens=10))
    again = run(engine, request([*IDS[:30], *IDS[50:]], max_tokens=10))
    assert again.started.reused_tokens == 30
    assert again.ids() == run(load(directory), request([*IDS[:30], *IDS[50:]], max_tokens=10)).ids()
    back = run(engine, request(IDS[:40], max_tokens=10, samples=3))
    assert back.started.reused_tokens == 30
    for sample in range(3):
        assert back.ids(sample) == first.ids()


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


def test_the_last_position(model: Any, directory: Path) -> None:
    ids = draw_ids(POSITIONS - 1, seed=4)
    found = run(load(directory), request(ids, max_tokens=1)).ids()
    assert found == [int(reference(model, ids).argmax())]
