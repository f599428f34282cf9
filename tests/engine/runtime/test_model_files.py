"""JSON files and indexes of model directories, whole and damaged."""

import os
import tracemalloc
from pathlib import Path

import pytest

from gptterm.engine.runtime.model_files import (
    CONFIG,
    INDEX,
    WEIGHTS,
    read_bytes,
    read_json,
    weight_files,
)
from gptterm.errors import ModelError


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"{", "not JSON"),
        (b"", "not JSON"),
        (b"\xff\xfe{}", "not UTF-8"),
        (b"[" * 200_000, "not JSON"),
        (b"[1]", "not a JSON object"),
        (b"null", "not a JSON object"),
    ],
    ids=["half", "empty", "encoding", "nested", "list", "null"],
)
def test_what_is_no_json_object(content: bytes, reason: str, tmp_path: Path) -> None:
    (tmp_path / CONFIG).write_bytes(content)
    with pytest.raises(ModelError, match=rf"config.json cannot be read \({reason}\); fetch"):
        read_json(tmp_path / CONFIG)


@pytest.mark.parametrize(
    ("name", "mib"),
    [
        (INDEX, 64),
        ("tokenizer.json", 48),
        ("tekken.json", 48),
        ("tokenizer.model", 48),
        ("vocab.json", 16),
        ("merges.txt", 16),
        ("tokenizer_config.json", 8),
        (CONFIG, 4),
        ("chat_template.jinja", 4),
    ],
)
def test_a_file_beyond_its_size_is_refused_unread(name: str, mib: int, tmp_path: Path) -> None:
    file = tmp_path / name
    file.touch()
    os.truncate(file, (mib << 20) + 1)
    tracemalloc.start()
    try:
        with pytest.raises(OSError, match="it is larger than"):
            read_bytes(file)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
    os.truncate(file, mib << 20)
    assert len(read_bytes(file)) == mib << 20


def test_numbers_that_are_not_finite_are_read(tmp_path: Path) -> None:
    assert read_json(tmp_path / CONFIG) == {}
    (tmp_path / CONFIG).write_text('{"a": Infinity}')
    assert read_json(tmp_path / CONFIG) == {"a": float("inf")}


def test_weights_of_one_file_or_of_those_that_an_index_lists(tmp_path: Path) -> None:
    assert weight_files(tmp_path) == [tmp_path / WEIGHTS]
    (tmp_path / INDEX).write_text('{"weight_map": {"b": "2.safetensors", "a": "1.safetensors"}}')
    assert weight_files(tmp_path) == [tmp_path / "1.safetensors", tmp_path / "2.safetensors"]
    (tmp_path / WEIGHTS).touch()
    assert weight_files(tmp_path) == [tmp_path / WEIGHTS]


@pytest.mark.parametrize(
    "weight_map", ["5", "{}", '{"a": 5}', '{"a": "../1.safetensors"}', '{"a": "1.bin"}']
)
def test_an_index_that_lists_no_weight_files(weight_map: str, tmp_path: Path) -> None:
    (tmp_path / INDEX).write_text(f'{{"weight_map": {weight_map}}}')
    with pytest.raises(ModelError, match=r"index.json is damaged \(it lists no weight files\)"):
        weight_files(tmp_path)
