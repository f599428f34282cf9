"""Models in int8: their logits, and their fidelity."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gptterm.engine.decoders import native
from gptterm.engine.decoders.native_decoder import NativeDecoder
from gptterm.engine.quantization import fidelity
from gptterm.engine.runtime.model_files import read_json
from gptterm.errors import ModelError
from tests.engine.checkpoints import draw_ids, feed, save

# -------------------------------------------------------------------------------- whole models


@pytest.fixture
def directory(model: Any, tmp_path: Path) -> Path:
    return save(model, tmp_path / "gpt2")


def decoder(directory: Path, dtype: str) -> NativeDecoder:
    made = native.load(directory, read_json(directory / "config.json"), "cpu", dtype)
    assert made is not None
    return made


def all_logits(decoder: NativeDecoder, ids: list[int]) -> Any:
    """After each of the ids of a text."""
    return decoder.forward(np.array([ids]), decoder.new_cache(), last=len(ids))


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_every_logit_of_a_text(directory: Path, dtype: str) -> None:
    found = decoder(directory, dtype)
    ids = draw_ids(20)
    every = torch.from_numpy(all_logits(found, ids))
    for i in (0, 1, 10, 19):
        cache = found.new_cache()
        last = feed(found, cache, ids[: i + 1])
        torch.testing.assert_close(every[i], last[0], rtol=0, atol=2e-3)


def test_the_kl_divergence_is_that_of_its_definition(directory: Path) -> None:
    exact, rough = decoder(directory, "float32"), decoder(directory, "int8")
    ids = draw_ids(30)
    p = torch.from_numpy(all_logits(exact, ids)).double().softmax(1)
    q = torch.from_numpy(all_logits(rough, ids)).double().softmax(1)
    expected = float((p * (p / q).log()).sum() / 30)
    assert fidelity.mean_kl(exact, rough, ids) == pytest.approx(expected, rel=1e-2)
    assert fidelity.mean_kl(exact, exact, ids) == pytest.approx(0, abs=1e-7)


def test_a_text_longer_than_the_context_is_cut(directory: Path) -> None:
    exact = decoder(directory, "float32")
    assert fidelity.mean_kl(exact, exact, draw_ids(400)) == pytest.approx(0, abs=1e-7)


# ------------------------------------------------------------------------------ other machines


@pytest.mark.parametrize("dtype", ["int8", "float16"])
def test_without_kernels_some_dtypes_are_refused(
    directory: Path, dtype: str, without_kernels: Callable[[], None]
) -> None:
    without_kernels()
    with pytest.raises(ModelError, match=r"C compiler.*--dtype float32 works everywhere") as caught:
        decoder(directory, dtype)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("dtype", "bound"), [("float32", 1e-4), ("bfloat16", 0.3)])
def test_without_kernels_the_others_are_torchs(
    directory: Path, dtype: str, bound: float, without_kernels: Callable[[], None]
) -> None:
    ids = draw_ids(20)
    own = decoder(directory, dtype)
    assert own.supports_speculation
    expected = torch.from_numpy(all_logits(own, ids))
    without_kernels()
    torchs = decoder(directory, dtype)
    assert not torchs.supports_speculation
    assert own.notices == ()
    (notice,) = torchs.notices
    assert "install a C compiler" in notice
    found = torch.from_numpy(all_logits(torchs, ids))
    torch.testing.assert_close(found, expected, rtol=0, atol=bound)
    cache = torchs.new_cache()
    for i in range(3):
        one = feed(torchs, cache, [ids[i]])
        torch.testing.assert_close(one[0], expected[i], rtol=0, atol=bound)
