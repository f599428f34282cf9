"""The published models' shapes with random weights, against transformers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from gptterm.engine.decoders import native
from gptterm.engine.runtime.model_files import read_json
from tests.engine.checkpoints import feed, make

SHAPES: dict[str, Callable[[int], Any]] = {
    "openai-gpt": lambda layers: transformers.OpenAIGPTConfig(n_layer=layers),
    "gpt-neo-125m": lambda layers: transformers.GPTNeoConfig(
        hidden_size=768,
        num_layers=layers,
        num_heads=12,
        attention_types=[[["global", "local"], layers // 2]],
    ),
}
"""By number of layers."""


def compare(config: Any, directory: Path, length: int) -> None:
    """Logits after chunks and after single tokens, with those of one pass over all of them."""
    # With weights much larger, GPT-Neo's unscaled scores make float32 itself differ by as much.
    model = make(config, scale=0.03)
    model.save_pretrained(directory)
    decoder = native.load(directory, read_json(directory / "config.json"), "cpu", "float32")
    assert decoder is not None
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(0, config.vocab_size, (1, length), generator=generator)
    with torch.inference_mode():
        expected: Any = model(ids, use_cache=False).logits[0]
    cache, at = decoder.new_cache(), 0
    for size in [1, 1, 1, 100, 1, length - 124, *[1] * 20]:
        found = feed(decoder, cache, ids[0, at : at + size].tolist())
        at += size
        torch.testing.assert_close(found[0], expected[at - 1], rtol=0, atol=1e-4)
    assert at == length


@pytest.mark.parametrize("name", SHAPES)
def test_two_layers(name: str, tmp_path: Path) -> None:
    config = SHAPES[name](2)
    config.vocab_size = 1000
    compare(config, tmp_path, 300)  # beyond GPT-Neo's window of 256


@pytest.mark.slow
@pytest.mark.parametrize(("name", "length"), [("openai-gpt", 512), ("gpt-neo-125m", 600)])
def test_all_layers(name: str, length: int, tmp_path: Path) -> None:
    compare(SHAPES[name](12), tmp_path, length)
