"""torch's KV cache grows as it is filled, up to a model's context or a shorter one."""

from pathlib import Path

import numpy as np
import pytest
import torch

from gptterm.engine.api import LoadRequest, ModelSource
from gptterm.engine.decoders.config_parsers.registry import parse_config
from gptterm.engine.decoders.llama import Llama
from gptterm.engine.decoders.torch_backend.decoder import TorchDecoder
from gptterm.engine.decoders.torch_backend.kv_cache import TorchKVCache
from gptterm.engine.decoders.torch_backend.layers import TorchLayers
from gptterm.engine.decoders.weights import Weights
from gptterm.engine.generation.loader import load_engine
from gptterm.engine.runtime.model_files import read_json
from tests.engine.checkpoints import ARCHITECTURES, draw_ids, edit_config, feed, make, save

CONTEXT = 1 << 17


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    path = save(make(ARCHITECTURES["llama"]()), tmp_path / "llama")
    edit_config(path, max_position_embeddings=CONTEXT)
    return path


@pytest.fixture
def decoder(directory: Path) -> TorchDecoder:
    config = parse_config(read_json(directory / "config.json"))
    assert config is not None
    weights = Weights(directory, prefix=config.prefix)
    model = Llama(config, TorchLayers(weights, "cpu", "float32"))
    return TorchDecoder(model, "cpu", "float32", weights.parameters)


def test_a_long_context_takes_memory_as_it_is_filled(decoder: TorchDecoder) -> None:
    cache, ids = decoder.new_cache(), draw_ids(1100, seed=0)
    assert cache.capacity == 512
    found = [feed(decoder, cache, ids[at : at + 100]) for at in range(0, 1100, 100)]
    assert cache.length == 1100
    assert cache.capacity == 2048
    whole = feed(decoder, decoder.new_cache(), ids)
    np.testing.assert_allclose(found[-1], whole, rtol=0, atol=1e-4)


def test_a_copy_makes_room_for_what_it_copies(decoder: TorchDecoder) -> None:
    long, copy, of_row = (decoder.new_cache() for _ in range(3))
    feed(decoder, long, draw_ids(700, seed=0))
    assert copy.copy_from(long, 650) == 650
    assert torch.equal(copy.keys[:, :, :, :650], long.keys[:, :, :, :650])
    rows = decoder.new_batched_cache()
    rows.add(long, 1, 800)
    rows.copy_row(0, of_row)
    assert of_row.length == 700
    assert torch.equal(of_row.values[:, :, :, :700], long.values[:, :, :, :700])


def test_a_cache_does_not_grow_beyond_a_shorter_context(decoder: TorchDecoder) -> None:
    decoder.limit_context(600)
    assert decoder.context_length == 600
    cache = decoder.new_cache()
    feed(decoder, cache, draw_ids(600, seed=0))
    assert cache.capacity == 600
    with pytest.raises(ValueError, match="exceed the model's 600"):
        feed(decoder, cache, draw_ids(1, seed=1))
    with pytest.raises(ValueError, match="do not fit the KV cache's capacity of 600"):
        cache.begin_step(1)


def test_a_cache_without_a_limit_does_not_grow() -> None:
    keys = torch.zeros(1, 1, 2, 4, 8)
    cache = TorchKVCache(keys, keys.clone())
    cache.reserve(5)
    assert cache.capacity == 4


@pytest.mark.parametrize(("asked", "expected"), [(None, CONTEXT), (40, 40), (1 << 30, CONTEXT)])
def test_an_engine_has_the_context_that_was_asked_for(
    directory: Path, asked: int | None, expected: int
) -> None:
    source = ModelSource(name="x", directory=str(directory))
    engine = load_engine(LoadRequest(source=source, device="cpu", context=asked))
    assert engine.info.context_length == engine.decoder.context_length == expected
    engine.close()
