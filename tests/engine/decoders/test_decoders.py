"""Every decoder against one pass over the whole sequence, without a cache, by transformers."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from gptterm.engine.decoders import native
from gptterm.engine.decoders.base import BatchedCache, Cache, Decoder
from gptterm.engine.decoders.transformers_decoder import TransformersDecoder
from gptterm.engine.runtime.model_files import read_json
from tests.engine.checkpoints import (
    ARCHITECTURES,
    CANNOT_GO_BACK,
    NATIVE,
    POSITIONS,
    VOCABULARY,
    WINDOW,
    draw_ids,
    feed,
    gpt2,
    make,
    reference,
    save,
)

TOLERANCE = 1e-4
SWITCHING = "phi3-longrope on kernels"
"""Has another rotary embedding for longer texts."""
DECODERS = [
    *ARCHITECTURES,
    *(f"{name} on torch" for name in NATIVE),
    *(SWITCHING, "gpt2 by transformers"),
]
IDS = draw_ids(POSITIONS)


@dataclass(frozen=True)
class Pair:
    """A decoder, and the model it must agree with."""

    decoder: Decoder
    model: Any
    logits: dict[tuple[int, ...], Tensor] = field(default_factory=dict)
    """Of the model, after ids: many tests ask for the same."""

    def expected(self, ids: list[int]) -> Tensor:
        """(vocabulary,) logits of the model after ids."""
        key = tuple(ids)
        if key not in self.logits:
            self.logits[key] = reference(self.model, ids)
        return self.logits[key]

    def feed(self, cache: Cache | BatchedCache, *rows: list[int], last: int = 1) -> Tensor:
        return feed(self.decoder, cache, *rows, last=last)

    def check(self, cache: Cache | BatchedCache, *rows: list[int], past: list[list[int]]) -> None:
        """Feed rows of ids and compare each row's logits with those after its whole past."""
        found = self.feed(cache, *rows)
        assert found.shape == (len(rows), VOCABULARY)
        for row, ids, before in zip(found, rows, past, strict=True):
            torch.testing.assert_close(row, self.expected(before + ids), rtol=0, atol=TOLERANCE)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Pair]:
    @cache
    def model_and_logits(name: str) -> tuple[Any, dict[tuple[int, ...], Tensor]]:
        return make(ARCHITECTURES[name]()), {}

    @cache
    def pair(name: str) -> Pair:
        model, logits = model_and_logits(name.split()[0])
        if name != SWITCHING and name.split(" on ")[0] not in NATIVE:
            return Pair(TransformersDecoder(model, "cpu", "float32"), model, logits)
        directory = save(model, tmp_path_factory.mktemp("decoders") / name)
        with pytest.MonkeyPatch.context() as patch:
            if name.endswith("on torch"):
                patch.setattr(native, "library", lambda: None)
            decoder = native.load(directory, read_json(directory / "config.json"), "cpu", "float32")
        assert decoder is not None
        return Pair(decoder, model, logits)

    return pair


@pytest.fixture(params=DECODERS)
def pair(request: pytest.FixtureRequest, pairs: Callable[[str], Pair]) -> Pair:
    return pairs(request.param)


# --------------------------------------------------------------------- the decoders' contract


def test_all_at_once(pair: Pair) -> None:
    pair.check(pair.decoder.new_cache(), IDS[:50], past=[[]])


def test_one_token_after_the_other(pair: Pair) -> None:
    cache = pair.decoder.new_cache()
    for i in range(40):
        pair.check(cache, [IDS[i]], past=[IDS[:i]])
        assert cache.length == i + 1


@pytest.mark.parametrize("chunks", [(30, 1, 7, 2, 20), (1, 30), (WINDOW, WINDOW, 1, WINDOW + 1)])
def test_in_chunks(pair: Pair, chunks: tuple[int, ...]) -> None:
    cache, at = pair.decoder.new_cache(), 0
    for size in chunks:
        pair.check(cache, IDS[at : at + size], past=[IDS[:at]])
        at += size


def test_a_chunk_whose_logits_are_not_wanted(pair: Pair) -> None:
    cache = pair.decoder.new_cache()
    assert pair.decoder.forward(np.array([IDS[:20]]), cache, last=0) is None
    assert cache.length == 20
    pair.check(cache, IDS[20:25], past=[IDS[:20]])


@pytest.mark.parametrize("length", [1, 10, 39, 40, 60, 0])
def test_after_a_crop(pair: Pair, length: int) -> None:
    cache = pair.decoder.new_cache()
    pair.feed(cache, IDS[:40])
    kept = cache.crop(length)
    assert kept == cache.length
    assert kept in (0, min(length, 40))
    pair.check(cache, IDS[kept:45], past=[IDS[:kept]])
    pair.check(cache, [7], past=[IDS[:45]])


def test_what_follows_a_crop_is_forgotten(pair: Pair) -> None:
    cache = pair.decoder.new_cache()
    pair.feed(cache, IDS[:30])
    kept = cache.crop(10)
    pair.check(cache, [*IDS[kept:10], 1, 2, 3], past=[IDS[:kept]])
    kept = cache.crop(11)
    pair.check(cache, [*[*IDS[:10], 1][kept:], 5], past=[[*IDS[:10], 1][:kept]])


@pytest.mark.parametrize("name", DECODERS)
def test_which_caches_can_go_back(name: str, pairs: Callable[[str], Pair]) -> None:
    pair = pairs(name)
    cache = pair.decoder.new_cache()
    pair.feed(cache, IDS[: WINDOW + 5])
    assert cache.crop(WINDOW) == (0 if name.split(" on ")[0] in CANNOT_GO_BACK else WINDOW)


def test_several_rows(pair: Pair) -> None:
    cache, rows = pair.decoder.new_cache(), pair.decoder.new_batched_cache()
    pair.feed(cache, IDS[:20])
    rows.add(cache, 3, 40)
    assert len(rows) == 3
    past = [IDS[:20]] * 3
    pair.check(rows, [1], [2], [3], past=past)
    pair.check(rows, [4], [4], [5], past=[[*IDS[:20], i] for i in (1, 2, 3)])
    # The cache they came from is as it was.
    assert cache.length == 20
    pair.check(cache, [9], past=[IDS[:20]])
    pair.check(rows, [6], [7], [8], past=[[*IDS[:20], *x] for x in ([1, 4], [2, 4], [3, 5])])


def test_the_last_row_takes_the_place_of_one_that_leaves(pair: Pair) -> None:
    cache, rows = pair.decoder.new_cache(), pair.decoder.new_batched_cache()
    pair.feed(cache, IDS[:20])
    rows.add(cache, 4, 40)
    pair.feed(rows, [1], [2], [3], [4])
    rows.remove(1)
    pair.check(rows, [5], [6], [7], past=[[*IDS[:20], i] for i in (1, 4, 3)])
    rows.remove(2)
    rows.remove(0)
    assert len(rows) == 1
    pair.check(rows, [8], past=[[*IDS[:20], 4, 6]])


@pytest.mark.parametrize("lengths", [(5, 30, 1, 30), (WINDOW + 3, WINDOW - 1, 2)])
def test_rows_of_different_lengths(pair: Pair, lengths: tuple[int, ...]) -> None:
    """They enter one after the other, some while others are under way, and leave."""
    decoder, rows = pair.decoder, pair.decoder.new_batched_cache()
    texts: list[list[int]] = []
    drawn = iter(IDS)

    def step() -> None:
        new = [[next(drawn)] for _ in texts]
        pair.check(rows, *new, past=texts)
        for text, ids in zip(texts, new, strict=True):
            text += ids

    for i, length in enumerate(lengths):
        cache = decoder.new_cache()
        ids = draw_ids(length, seed=i)
        pair.feed(cache, ids)
        rows.add(cache, 1 + i % 2, length + 100)  # more than those before have room for
        texts += [list(ids) for _ in range(1 + i % 2)]
        step()
        step()
    while texts:
        row = next(drawn) % len(texts)
        rows.remove(row)
        texts[row] = texts[-1]
        texts.pop()
        if texts:
            step()


def test_nothing_is_kept_after_a_crop_to_nothing(pair: Pair) -> None:
    cache = pair.decoder.new_cache()
    pair.feed(cache, IDS[:20])
    assert cache.crop(0) == 0
    pair.check(cache, [5, 6], past=[[]])


def test_the_last_position_and_none_beyond(pair: Pair) -> None:
    if pair.decoder.context_length > POSITIONS:
        pytest.skip("a model without a limit of its own")
    cache = pair.decoder.new_cache()
    pair.feed(cache, IDS[:-1])
    pair.check(cache, IDS[-1:], past=[IDS[:-1]])
    with pytest.raises(ValueError, match="129 tokens exceed the model's 128 positions"):
        pair.feed(cache, [1])
    with pytest.raises(ValueError, match="exceed"):
        pair.feed(pair.decoder.new_cache(), [*IDS, 1])
    assert cache.length == POSITIONS


def test_what_a_decoder_says_of_itself(pair: Pair) -> None:
    decoder, model = pair.decoder, pair.model
    assert decoder.architecture == type(model).__name__
    assert decoder.vocab_size == VOCABULARY
    assert decoder.parameters == sum(p.numel() for p in model.parameters())
    assert (decoder.device, decoder.dtype) == ("cpu", "float32")
    assert decoder.prefill_chunk > 0
    assert decoder.context_length in (POSITIONS, 8192)


# ---------------------------------------------------------------------------------- GPT-2's own


@pytest.fixture(scope="module")
def full_size(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """With as many positions as the published GPT-2."""
    model = make(gpt2(n_positions=1024))
    directory = save(model, tmp_path_factory.mktemp("decoders") / "full")
    decoder = native.load(directory, read_json(directory / "config.json"), "cpu", "float32")
    assert decoder is not None
    return Pair(decoder, model)


def test_position_1023_and_no_1024(full_size: Pair) -> None:
    ids = draw_ids(1024, seed=1)
    cache = full_size.decoder.new_cache()
    for start in range(0, 1023, 200):
        full_size.feed(cache, ids[start : min(start + 200, 1023)])
    full_size.check(cache, ids[1023:], past=[ids[:1023]])
    with pytest.raises(ValueError, match="1025 tokens exceed the model's 1024 positions"):
        full_size.feed(cache, [1])
    assert cache.crop(1000) == 1000
    full_size.check(cache, ids[1000:], past=[ids[:1000]])
    full_size.check(full_size.decoder.new_cache(), ids, past=[[]])


def test_rows_near_the_end_of_the_positions(full_size: Pair) -> None:
    ids = draw_ids(1022, seed=2)
    cache = full_size.decoder.new_cache()
    full_size.feed(cache, ids)
    rows = full_size.decoder.new_batched_cache()
    rows.add(cache, 2, 1024)
    full_size.check(rows, [1], [2], past=[ids, ids])
    full_size.check(rows, [3], [3], past=[[*ids, 1], [*ids, 2]])
    with pytest.raises(ValueError, match="1025 tokens exceed"):
        full_size.feed(rows, [1], [1])


def test_a_decoder_reads_only_what_config_promises(tmp_path: Path) -> None:
    directory = save(make(gpt2()), tmp_path)
    assert native.load(directory, {"model_type": "mamba"}, "cpu", "float32") is None
    assert native.load(directory, {}, "cpu", "float32") is None


def test_what_is_not_native_needs_no_kernels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native, "library", lambda: None)
    for dtype in ("float32", "float16"):
        assert native.load(tmp_path, {"model_type": "mamba"}, "cpu", dtype) is None
