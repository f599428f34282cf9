"""No step writes beyond a KV cache: it is refused, and the cache is as it was."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from gptterm.engine.decoders import native
from gptterm.engine.decoders.batched_kv_cache import BatchedKVCache
from gptterm.engine.decoders.config import DecoderConfig
from gptterm.engine.decoders.kernel_backend.kv_cache import reserve
from gptterm.engine.decoders.kv_cache import KVCache
from gptterm.engine.decoders.native_decoder import NativeDecoder
from gptterm.engine.decoders.torch_backend.static_kv_cache import StaticKVCache
from gptterm.engine.runtime.model_files import read_json
from gptterm.errors import ModelError
from tests.engine.checkpoints import draw_ids, feed, gpt2, make, save
from tests.engine.decoders.backends import KERNELS, Backend

HEADS, HEAD_DIM, CAPACITY = 2, 4, 6
AnyCache = KVCache | BatchedKVCache | StaticKVCache


def random(capacity: int = CAPACITY) -> Tensor:
    """Keys and values of one layer."""
    shape = (2, 1, 1, HEADS, capacity, HEAD_DIM)
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def sequence(backend: Backend, length: int, capacity: int = CAPACITY) -> KVCache:
    keys, values = random(capacity)
    return backend.sequence(keys, values, length)


def batch(backend: Backend, *lengths: int) -> BatchedKVCache:
    """Of the 64 columns that are the fewest."""
    made = backend.batched_kv_cache()
    for length in lengths:
        made.add(sequence(backend, length, max(length, 1)), 1, length)
    return made


def static(length: int) -> StaticKVCache:
    keys, values = random()
    made = StaticKVCache(keys, values)
    made.rewind(length)
    return made


FULL: dict[str, Callable[[Backend], AnyCache]] = {
    "sequence": lambda backend: sequence(backend, CAPACITY),
    "batch": lambda backend: batch(backend, 64),
    "ragged batch": lambda backend: batch(backend, 3, 64, 7),
    "static": lambda _: static(CAPACITY),
}


def contents(backend: Backend, cache: AnyCache) -> list[Tensor]:
    """As integers: what was never written may be NaN, which is not equal to itself."""
    to_tensor = torch.as_tensor if isinstance(cache, StaticKVCache) else backend.tensor
    return [to_tensor(x).clone().view(torch.int32) for x in (*cache.keys, *cache.values)]


def attend(backend: Backend, cache: AnyCache, n: int, rows: int = 1) -> None:
    step = cache.begin_step(n)
    backend.attend(step, 0, torch.ones(3, n * rows, HEADS * HEAD_DIM))
    step.commit()


@pytest.mark.parametrize("name", FULL)
def test_a_full_cache_takes_no_token(backend: Backend, name: str) -> None:
    cache = FULL[name](backend)
    before = contents(backend, cache)
    with pytest.raises(ValueError, match=r"capacity"):
        attend(backend, cache, 1)
    assert all(map(torch.equal, contents(backend, cache), before))


@pytest.mark.parametrize(("length", "n"), [(5, 2), (0, 7), (6, 1), (-1, 1), (-3, 2)])
def test_a_sequence_takes_what_it_has_room_for(backend: Backend, length: int, n: int) -> None:
    cache = sequence(backend, length)
    with pytest.raises(ValueError, match=f"{n} more tokens after {length} do not fit .* 6; crop"):
        attend(backend, cache, n)
    assert cache.length == length
    full = sequence(backend, CAPACITY - n if n <= CAPACITY else 0)
    attend(backend, full, min(n, CAPACITY))
    assert full.length == CAPACITY


def test_a_batch_ends_at_its_longest_sequence(backend: Backend) -> None:
    cache = batch(backend, 60, 2)
    for _ in range(4):
        attend(backend, cache, 1, rows=2)
    assert cache.lengths == [64, 6]
    with pytest.raises(ValueError, match="after 64 do not fit"):
        attend(backend, cache, 1, rows=2)
    assert cache.lengths == [64, 6]
    cache.remove(0)
    attend(backend, cache, 1)
    assert cache.lengths == [7]


@pytest.mark.parametrize("n", [0, -1])
def test_a_step_of_no_token(backend: Backend, n: int) -> None:
    for cache in (sequence(backend, 2), batch(backend, 2), static(2)):
        with pytest.raises(ValueError, match="token"):
            cache.begin_step(n)


def test_a_batch_without_sequences(backend: Backend) -> None:
    with pytest.raises(ValueError, match="holds no sequences"):
        backend.batched_kv_cache().begin_step(1)


@pytest.mark.parametrize("row", [-1, 2])
def test_a_row_that_is_not_there(backend: Backend, row: int) -> None:
    cache = batch(backend, 2, 3)
    with pytest.raises(IndexError):
        cache.remove(row)
    assert cache.lengths == [2, 3]


def test_lengths_that_cannot_be(backend: Backend) -> None:
    with pytest.raises(ValueError, match="cropped to -1"):
        sequence(backend, 3).crop(-1)
    for length in (-1, CAPACITY + 1):
        with pytest.raises(ValueError, match="do not fit"):
            static(0).rewind(length)


def test_keys_and_values_that_differ() -> None:
    keys = np.zeros((2, 1, HEADS, CAPACITY, HEAD_DIM), np.float32)
    for values in (
        np.zeros((2, 1, HEADS, CAPACITY - 1, HEAD_DIM), np.float32),
        np.zeros((2, 1, HEADS, CAPACITY, HEAD_DIM), np.float16),
        np.zeros((2, 1, HEADS, HEAD_DIM, CAPACITY), np.float32).swapaxes(3, 4),
    ):
        with pytest.raises(ValueError, match="keys and values must be"):
            KERNELS.kv_cache(keys, values, 0)


def test_no_room_for_a_cache() -> None:
    for shape in ((1 << 60,), (1 << 70,)):
        with pytest.raises(MemoryError):
            reserve(shape, np.dtype(np.float32))
    assert reserve((0, 4), np.dtype(np.float32)).shape == (0, 4)


# ------------------------------------------------------------------------------ whole decoders


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return save(make(gpt2(n_positions=1024)), tmp_path / "model")


def decoder(directory: Path) -> NativeDecoder:
    made = native.load(directory, read_json(directory / "config.json"), "cpu", "float32")
    assert made is not None
    return made


OVERRUN = """\
import json, sys
import numpy as np
from pathlib import Path
from gptterm.engine.decoders import native
directory = Path(sys.argv[1])
config = json.loads((directory / "config.json").read_text())
decoder = native.load(directory, config, "cpu", "float32")
cache, batch = decoder.new_cache(), decoder.new_batched_cache()
decoder.forward(np.array([[1, 2]]), cache)
batch.add(cache, 2, capacity=4)
try:
    for step in range(200):
        decoder.forward(np.array([[3], [4]]), batch)
except ValueError as error:
    print(json.dumps([step, str(error)]))
"""


def test_more_steps_than_were_asked_for_do_not_crash(directory: Path) -> None:
    """In a process of its own: what is wrong here may end it, or another test later on."""
    done = subprocess.run(
        [sys.executable, "-c", OVERRUN, str(directory)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    step, message = json.loads(done.stdout)
    assert step == 62  # 2 tokens were there, and columns come by 64
    assert "after 64 do not fit the KV cache's capacity of 64" in message


@pytest.mark.usefixtures("backend")
def test_a_failed_step_leaves_the_batch_as_it_was(directory: Path) -> None:
    own = decoder(directory)
    cache, rows = own.new_cache(), own.new_batched_cache()
    feed(own, cache, draw_ids(62))
    rows.add(cache, 2, 63)
    for _ in range(2):
        feed(own, rows, [3], [4])
    with pytest.raises(ValueError, match="capacity"):
        feed(own, rows, [3], [4])
    rows.add(cache, 1, 100)  # which makes room for all
    found = feed(own, rows, [5], [5], [5])
    longer = own.new_cache()
    expected = feed(own, longer, [*draw_ids(62), 3, 3, 5])
    torch.testing.assert_close(found[0], expected[0], rtol=0, atol=1e-4)


@pytest.mark.usefixtures("backend")
def test_ids_for_another_number_of_rows(directory: Path) -> None:
    own = decoder(directory)
    cache, rows = own.new_cache(), own.new_batched_cache()
    with pytest.raises(ValueError, match="4 ids for a step of 2"):
        feed(own, cache, [1, 2], [3, 4])
    feed(own, cache, [1, 2])
    rows.add(cache, 1, 10)
    with pytest.raises(ValueError, match="2 ids for a step of 1"):
        feed(own, rows, [1], [2])


@pytest.mark.parametrize("windows", [(None, 0), (None, -4), (None,), (None, 5, 5)])
def test_windows_that_are_none(windows: Any) -> None:
    with pytest.raises(ModelError, match="window"):
        DecoderConfig(
            vocab_size=10,
            context_length=10,
            hidden_size=8,
            intermediate_size=8,
            num_layers=2,
            num_heads=2,
            norm_epsilon=1e-5,
            tie_word_embeddings=True,
            windows=windows,
        )
