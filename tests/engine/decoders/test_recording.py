"""Recorded passes: the bits of the page's own calls, whatever is fed together."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from gptterm.engine.decoders import native
from gptterm.engine.decoders.attention_step import AttentionStep
from gptterm.engine.decoders.kernel_backend.decoder import KernelDecoder
from gptterm.engine.decoders.kernel_backend.kv_cache import KernelStep
from gptterm.engine.decoders.kernel_backend.recording import RecordedPass, record
from gptterm.engine.runtime.model_files import read_json
from tests.engine.checkpoints import ARCHITECTURES, make, save

RECORDED = (
    *("gpt2", "gpt1", "gpt-neo", "llama-odd", "mistral", "qwen2", "qwen3", "smollm3"),
    "starcoder2",
)
AS_THEY_ARE = ("gemma2", "gpt-neox", "phi3", "bloom")
"""Their pages compute with arrays, or cut them up."""


def load(name: str, folder: Path) -> tuple[KernelDecoder, RecordedPass | None]:
    directory = save(make(ARCHITECTURES[name]()), folder / "model")
    decoder = native.load(directory, read_json(directory / "config.json"), "cpu", "float32")
    assert isinstance(decoder, KernelDecoder)
    return decoder, record(decoder._model)


@pytest.mark.parametrize("name", RECORDED)
def test_a_recorded_pass_has_the_page_s_bits(name: str, tmp_path: Path) -> None:
    decoder, recorded = load(name, tmp_path)
    assert recorded is not None
    caches = [decoder.new_cache() for _ in range(2)]
    for ids in ([1, 2, 3], [5], [7], [9, 11]):
        check(decoder, recorded, [cache.begin_step(len(ids)) for cache in caches], ids)
    batches = [decoder.new_batched_cache() for _ in range(2)]
    for batch, cache in zip(batches, caches, strict=True):
        batch.add(cache, 2, 40)
        cache.crop(3)
        batch.add(cache, 1, 40)
    for ids in ([1, 2, 3], [4, 5, 6]):
        check(decoder, recorded, [batch.begin_step(1) for batch in batches], ids)


def check(
    decoder: KernelDecoder, recorded: RecordedPass, steps: Sequence[AttentionStep], ids: list[int]
) -> None:
    array = np.array(ids)
    page = decoder._model.hidden(array, steps[0])
    assert isinstance(steps[1], KernelStep)
    found = recorded(array, steps[1])
    np.testing.assert_array_equal(found, page)
    for step in steps:
        step.commit()


@pytest.mark.parametrize("name", AS_THEY_ARE)
def test_other_pages_compute_as_they_are(name: str, tmp_path: Path) -> None:
    decoder, recorded = load(name, tmp_path)
    assert recorded is None
    cache = decoder.new_cache()
    assert decoder.forward(np.array([[1]]), cache) is not None


def test_two_threads_do_not_share_a_program(tmp_path: Path) -> None:
    decoder, recorded = load("gpt2", tmp_path)
    assert recorded is not None
    step = decoder.new_cache().begin_step(1)
    with recorded._in_use:  # as while another thread runs
        assert recorded(np.array([1]), step) is None
    assert recorded(np.array([1]), step) is not None
