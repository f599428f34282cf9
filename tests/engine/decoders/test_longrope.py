"""LongRoPE within the context of the pre-training: native, and held against transformers."""

from pathlib import Path
from typing import Any

import pytest
import torch

from gptterm.engine.api import LoadRequest, ModelSource
from gptterm.engine.decoders.config_parsers.registry import parse_config, why_not_native
from gptterm.engine.generation.engine import LocalEngine
from gptterm.engine.generation.loader import load_engine
from gptterm.errors import ModelError
from tests.engine.checkpoints import (
    ARCHITECTURES,
    LONG,
    POSITIONS,
    draw_ids,
    log_probabilities,
    make,
    reference,
    save,
)
from tests.engine.gguf.models import load as load_gguf
from tests.engine.gguf.models import save_gguf

IDS = draw_ids(POSITIONS)
LONG_FACTORS = ARCHITECTURES["phi3-longrope"]().rope_parameters["long_factor"]


def settings(**changes: Any) -> Any:
    config = ARCHITECTURES["phi3-longrope"]().to_dict()
    rope = config["rope_parameters"] | {"short_factor": [1.0, 1.1, 1.25, 1.5]} | changes
    return config | {"rope_parameters": rope}


def load(directory: Path, context: int | None) -> LocalEngine:
    source = ModelSource(name="m", directory=str(directory))
    request = LoadRequest(source=source, device="cpu", dtype="float32", context=context)
    return load_engine(request)


@pytest.mark.parametrize("changes", [{}, {"factor": 8.0}, {"attention_factor": 1.25}])
def test_up_to_the_switch(changes: dict[str, Any], tmp_path: Path) -> None:
    config = settings(**changes)
    model = make(type(ARCHITECTURES["phi3-longrope"]())(**config))
    engine = load(save(model, tmp_path), LONG)
    assert (engine.info.decoder, engine.info.context_length) == ("native", LONG)
    for length in (1, 10, LONG - 1):  # with room for the token that is drawn
        expected = torch.log_softmax(reference(model, IDS[:length]), 0)
        found = log_probabilities(engine, IDS[:length])
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("context", [None, LONG + 1, POSITIONS])
def test_texts_beyond_it_go_through_transformers(context: int | None, tmp_path: Path) -> None:
    model = make(type(ARCHITECTURES["phi3-longrope"]())(**settings()))
    info = load(save(model, tmp_path), context).info
    assert info.decoder == "transformers"
    (notice,) = info.notices
    assert notice.endswith(why_not_native(settings()))
    assert f"--context {LONG} gives it a decoder" in notice


def test_a_gguf_file(tmp_path: Path) -> None:
    model = make(type(ARCHITECTURES["phi3-longrope"]())(**settings()))
    engine = load_gguf(save_gguf(model, tmp_path / "m.gguf", "phi3"))
    assert (engine.info.decoder, engine.info.context_length) == ("native", LONG)
    assert f"texts of up to {LONG} tokens, not {POSITIONS}" in engine.info.notices[-1]
    for length in (1, LONG - 1):
        expected = torch.log_softmax(reference(model, IDS[:length]), 0)
        found = log_probabilities(engine, IDS[:length])
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("context", [LONG + 1, POSITIONS, 10 * POSITIONS])
def test_a_gguf_file_for_long_texts(context: int, tmp_path: Path) -> None:
    """All texts get the factors for long ones, as if the short ones were the same."""
    model = make(type(ARCHITECTURES["phi3-longrope"]())(**settings()))
    alike = make(type(ARCHITECTURES["phi3-longrope"]())(**settings(short_factor=LONG_FACTORS)))
    alike.load_state_dict(model.state_dict())
    engine = load_gguf(save_gguf(model, tmp_path / "m.gguf", "phi3"), context=context)
    longest = min(context, POSITIONS)
    assert (engine.info.decoder, engine.info.context_length) == ("native", longest)
    (*_, notice) = engine.info.notices
    assert "embedding for long texts" in notice
    for length in (1, LONG - 1, LONG, longest - 1):
        expected = torch.log_softmax(reference(alike, IDS[:length]), 0)
        found = log_probabilities(engine, IDS[:length])
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)
    # Beyond the switch that is what the library computes.
    beyond = reference(model, IDS[: longest - 1])
    assert longest == LONG + 1 or torch.equal(beyond, reference(alike, IDS[: longest - 1]))


def test_a_gguf_file_with_damaged_factors(tmp_path: Path) -> None:
    config = settings(short_factor=[1.0, 1.0, 1.0, 0.0])
    model = make(type(ARCHITECTURES["phi3-longrope"]())(**settings()))
    model.config.rope_parameters = config["rope_parameters"]
    with pytest.raises(ModelError, match="factors of the rotary embedding are damaged"):
        load_gguf(save_gguf(model, tmp_path / "m.gguf", "phi3"))


@pytest.mark.parametrize("factors", [[1.0] * 3, "1.0"])
def test_factors_of_another_form_go_to_transformers(factors: object) -> None:
    assert parse_config(settings(short_factor=factors), LONG) is None


@pytest.mark.parametrize("factor", [0.0, -1.0, "a", None])
def test_a_damaged_factor_is_named(factor: object) -> None:
    with pytest.raises(ModelError, match="short_factor"):
        parse_config(settings(short_factor=[1.0, 1.0, 1.0, factor]), LONG)
