"""The header check agrees with the safetensors library about every way to damage a file."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import SafetensorError
from safetensors.numpy import load, save

from gptterm.engine.runtime.safetensors_header import SafetensorsHeaderError, read_header

WHOLE = save(
    {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.ones(5, np.int8)}, {"format": "pt"}
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "model.safetensors"


def packed(header: object, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def test_a_whole_file(file: Path) -> None:
    file.write_bytes(WHOLE)
    header = read_header(file)
    assert header.metadata == {"format": "pt"}
    assert header.parameters == 11
    assert {name: tensor.dtype for name, tensor in header.tensors.items()} == {
        "a": "F32",
        "b": "I8",
    }
    assert packed(header.raw) == WHOLE[: 8 + len(header.raw)]
    file.write_bytes(save({}))
    assert read_header(file).metadata == {}


def test_every_truncation_is_noticed(file: Path) -> None:
    for length in range(len(WHOLE)):
        file.write_bytes(WHOLE[:length])
        with pytest.raises(SafetensorsHeaderError, match="truncated"):
            read_header(file)


def tensor(dtype: str = "F32", shape: object = (1,), offsets: object = (0, 4)) -> object:
    return {"t": {"dtype": dtype, "shape": shape, "data_offsets": offsets}}


def two(first: object, second: object) -> object:
    entries = ({"dtype": "F32", "shape": [1], "data_offsets": x} for x in (first, second))
    return dict(zip("ab", entries, strict=True))


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(WHOLE + b"\0", id="bytes after the end"),
        pytest.param(b"<html>404 not found</html>", id="an error page"),
        pytest.param(b"version https://git-lfs.github.com/spec/v1\n", id="a Git LFS pointer"),
        pytest.param(packed(b"{"), id="half a header"),
        pytest.param(packed(b"\xff\xfe"), id="not UTF-8"),
        pytest.param(packed([]), id="a list"),
        pytest.param(packed({"t": 1}), id="no tensor"),
        pytest.param(packed(tensor(offsets=(4, 0)), bytes(4)), id="backwards"),
        pytest.param(packed(tensor(offsets=(-4, 4)), bytes(4)), id="before the data"),
        pytest.param(packed(tensor(shape=(2,)), bytes(4)), id="too small for its shape"),
        pytest.param(packed(tensor(shape=(-1,)), bytes(4)), id="a negative dimension"),
        pytest.param(packed(tensor(shape=("1",)), bytes(4)), id="a text for a dimension"),
        pytest.param(packed(two((0, 4), (0, 4)), bytes(4)), id="one on the other"),
        pytest.param(packed(two((0, 4), (5, 9)), bytes(9)), id="a gap"),
        pytest.param(packed(two((1, 5), (5, 9)), bytes(9)), id="a gap before the first"),
        pytest.param(packed({"__metadata__": {"a": 1}}), id="a number as metadata"),
        pytest.param((2**40).to_bytes(8, "little") + b"{}", id="a header of a terabyte"),
    ],
)
def test_damage(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(SafetensorsHeaderError):
        read_header(file)
    with pytest.raises(SafetensorError):
        load(content)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(position=st.integers(0, len(WHOLE) - 1), value=st.integers(0, 255))
def test_what_the_library_reads_passes(file: Path, position: int, value: int) -> None:
    """The check may be milder than the library, which looks again; it must never be stricter."""
    changed = bytearray(WHOLE)
    changed[position] = value
    file.write_bytes(changed)
    try:
        load(bytes(changed))
    except SafetensorError:
        return
    read_header(file)
