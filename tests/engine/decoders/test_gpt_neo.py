"""GPT-Neo's windows, and the ways in which a config.json may say where they are."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gptterm.engine.decoders import native
from gptterm.engine.decoders.native_decoder import NativeDecoder
from gptterm.engine.runtime.model_files import read_json
from gptterm.errors import ModelError
from tests.engine.checkpoints import (
    POSITIONS,
    draw_ids,
    edit_config,
    feed,
    gpt_neo,
    library,
    load,
    make,
    reference,
    save,
)

IDS = draw_ids(POSITIONS)
WINDOWS = (1, 2, 16, POSITIONS - 1, POSITIONS, 1000)


def native_of(directory: Path) -> NativeDecoder | None:
    return native.load(directory, read_json(directory / "config.json"), "cpu", "float32")


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], tuple[NativeDecoder, Any]]:
    """By window: our decoder and transformers' model."""

    @cache
    def pair(window: int) -> tuple[NativeDecoder, Any]:
        model = make(gpt_neo(window_size=window), seed=window)
        decoder = native_of(save(model, tmp_path_factory.mktemp("neo")))
        assert decoder is not None
        return decoder, model

    return pair


@given(window=st.sampled_from(WINDOWS), data=st.data())
def test_windows_and_chunks(
    window: int, data: st.DataObject, pairs: Callable[[int], tuple[NativeDecoder, Any]]
) -> None:
    decoder, model = pairs(window)
    cache, at = decoder.new_cache(), 0
    for size in data.draw(st.lists(st.integers(1, 40), min_size=1, max_size=5)):
        size = min(size, POSITIONS - at)
        if size == 0:
            return
        found = feed(decoder, cache, IDS[at : at + size])
        at += size
        torch.testing.assert_close(found[0], reference(model, IDS[:at]), rtol=0, atol=1e-4)


@pytest.mark.parametrize("window", [2, 16])
def test_a_window_shows_itself_and_those_just_before_it(window: int, tmp_path: Path) -> None:
    """With one local layer, the tokens outside a window change nothing."""
    config = gpt_neo(num_layers=1, attention_types=[[["local"], 1]], window_size=window)
    decoder = native_of(save(make(config), tmp_path))
    assert decoder is not None

    def logits(ids: list[int]) -> torch.Tensor:
        return feed(decoder, decoder.new_cache(), ids)[0]

    usual = logits(IDS[:40])
    for i in range(40):
        changed = logits([*IDS[:i], (IDS[i] + 1) % 300, *IDS[i + 1 : 40]])
        assert torch.equal(changed, usual) == (i < 40 - window)


# --------------------------------------------------------------------------------- config.json


def load_with(directory: Path, **changes: Any) -> NativeDecoder | None:
    edit_config(directory, **changes)
    return native_of(directory)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return save(make(gpt_neo()), tmp_path / "model")


@pytest.mark.parametrize(
    ("layers", "types"),
    [
        (["local", "global", "global", "local"], None),
        # The list of all layers is what counts, whatever the groups say.
        (["local"] * 4, [[["global"], 4]]),
        (None, [[["global"], 1], [["local"], 3]]),
        (None, [[["local", "global"], 1], [["global", "local"], 1]]),
        (None, [[["global", "local", "local", "global"], 1]]),
    ],
)
def test_both_ways_to_name_the_kinds(
    layers: list[str] | None, types: list[Any] | None, directory: Path
) -> None:
    """Read as transformers reads the same file."""
    config = read_json(directory / "config.json")
    for name, value in (("attention_layers", layers), ("attention_types", types)):
        del config[name]
        config |= {name: value} if value else {}
    (directory / "config.json").write_text(json.dumps(config))
    decoder = native_of(directory)
    assert decoder is not None
    model = library.AutoModelForCausalLM.from_pretrained(directory).eval()
    found = feed(decoder, decoder.new_cache(), IDS[:60])
    torch.testing.assert_close(found[0], reference(model, IDS[:60]), rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    "changes",
    [
        {"attention_layers": ["global"] * 3},
        {"attention_layers": ["global", "local", "global", "sparse"]},
        {"attention_layers": "global"},
        {"attention_layers": [["global"]] * 4},
        {"attention_layers": None, "attention_types": [[["global"], 3]]},
        {"attention_layers": None, "attention_types": [["global"], 4]},
        {"attention_layers": None, "attention_types": "global"},
        {"attention_layers": None, "attention_types": [[["global"], "4"]]},
        {"attention_layers": None, "attention_types": [[4, 4]]},
    ],
)
def test_kinds_that_make_no_sense(changes: dict[str, Any], directory: Path) -> None:
    """They are left to transformers, which has a word for each."""
    assert load_with(directory, **changes) is None
    with pytest.raises(ModelError) as caught:
        load(directory)
    assert "\n" not in str(caught.value)


def test_without_a_word_on_them_there_are_24_layers(directory: Path) -> None:
    assert load_with(directory, attention_layers=None, attention_types=None) is None
    with pytest.raises(ModelError, match=r"24 layers, the weights hold 4 \(but no h\.4"):
        load_with(directory, num_layers=24)


@pytest.mark.parametrize("window", [0, -1, "16", None, 2.5])
def test_a_window_that_is_no_size(window: object, directory: Path) -> None:
    with pytest.raises(ModelError, match="window_size must be a positive integer"):
        load_with(directory, window_size=window)
