"""The attention that all native decoders share, against the same written out."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
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


def test_rows_added_together_are_known_whoever_leaves() -> None:
    def sequence(length: int) -> KernelKVCache:
        empty = np.zeros((1, 1, 2, 40, 4), np.float32)
        return KernelKVCache(empty, empty.copy(), length)

    def alike() -> list[list[int]] | None:
        found = cache._read_once()
        return None if found is None else [numbers.tolist() for numbers in found]

    cache = KernelBatchedKVCache()
    cache.add(sequence(33), 3, 40)
    cache.add(sequence(5), 1, 40)
    assert alike() == [[0, 0, 0, 3], [33, 33, 33, 5]]
    cache.remove(0)  # the last one takes its row
    assert alike() == [[0, 1, 1], [5, 33, 33]]
    cache.remove(1)
    assert alike() is None
