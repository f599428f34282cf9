"""Conversions that are kept: found again, not mistaken, and no trouble where they cannot be."""

import contextlib
import json
import os
import resource
import shutil
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from gptterm.engine.decoders import int8_weights
from gptterm.engine.generation.engine import LocalEngine
from gptterm.engine.quantization import conversion_cache
from gptterm.engine.quantization.conversion_cache import Conversion
from gptterm.engine.stored_tensor import StoredTensor
from tests.engine.checkpoints import draw_ids, edit_config, load, log_probabilities, save

IDS = draw_ids(20)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GPTTERM_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def directory(model: Any, tmp_path: Path, home: Path) -> Path:
    assert not home.exists()
    return save(model, tmp_path / "gpt2")


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The layers whose weights were quantised, instead of found."""
    names = []
    get = int8_weights.Int8Weights.get

    def noted(self: Any, name: str, weight: StoredTensor) -> Any:
        before, self.quantised = self.quantised, False
        found = get(self, name, weight)
        if self.quantised:
            names.append(name)
        self.quantised |= before
        return found

    monkeypatch.setattr(int8_weights.Int8Weights, "get", noted)
    return names


def kept(directory: Path) -> Conversion:
    conversion = conversion_cache.find(directory)
    assert conversion is not None
    return conversion


def converted(directory: Path) -> Conversion:
    """After a first start in int8."""
    load(directory, "int8")
    return kept(directory)


def distribution(engine: LocalEngine) -> torch.Tensor:
    return log_probabilities(engine, IDS)


def test_the_second_start_finds_what_the_first_has_made(directory: Path, made: list[str]) -> None:
    first = load(directory, "int8")
    assert len(made) == 4 * 3 + 1
    made.clear()
    second = load(directory, "int8")
    assert made == []
    assert torch.equal(distribution(first), distribution(second))
    assert first.info.fidelity_kl == second.info.fidelity_kl == kept(directory).fidelity_kl
    assert 0 < kept(directory).fidelity_kl < 0.05


def test_only_int8_says_what_it_costs(directory: Path) -> None:
    assert load(directory).info.fidelity_kl is None


def test_it_is_one_file_for_this_user_only(directory: Path) -> None:
    path = converted(directory).path
    assert [path] == list(path.parent.iterdir())
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert set(load_file(path)) == {
        f"{name}.{kind}"
        for kind in ("int8", "scales")
        for name in (
            "wte.weight",
            *(
                f"h.{i}.{part}"
                for i in range(3)
                for part in ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")
            ),
        )
    }


# ----------------------------------------------------------------------------- another model


def retrain(directory: Path) -> None:
    """Other weights, as far as size and time go the same."""
    file = directory / "model.safetensors"
    status = file.stat()
    tensors = load_file(file)
    save_file({name: -tensor for name, tensor in tensors.items()}, file, {"format": "pt"})
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))


def touch(directory: Path) -> None:
    os.utime(directory / "model.safetensors")


def reconfigure(directory: Path) -> None:
    edit_config(directory, layer_norm_epsilon=0.1)


@pytest.mark.parametrize("change", [retrain, touch, reconfigure])
def test_another_model_is_converted_anew(
    change: Callable[[Path], None], directory: Path, made: list[str]
) -> None:
    converted(directory)
    made.clear()
    change(directory)
    assert conversion_cache.find(directory) is None
    load(directory, "int8")
    assert made
    assert len(conversion_cache.list_conversions()) == 2


def test_a_model_that_cannot_be_read_has_none(directory: Path) -> None:
    (directory / "model.safetensors").write_bytes(b"\xff" * 100)
    assert conversion_cache.find(directory) is None
    assert conversion_cache.find(directory / "nowhere") is None


# ------------------------------------------------------------------------ damaged or foreign


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1000] ^= 1
    path.write_bytes(data)


def noise(path: Path) -> None:
    path.write_bytes(os.urandom(5000))


def nested(path: Path) -> None:
    header = b"[" * 100_000
    path.write_bytes(len(header).to_bytes(8, "little") + header)


def other_format(path: Path) -> None:
    save_file(load_file(path), path, {"format": "gptterm int8 1", "fidelity_kl": "0.0"})


def of_other_shapes(path: Path) -> None:
    tensors = {
        name: np.ascontiguousarray(tensor[:, :5]) if tensor.ndim > 1 else tensor
        for name, tensor in load_file(path).items()
    }
    int8_weights.save_conversion(path, tensors, conversion_cache.metadata(0.0))


def without_a_layer(path: Path) -> None:
    tensors = load_file(path)
    del tensors["h.1.mlp.c_fc.int8"]
    int8_weights.save_conversion(path, tensors, conversion_cache.metadata(0.0))


def open_to_others(path: Path) -> None:
    path.chmod(0o644)


def folder_open_to_others(path: Path) -> None:
    path.parent.chmod(0o777)


def a_link(path: Path) -> None:
    path.rename(path.with_suffix(".elsewhere"))
    path.symlink_to(path.with_suffix(".elsewhere"))


def a_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    "fault",
    [
        cut,
        empty,
        flip,
        noise,
        nested,
        other_format,
        of_other_shapes,
        without_a_layer,
        open_to_others,
        folder_open_to_others,
        a_link,
        a_directory,
    ],
)
def test_what_cannot_be_trusted_is_made_again(
    fault: Callable[[Path], None], directory: Path, made: list[str]
) -> None:
    expected = distribution(load(directory, "int8"))
    conversion = kept(directory)
    made.clear()
    fault(conversion.path)
    again = load(directory, "int8")
    assert made
    assert torch.equal(distribution(again), expected)
    assert again.info.fidelity_kl == conversion.fidelity_kl
    made.clear()
    assert torch.equal(distribution(load(directory, "int8")), expected)
    if fault not in (folder_open_to_others, a_directory):  # those stay as somebody wants them
        assert made == []


# ------------------------------------------------------------------------- where none is kept


@contextlib.contextmanager
def full_disk() -> Iterator[None]:
    """Let no file grow beyond a few kilobytes."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_disk_that_is_full(home: Path, directory: Path) -> None:
    with full_disk():
        assert load(directory, "int8").info.fidelity_kl is not None
    assert conversion_cache.find(directory) is None
    assert list(home.rglob("*.part")) == []


def test_a_folder_that_cannot_be_made(home: Path, directory: Path) -> None:
    home.mkdir()
    (home / "cache").write_text("")
    assert load(directory, "int8").info.fidelity_kl is not None
    assert conversion_cache.find(directory) is None


def test_a_write_that_fails_leaves_the_old_one(tmp_path: Path) -> None:
    file = tmp_path / "x.safetensors"
    int8_weights.save_conversion(file, {"a": np.ones(3)}, conversion_cache.metadata(0.5))
    with pytest.raises(OSError, match="too large"), full_disk():
        int8_weights.save_conversion(file, {"a": np.ones(4000)}, conversion_cache.metadata(0.1))
    found = int8_weights.load_conversion(file)
    assert found is not None
    assert np.array_equal(found["a"], np.ones(3))
    assert list(tmp_path.iterdir()) == [file]


def test_the_oldest_go_when_there_are_too_many(directory: Path, tmp_path: Path) -> None:
    places = []
    for i in range(3):
        copy = shutil.copytree(directory, tmp_path / str(i))
        touch(copy)
        places.append(converted(copy))
        os.utime(places[i].path, (1e9 + i, 1e9 + i))
    conversion_cache.set_auto(places[1], True)
    load(tmp_path / "0", "int8")  # used just now
    conversion_cache.evict_beyond(2 * places[0].size)
    assert {x.path for x in conversion_cache.list_conversions()} == {places[0].path, places[2].path}
    assert sorted(x.suffix for x in conversion_cache.folder().iterdir()) == [".safetensors"] * 2


def test_the_file_is_that_of_the_safetensors_library(tmp_path: Path) -> None:
    file = tmp_path / "x.safetensors"
    arrays: dict[str, NDArray[Any]] = {
        "b.int8": np.arange(7, dtype=np.uint8),
        "b.scales": np.arange(3, dtype=np.float32),
        "a.int8": np.arange(60, dtype=np.uint8).reshape(3, 4, 5),
        "nothing": np.zeros((0, 2), np.uint8),
        "f64": np.ones(2),
        "ü": np.ones((2, 2), np.float16),
    }
    int8_weights.save_conversion(file, arrays, {})
    sums = {name: zlib.crc32(array.tobytes()) for name, array in arrays.items()}
    save_file(arrays, tmp_path / "theirs", {"sums": json.dumps(sums)})
    assert file.read_bytes() == (tmp_path / "theirs").read_bytes()


def test_a_conversion_of_the_safetensors_library_is_loaded(tmp_path: Path) -> None:
    file = tmp_path / "x.safetensors"
    arrays: dict[str, NDArray[Any]] = {
        "a": np.arange(7, dtype=np.uint8),
        "b": np.ones((3, 3), np.float32),
    }
    sums = {name: zlib.crc32(array.tobytes()) for name, array in arrays.items()}
    save_file(arrays, file, {"sums": json.dumps(sums)})
    found = int8_weights.load_conversion(file)
    assert found is not None
    assert found.keys() == arrays.keys()
    assert all(np.array_equal(found[name], arrays[name]) for name in arrays)
    save_file(arrays, file, {"sums": json.dumps(sums | {"a": 0})})
    assert int8_weights.load_conversion(file) is None
    save_file(arrays, file, {"sums": "[" * 100_000})
    assert int8_weights.load_conversion(file) is None


# ------------------------------------------------------------------------------------- auto


def tell(conversion: Conversion, kl: float) -> None:
    """Let a conversion say another KL divergence of itself."""
    int8_weights.save_conversion(
        conversion.path, load_file(conversion.path), conversion_cache.metadata(kl)
    )


@pytest.mark.parametrize(
    ("kl", "dtype"),
    [(0.0, "int8"), (0.01, "int8"), (0.0101, "float32"), (float("nan"), "float32")],
)
def test_auto_takes_one_that_is_wanted_and_near_enough(
    kl: float, dtype: str, directory: Path
) -> None:
    conversion = converted(directory)
    tell(conversion, kl)
    assert load(directory, "auto").info.dtype == "float32"
    conversion_cache.set_auto(conversion, True)
    assert load(directory, "auto").info.dtype == dtype
    assert load(directory, "float32").info.dtype == "float32"
    conversion_cache.set_auto(conversion, False)
    assert load(directory, "auto").info.dtype == "float32"


def test_a_conversion_that_is_removed(directory: Path) -> None:
    conversion = converted(directory)
    conversion_cache.set_auto(conversion, True)
    assert conversion_cache.remove(directory) == conversion.size
    assert list(conversion.path.parent.iterdir()) == []
    assert load(directory, "auto").info.dtype == "float32"
    assert conversion_cache.remove(directory) == 0


def test_the_file_says_what_it_is(directory: Path) -> None:
    path = converted(directory).path
    length = int.from_bytes(path.read_bytes()[:8], "little")
    told = json.loads(path.read_bytes()[8 : 8 + length])["__metadata__"]
    assert told["format"] == "gptterm int8 3"
    assert float(told["fidelity_kl"]) == kept(directory).fidelity_kl
