"""Size of a GPT-2 model's weights and cache in each dtype."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gptterm.engine.runtime.model_files import read_json

BYTES = {"float32": 4, "bfloat16": 2, "float16": 2, "int8": 1}
"""Bytes of one weight."""
ACTIVATION_BYTES = {"float32": 4, "bfloat16": 2, "float16": 4, "int8": 4}
"""Bytes of one key or value in a CPU's cache."""


@dataclass(frozen=True)
class ModelSize:
    """Element counts of a model."""

    parameters: int
    matrices: int
    """Parameters of the matrices that one step reads, the LM head included."""
    past: int
    """Keys and values of one token in the KV cache."""

    def weight_bytes(self, dtype: str) -> int:
        """Bytes of all weights; int8's float32 scales and biases, under 1 %, are not counted."""
        return self.parameters * BYTES[dtype]

    def step_bytes(self, dtype: str, past: float) -> float:
        """Bytes that one step at batch 1 must read, with `past` tokens in the cache."""
        return self.matrices * BYTES[dtype] + past * self.past * ACTIVATION_BYTES[dtype]


def sizes(directory: Path) -> ModelSize:
    """Element counts by config.json, for an LM head tied to the token embedding."""
    config: dict[str, Any] = read_json(directory / "config.json")
    width, layers = config["n_embd"], config["n_layer"]
    vocabulary, positions = config["vocab_size"], config["n_positions"]
    matrices = 12 * layers * width**2 + vocabulary * width
    vectors = layers * 13 * width + 2 * width
    return ModelSize(matrices + positions * width + vectors, matrices, 2 * layers * width)
