"""Throughput of GPT-1 and GPT-Neo of GPT-2's size, beside transformers.

transformers has no KV cache for GPT-1, so the figure there is taken at a length: about 256 tokens.
"""

import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks import engines, isolated
from benchmarks.engines import timed
from benchmarks.report import Row
from benchmarks.shapes import write_tokenizer
from benchmarks.throughput import attempt, measure
from gptterm.engine.runtime.device import configure_threads
from gptterm.engine.runtime.model_files import read_json

SHAPES = {
    "GPT-1": ("openai-gpt", 240, 33, "≥ 8 × transformers"),
    "GPT-Neo": ("gpt_neo", 300, 33, "≥ 1 × transformers"),
}
"""model_type, prompt tokens (for GPT-Neo beyond its window), new tokens, target."""


def config(model_type: str, like: dict[str, Any]) -> dict[str, Any]:
    """Arguments of a configuration with the width and depth of a GPT-2's."""
    width, layers, heads = like["n_embd"], like["n_layer"], like["n_head"]
    end = {"vocab_size": like["vocab_size"], "eos_token_id": like["vocab_size"] - 1}
    if model_type == "openai-gpt":
        return end | {"n_embd": width, "n_layer": layers, "n_head": heads}
    kinds = [[["global", "local"], layers // 2]]
    own = {"hidden_size": width, "num_layers": layers, "num_heads": heads}
    return end | own | {"attention_types": kinds}


def write(model_type: str, like: dict[str, Any], directory: Path) -> Path:
    """Write a model with random weights; returns `directory`."""
    import transformers

    library: Any = transformers  # its functions have no types
    made = library.AutoConfig.for_model(model_type, **config(model_type, like))
    library.AutoModelForCausalLM.from_config(made).save_pretrained(directory)
    write_tokenizer(directory, like["vocab_size"])
    return directory


def row(name: str, like: dict[str, Any], rounds: int) -> Row:
    model_type, length, tokens, reach = SHAPES[name]
    prompt = [i * 37 % (like["vocab_size"] - 1) for i in range(length)]
    with tempfile.TemporaryDirectory() as folder:
        directory = write(model_type, like, Path(folder))
        measured = measure(
            f"{name} at {length} to {length + tokens} tokens, float32",
            {
                "gptterm": lambda: timed(engines.ours(directory, "float32")),
                "transformers float32": lambda: engines.transformers(directory, "float32"),
            },
            samples=1,
            rounds=rounds,
            prompt=prompt,
            tokens={1: tokens},
        )
    measured.reach = reach
    return measured


def rows(directory: Path, rounds: int) -> Iterator[Row]:
    """One row a model; rows that fail are left out."""
    configure_threads()
    torch.set_grad_enabled(False)
    like = read_json(directory / "config.json")
    yield from attempt([partial(row, name, like, rounds) for name in SHAPES])


if __name__ == "__main__":
    isolated.main(rows, __doc__)
