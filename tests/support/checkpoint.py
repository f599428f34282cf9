"""Files of a repository with a small GPT-2, its weights in one file or in shards."""

import json
import tempfile
from pathlib import Path

from safetensors.numpy import load, save

from tests.support.gpt2 import write_gpt2


def checkpoint() -> dict[str, bytes]:
    """The files of the model, by name."""
    with tempfile.TemporaryDirectory() as folder:
        made = write_gpt2(Path(folder), layers=2, width=8, heads=2, positions=16)
        files = {file.name: file.read_bytes() for file in made.iterdir()}
    files["generation_config.json"] = b'{"do_sample": true, "temperature": 0.5, "top_k": 7}'
    return files


def sharded(files: dict[str, bytes]) -> dict[str, bytes]:
    """The same files with the weights in two shards and an index."""
    weights = load(files["model.safetensors"])
    names = sorted(weights)
    halves = {
        "model-00001-of-00002.safetensors": names[: len(names) // 2],
        "model-00002-of-00002.safetensors": names[len(names) // 2 :],
    }
    parts = {
        file: save({name: weights[name] for name in members}, {"format": "pt"})
        for file, members in halves.items()
    }
    weight_map = {name: file for file, members in halves.items() for name in members}
    index = {"model.safetensors.index.json": json.dumps({"weight_map": weight_map}).encode()}
    return {n: c for n, c in files.items() if n != "model.safetensors"} | parts | index
