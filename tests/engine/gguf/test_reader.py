"""The header of a GGUF file, against the `gguf` package; and what is no such file."""

import contextlib
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, GGUFReader
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gptterm.engine.gguf.reader import read_header
from gptterm.engine.gguf.types import TYPES
from gptterm.errors import ModelError
from tests.engine.gguf.files import write_gguf

METADATA = {
    "llama.context_length": 2048,
    "llama.rope.freq_base": 10000.0,
    "general.name": "A model — ünïcode",
    "tokenizer.ggml.add_bos_token": True,
    "tokenizer.ggml.tokens": ["a", "", "▁b", "日本"],
    "tokenizer.ggml.scores": [0.0, -1.5, 2.0, 1.0],
    "tokenizer.ggml.token_type": [1, 2, 3, 6],
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    tensors: dict[str, NDArray[Any]] = {
        "one.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
        "two.weight": np.ones((4, 8), dtype=np.float16),
        "three.bias": np.ones(5, dtype=np.float32),
    }
    return write_gguf(tmp_path / "m.gguf", METADATA, tensors)


def test_the_table_of_types_is_the_packages() -> None:
    for kind in TYPES.values():
        theirs = GGMLQuantizationType[kind.name]
        assert GGML_QUANT_SIZES[theirs] == (kind.block, kind.size)
    for number, kind in TYPES.items():
        assert GGMLQuantizationType(number).name == kind.name


def test_it_reads_what_the_package_reads(file: Path) -> None:
    header = read_header(file)
    theirs = GGUFReader(file)
    assert header.metadata["general.architecture"] == "llama"
    for key, value in METADATA.items():
        assert header.metadata[key] == value
    assert list(header.tensors) == [tensor.name for tensor in theirs.tensors]
    data = file.read_bytes()
    for tensor in theirs.tensors:
        ours = header.tensors[tensor.name]
        assert ours.shape == tuple(int(n) for n in tensor.shape[::-1])
        assert (ours.offset, ours.size) == (int(tensor.data_offset), int(tensor.n_bytes))
        assert ours.type.name == tensor.tensor_type.name
        assert data[ours.offset : ours.offset + ours.size] == tensor.data.tobytes()


def test_values_of_another_type_count_as_absent(file: Path) -> None:
    header = read_header(file)
    assert header.text("llama.context_length") is None
    assert header.number("general.name") is header.number("tokenizer.ggml.add_bos_token") is None
    assert header.flag("llama.context_length") is None
    assert header.texts("general.name") == header.texts("nowhere") == []
    assert header.numbers("tokenizer.ggml.tokens") == []


def test_cut_anywhere_it_is_said_to_be_cut(file: Path, tmp_path: Path) -> None:
    data, part = file.read_bytes(), tmp_path / "part.gguf"
    end = max(tensor.offset + tensor.size for tensor in read_header(file).tensors.values())
    for length in range(end):
        part.write_bytes(data[:length])
        with pytest.raises(ModelError, match=r"missing at its end|is not a GGUF file"):
            read_header(part)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_bytes_changed_anywhere_raise_nothing_else(
    file: Path, tmp_path: Path, data: st.DataObject
) -> None:
    content = bytearray(file.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] = data.draw(st.integers(0, 255))
    damaged = tmp_path / "damaged.gguf"
    damaged.write_bytes(content)
    with contextlib.suppress(ModelError):
        read_header(damaged)


def header(version: int = 3, tensors: int = 0, keys: int = 0, rest: bytes = b"") -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, tensors, keys) + rest


def key(name: str, kind: int, rest: bytes) -> bytes:
    return struct.pack("<Q", len(name)) + name.encode() + struct.pack("<I", kind) + rest


HOSTILE = {
    "no magic": b"GGML" + bytes(64),
    "empty": b"",
    "version 1": header(1),
    "big-endian": b"GGUF" + struct.pack(">IQQ", 3, 0, 0),
    "2^63 tensors": header(tensors=2**63),
    "2^63 keys": header(keys=2**63),
    "2^63 strings": header(keys=1, rest=key("a", 9, struct.pack("<IQ", 8, 2**63))),
    "2^63 numbers": header(keys=1, rest=key("a", 9, struct.pack("<IQ", 4, 2**63))),
    "a string of 2^63 bytes": header(keys=1, rest=key("a", 8, struct.pack("<Q", 2**63))),
    "an array of arrays": header(keys=1, rest=key("a", 9, struct.pack("<IQ", 9, 1) + bytes(64))),
    "a value of no type": header(keys=1, rest=key("a", 99, bytes(64))),
    "an odd alignment": header(keys=1, rest=key("general.alignment", 4, struct.pack("<I", 3))),
    "a tensor of no type": header(
        tensors=1, rest=struct.pack("<Q1sIQIQ", 1, b"a", 1, 32, 77, 0) + bytes(99)
    ),
    "a tensor of 2^64 numbers": header(
        tensors=1, rest=struct.pack("<Q1sIQQIQ", 1, b"a", 2, 2**32, 2**32, 0, 0) + bytes(99)
    ),
    "half a block": header(
        tensors=1, rest=struct.pack("<Q1sIQIQ", 1, b"a", 1, 33, 8, 0) + bytes(99)
    ),
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_file_is_refused_in_one_line(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "hostile.gguf"
    path.write_bytes(data)
    with pytest.raises(ModelError) as caught:
        read_header(path)
    assert str(path) in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="No such file"):
        read_header(tmp_path / "nowhere.gguf")
    with pytest.raises(ModelError, match=r"directory|regular file"):
        read_header(tmp_path)
    os.mkfifo(tmp_path / "pipe.gguf")
    with pytest.raises(ModelError, match="it is a pipe, not a file"):
        read_header(tmp_path / "pipe.gguf")
