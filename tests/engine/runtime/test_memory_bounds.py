"""Memory bounds: what will not fit is told before memory is taken, with the sizes."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from gptterm.engine.api import Dtype, Failed, GenerateRequest, TokenPrompt
from gptterm.engine.decoders.transformers_decoder import placement, spread_notices
from gptterm.engine.generation import loader
from gptterm.engine.gguf.reader import read_header
from gptterm.engine.runtime import device, memory_bounds
from gptterm.errors import OutOfMemoryError
from tests.engine.checkpoints import ARCHITECTURES, library, load, make, save
from tests.engine.gguf.models import load as load_gguf
from tests.engine.gguf.models import save_gguf

GIB = 1 << 30


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Free bytes by device, as the tests set them."""
    sizes = {"cpu": 4 * GIB, "cuda:0": 8 * GIB, "cuda:1": 2 * GIB, "mps": 4 * GIB}
    monkeypatch.setattr(device, "_cuda_devices", lambda: 2)
    monkeypatch.setattr(memory_bounds, "free_memory", sizes.__getitem__)
    monkeypatch.setattr(memory_bounds, "available_memory", lambda: sizes["cpu"])
    return sizes


@pytest.mark.parametrize(
    ("gib", "name", "expected"),
    [
        (3, "cpu", {"": "cpu"}),
        (5, "cpu", "the weights take 5.4 GB, and cpu has 4.3 GB free"),
        (7, "cuda:0", {"": "cuda:0"}),
        (9, "cuda:0", "auto"),
        (12, "cuda:0", "auto"),  # more than one GPU with main memory
        (13, "cuda:1", r"take 14 GB, and cuda:0 \+ cuda:1 with main memory has 15 GB"),
        (5, "mps", "the weights take 5.4 GB, and mps has 4.3 GB free"),
    ],
)
def test_a_model_is_placed_spread_or_refused(
    gib: int, name: str, expected: Any, free: dict[str, int]
) -> None:
    assert free
    if isinstance(expected, str) and expected != "auto":
        with pytest.raises(OutOfMemoryError, match=expected):
            placement(gib * GIB, name)
    else:
        assert placement(gib * GIB, name) == {"device_map": expected}


def test_a_spread_model_says_so(tmp_path: Path) -> None:
    directory = save(make(ARCHITECTURES["olmo"]()), tmp_path / "model")
    model = library.AutoModelForCausalLM.from_pretrained(
        directory, device_map={"model": "cpu", "lm_head": "disk"}, offload_folder=tmp_path / "rest"
    )
    assert spread_notices(model) == (
        "too large for one device: spread over cpu, disk, and slower for it",
    )


def test_a_model_that_one_gpu_cannot_hold_goes_through_the_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = save(make(ARCHITECTURES["llama"]()), tmp_path)
    assert load(directory).info.decoder == "native"
    monkeypatch.setattr(loader, "is_spread", lambda *_: True)
    assert load(directory).info.decoder == "transformers"


def test_a_gguf_file_is_placed_as_any_model_is(
    tmp_path: Path, free: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make(ARCHITECTURES["llama"]())
    file = save_gguf(model, tmp_path / "m.gguf", "llama")
    monkeypatch.setattr(memory_bounds, "_SMALL", 0)
    free |= {"cuda:0": 1000, "cuda:1": 1000, "cpu": 1000}
    with pytest.raises(OutOfMemoryError, match=r"take .* and cuda:0 \+ cuda:1 with main"):
        loader._load_gguf(read_header(file), "cuda:0", "bfloat16", [], None)
    with pytest.raises(OutOfMemoryError, match=r"the weights take .* and cpu has 1.0 kB free"):
        load_gguf(file)
    free |= {"cpu": GIB, "cuda:0": GIB}
    assert load_gguf(file).info.decoder == "native"
    monkeypatch.setattr(loader, "is_spread", lambda *_: True)
    assert load_gguf(file).info.decoder == "transformers"


def test_a_prompt_without_room_is_refused(
    tmp_path: Path, free: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory_bounds, "_SMALL", 0)
    engine = load(save(make(ARCHITECTURES["llama"]()), tmp_path))
    free["cpu"] = 20 * engine.decoder.cache_bytes_per_token
    ids = tuple(range(16))
    for tokens, fits in ((4, True), (5, False)):
        request = GenerateRequest(prompt=TokenPrompt(ids=ids), max_tokens=tokens, ignore_eos=True)
        *_, last = engine.generate(request)
        assert isinstance(last, Failed) != fits
        if isinstance(last, Failed):
            assert last.kind == "out_of_memory"
            assert "KV cache" in last.message
        ids = tuple(range(100, 116))  # nothing of it is cached
    free["cpu"] = 100
    dtypes: tuple[Dtype, ...] = ("bfloat16", "int8")
    for dtype in dtypes:
        with pytest.raises(OutOfMemoryError, match=r"the weights take .* and cpu has 100 bytes"):
            load(tmp_path, dtype)
    load(tmp_path)  # mapped: nothing is taken


def test_a_container_has_a_limit_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.current").write_text("700\n")
    (tmp_path / "memory.stat").write_text("anon 400\ninactive_file 200\nactive_file 50\n")
    assert device.room_of_group(tmp_path) == 550
    (tmp_path / "memory.max").write_text("max\n")
    assert device.room_of_group(tmp_path) == float("inf")
    shutil.rmtree(tmp_path)
    assert device.room_of_group(tmp_path) == float("inf")
