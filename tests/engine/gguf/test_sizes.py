"""Sizes in a GGUF file's metadata that its tensors do not hold."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gptterm.engine.decoders.transformers_files import check_gguf
from gptterm.engine.gguf.reader import read_header
from gptterm.engine.gguf.sizes import check_sizes
from gptterm.errors import ModelError
from gptterm.models import find_local, read_metadata
from tests.engine.gguf.files import write_gguf

SIZES: dict[str, Any] = {
    "block_count": 2,
    "embedding_length": 8,
    "feed_forward_length": 16,
    "attention.head_count": 2,
    "attention.head_count_kv": [2, 1],
    "vocab_size": 12,
}


def write(folder: Path, tensors: bool = True, **changes: Any) -> Path:
    sizes = SIZES | {key.replace("__", "."): value for key, value in changes.items()}
    weights = {"token_embd.weight": np.zeros((12, 8), np.float32)}
    weights |= {f"blk.{i}.ffn_up.weight": np.zeros((16, 8), np.float32) for i in range(2)}
    metadata = {f"llama.{key}": value for key, value in sizes.items()}
    return write_gguf(folder / "m.gguf", metadata, weights if tensors else None)


def test_sizes_of_one_model(tmp_path: Path) -> None:
    check_sizes(read_header(write(tmp_path)))
    check_sizes(read_header(write(tmp_path, block_count=1)))  # layers that predict further ahead
    check_sizes(read_header(write(tmp_path, feed_forward_length=[16, 16])))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"block_count": 10**6}, "has block_count 1e+06, and tensors of 2 blocks"),
        ({"embedding_length": 4096}, "has embedding_length 4096, and tensors of other lengths"),
        ({"feed_forward_length": 10**9}, "has feed_forward_length 1e+09"),
        ({"feed_forward_length": [16, 10**9]}, "has feed_forward_length 1e+09"),
        ({"attention__head_count": 10**6}, "has attention.head_count 1e+06"),
        ({"expert_count": 10**6}, "has expert_count 1e+06"),
        ({"vocab_size": 10**9}, "has vocab_size 1e+09"),
        ({"tensors": False}, "holds a vocabulary and no weights"),
    ],
)
def test_sizes_that_the_tensors_do_not_hold(
    changes: dict[str, Any], expected: str, tmp_path: Path
) -> None:
    file = write(tmp_path, **changes)
    for refuse in (
        lambda: check_gguf(read_header(file)),
        lambda: read_metadata(find_local(str(file))),
    ):
        with pytest.raises(ModelError) as caught:
            refuse()
        assert expected in str(caught.value)


def test_a_neighbour_that_the_library_would_open(tmp_path: Path) -> None:
    file = write(tmp_path)
    os.mkfifo(tmp_path / "generation_config.json")
    with pytest.raises(ModelError, match=r"generation_config\.json cannot be read"):
        check_gguf(read_header(file))
