"""The attention that all native decoders share, against the same written out."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from gptterm.engine.decoders.kernel_backend.kv_cache import KernelBatchedKVCache, KernelKVCache
from gptterm.engine.decoders.kv_cache import KVCache
from tests.engine.decoders.backends import Backend

HEADS, HEAD_DIM, CAPACITY = 2, 4, 40


def new_cache(backend: Backend, layers: int = 1) -> KVCache:
    # Whatever is in memory that no token has reached must not matter.
    keys = torch.full((layers, 1, HEADS, CAPACITY, HEAD_DIM), math.nan)
    return backend.sequence(keys, keys.clone())


def written_out(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    scale: float,
    window: int | None,
    soft_cap: float | None = None,
    bias: Tensor | None = None,
) -> Tensor:
    """(length, width) each, of one row; one head and one token after the other."""
    out = torch.empty_like(query)
    for head in range(HEADS):
        part = slice(head * HEAD_DIM, (head + 1) * HEAD_DIM)
        for i in range(len(query)):
            first = 0 if window is None else max(0, i - window + 1)
            scores = scale * (key[first : i + 1, part] @ query[i, part])
            if soft_cap is not None:
                scores = soft_cap * torch.tanh(scores / soft_cap)
            if bias is not None:
                scores = scores + bias[head, first : i + 1]
            out[i, part] = torch.softmax(scores, 0) @ value[first : i + 1, part]
    return out


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    chunks=st.lists(st.integers(1, 8), min_size=1, max_size=5),
    window=st.none() | st.integers(1, 12),
    scale=st.none() | st.just(1.0),
    soft_cap=st.none() | st.just(1.5),
    biased=st.booleans(),
    seed=st.integers(0, 9),
)
def test_a_text_in_chunks(
    backend: Backend,
    chunks: list[int],
    window: int | None,
    scale: float | None,
    soft_cap: float | None,
    biased: bool,
    seed: int,
) -> None:
    generator = torch.Generator().manual_seed(seed)
    bias = torch.randn(HEADS, CAPACITY, generator=generator) if biased else None
    changes: dict[str, Any] = {"window": window, "soft_cap": soft_cap, "bias": bias}
    rows = torch.randn(3, sum(chunks), HEADS * HEAD_DIM, generator=generator)
    cache, found, at = new_cache(backend), [], 0
    for n in chunks:
        step, new = cache.begin_step(n), slice(at, at + n)
        assert step.positions.tolist() == list(range(at, at + n))
        found.append(backend.attend(step, 0, rows[:, new], scale=scale, **changes))
        step.commit()
        at += n
        assert cache.length == at
    scale = scale or 1 / math.sqrt(HEAD_DIM)
    expected = written_out(rows[0], rows[1], rows[2], scale, **changes)
    torch.testing.assert_close(torch.cat(found), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("window", [None, 3])
def test_a_layers_window_is_its_own(backend: Backend, window: int | None) -> None:
    rows = torch.randn(3, 10, HEADS * HEAD_DIM)
    step = new_cache(backend, layers=2).begin_step(10)
    backend.attend(step, 0, rows, window=5)
    found = backend.attend(step, 1, rows, window=window)
    expected = written_out(rows[0], rows[1], rows[2], 1 / math.sqrt(HEAD_DIM), window)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


class _Sequences:
    """Sequences in a batch, and each alone."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self.batch = KernelBatchedKVCache()
        self.alone: list[KernelKVCache] = []

    def _random(self, *shape: int) -> NDArray[np.float32]:
        return self._rng.standard_normal(shape, dtype=np.float32)

    def add(self, length: int, copies: int) -> None:
        first, second = (self._random(2, 1, 2, 128, 8) for _ in range(2))
        self.batch.add(KernelKVCache(first, second, length), copies, 128)
        for _ in range(copies):
            self.alone.append(KernelKVCache(first.copy(), second.copy(), length))

    def remove(self, row: int) -> None:
        self.batch.remove(row)
        self.alone[row] = self.alone[-1]
        self.alone.pop()

    def step(self) -> None:
        """Decode a token of each, for the same bits in the batch and alone."""
        together = self.batch.begin_step(1)
        apart = [cache.begin_step(1) for cache in self.alone]
        for layer in range(2):
            q, k, v = (self._random(len(self.alone), 16) for _ in range(3))
            found = together.attend(layer, q, k, v)
            for row, step in enumerate(apart):
                one = slice(row, row + 1)
                own = step.attend(layer, q[one], k[one], v[one])
                np.testing.assert_array_equal(found[one], own)
        for each in (together, *apart):
            each.commit()

    def check_copy(self, row: int, kept: int) -> None:
        alone = self.alone[row]
        copy = KernelKVCache(np.zeros_like(alone.keys), np.zeros_like(alone.values))
        copy.length = kept
        for mine, its in ((copy.keys, alone.keys), (copy.values, alone.values)):
            mine[..., :kept, :] = its[..., :kept, :]
        self.batch.copy_row(row, copy)
        assert copy.length == alone.length
        for mine, its in ((copy.keys, alone.keys), (copy.values, alone.values)):
            np.testing.assert_array_equal(mine[..., : copy.length, :], its[..., : copy.length, :])


@given(data=st.data(), seed=st.integers(0, 99))
def test_what_sequences_share_stays_whoever_leaves(data: st.DataObject, seed: int) -> None:
    both = _Sequences(seed)
    for _ in range(data.draw(st.integers(1, 12))):
        rows = len(both.alone)
        match data.draw(st.sampled_from(["add", "remove", "step", "copy"] if rows else ["add"])):
            case "add":
                both.add(data.draw(st.integers(1, 100)), data.draw(st.integers(1, 4)))
            case "remove":
                both.remove(data.draw(st.integers(0, rows - 1)))
            case "step":
                both.step()
            case _:
                row = data.draw(st.integers(0, rows - 1))
                both.check_copy(row, data.draw(st.integers(0, both.alone[row].length)))
    if both.alone:
        both.step()


def test_copies_take_no_memory_of_their_own() -> None:
    both = _Sequences(0)
    both.add(100, 3)
    assert both.batch.sources == [0, 0, 0]
    assert both.batch.keys[0][0, :, :96].any()
    assert not both.batch.keys[0][1:, :, :96].any()
    both.step()
