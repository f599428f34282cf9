"""KV caches in other dtypes: the same text however it is fed, and what int8 costs."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gptterm.engine.api import KVDtype, LoadRequest, ModelSource
from gptterm.engine.decoders.base import Decoder, Logits
from gptterm.engine.decoders.kernel_backend.decoder import KernelDecoder
from gptterm.engine.decoders.kernel_backend.kv_cache import KernelKVCache
from gptterm.engine.generation.engine import LocalEngine
from gptterm.engine.generation.loader import load_engine
from gptterm.engine.kernels.attention import unscaled
from gptterm.engine.quantization import kv_fidelity
from tests.engine.checkpoints import ARCHITECTURES, draw_ids, make, save

IDS = np.array([draw_ids(40)])


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GPTTERM_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def load(directory: Path, dtype: KVDtype) -> LocalEngine:
    source = ModelSource(name="m", directory=str(directory))
    return load_engine(LoadRequest(source=source, device="cpu", kv_dtype=dtype))


def kernels(directory: Path, dtype: KVDtype) -> KernelDecoder:
    decoder = load(directory, dtype).decoder
    assert isinstance(decoder, KernelDecoder)
    return decoder


def fed(decoder: Decoder, cache: Any, ids: Any) -> Logits:
    """Logits after all of the ids."""
    logits = decoder.forward(np.array(ids), cache, last=1)
    assert logits is not None
    return logits


# Grouped queries and odd widths, a window with capped scores, biases by distance.
@pytest.mark.parametrize("name", ["llama-odd", "gemma2", "bloom"])
def test_a_text_has_the_same_bits_however_it_is_fed(name: str, tmp_path: Path, home: Path) -> None:
    assert home
    decoder = kernels(save(make(ARCHITECTURES[name]()), tmp_path / "model"), "int8")
    whole, cut, cropped, copied = (decoder.new_cache() for _ in range(4))
    expected = fed(decoder, whole, IDS)
    for start, end in ((0, 7), (7, 8), (8, 39)):
        fed(decoder, cut, IDS[:, start:end])
    np.testing.assert_array_equal(fed(decoder, cut, IDS[:, 39:]), expected)
    fed(decoder, cropped, IDS[:, ::-1])
    cropped.crop(0)
    fed(decoder, cropped, IDS[:, :39])
    copied.copy_from(whole, 39)
    batch = decoder.new_batched_cache()
    for cache in (cropped, copied):
        batch.add(cache, 1, 50)
    found = decoder.forward(IDS[:, [39, 39]].T, batch)
    np.testing.assert_array_equal(found, np.concatenate([expected, expected]))
    batch.copy_row(1, cropped)
    next_token = np.array([[3]])
    np.testing.assert_array_equal(
        fed(decoder, cropped, next_token), fed(decoder, whole, next_token)
    )


def test_int8_is_attended_to_as_the_numbers_that_it_stands_for(saved: Path, home: Path) -> None:
    assert home
    decoder = kernels(saved, "int8")
    cache = decoder.new_cache()
    fed(decoder, cache, IDS)
    floats = KernelKVCache(unscaled(cache.keys), unscaled(cache.values), 40)
    # The last token's own key and value are in float32 there.
    found, exact = (fed(decoder, each, [[3]]) for each in (cache, floats))
    np.testing.assert_allclose(found, exact, rtol=0, atol=0.02)
    np.testing.assert_allclose(cache.keys_of(0, 40), floats.keys_of(0, 40))


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
def test_a_token_takes_what_is_told(saved: Path, home: Path, dtype: KVDtype) -> None:
    assert home
    engine = load(saved, dtype)
    cache: Any = engine.decoder.new_cache()
    assert (engine.info.kv_dtype, str(cache.keys.dtype)) == (dtype, dtype)
    told = engine.info.cache_bytes_per_token
    assert told == (cache.keys.nbytes + cache.values.nbytes) / cache.capacity
    assert (engine.info.kv_fidelity_kl is None) == (dtype != "int8")


def test_the_loss_is_measured_once(
    saved: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load(saved, "int8").info.kv_fidelity_kl
    assert first is not None
    assert 0 < first < 0.01
    file = home / "cache" / "kv_int8.json"
    assert file.stat().st_mode & 0o777 == 0o600
    monkeypatch.setattr(kv_fidelity, "cache_kl", lambda *_: pytest.fail("measured again"))
    assert load(saved, "int8").info.kv_fidelity_kl == first
    source = ModelSource(name="m", directory=str(saved))
    assert kv_fidelity.known_fidelity(LoadRequest(source=source)) == first
    monkeypatch.setattr(kv_fidelity, "cache_kl", lambda *_: 0.5)
    for damaged in ("", "[]", '{"a": "b"}', "{" * 10_000):
        file.write_text(damaged)
        assert load(saved, "int8").info.kv_fidelity_kl == 0.5
        assert list(json.loads(file.read_text()).values()) == [0.5]
    file.unlink()
    file.mkdir()
    assert load(saved, "int8").info.kv_fidelity_kl == 0.5


def test_few_models_are_remembered(home: Path, tmp_path: Path) -> None:
    assert home
    requests = [
        LoadRequest(source=ModelSource(name="m", directory=str(tmp_path / str(i))))
        for i in range(kv_fidelity._MOST + 2)
    ]
    for i, request in enumerate(requests):
        Path(request.source.directory).mkdir()
        kv_fidelity._remember(request, float(i))
    found = [kv_fidelity.known_fidelity(request) for request in requests]
    assert found == [None, None, *map(float, range(2, len(requests)))]


def test_other_decoders_say_that_it_is_not_used(
    saved: Path, home: Path, tmp_path: Path, without_kernels: Callable[[], None]
) -> None:
    assert home
    library = save(make(ARCHITECTURES["olmo"]()), tmp_path / "model")
    without_kernels()
    for directory in (saved, library):
        info = load(directory, "int8").info
        (notice,) = (line for line in info.notices if "kv-dtype" in line)
        assert notice.endswith("the KV cache of this one is kept in float32")
        assert (info.kv_dtype, info.kv_fidelity_kl) == ("float32", None)
        assert not any("kv-dtype" in line for line in load(directory, "float32").info.notices)
