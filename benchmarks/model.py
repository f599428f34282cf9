"""Bytes of a GPT-2 model's weights in each way of keeping them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gptterm.engine.runtime.model_files import read_json

BYTES = {"float32": 4, "bfloat16": 2, "float16": 2, "int8": 1}
"""Of one weight."""
ACTIVATION_BYTES = {"float32": 4, "bfloat16": 2, "float16": 4, "int8": 4}
"""Of one key or value on a CPU: weights kept in float16 or int8 meet float32 activations."""


@dataclass(frozen=True)
class Sizes:
    """Counts of numbers."""

    parameters: int
    matrices: int
    """Of the parameters, those that one token's step multiplies with, the head's included."""
    past: int
    """Keys and values of one token in the cache."""

    def kept_bytes(self, dtype: str) -> int:
        """All weights. What int8 keeps in float32 beside them (scales, biases) is under 1 %."""
        return self.parameters * BYTES[dtype]

    def step_bytes(self, dtype: str, past: float) -> float:
        """Bytes that one step at batch 1 must read, with `past` tokens in the cache."""
        return self.matrices * BYTES[dtype] + past * self.past * ACTIVATION_BYTES[dtype]


def sizes(directory: Path) -> Sizes:
    """By config.json, for a head tied to the token embedding."""
    config: dict[str, Any] = read_json(directory / "config.json")
    width, layers = config["n_embd"], config["n_layer"]
    vocabulary, positions = config["vocab_size"], config["n_positions"]
    matrices = 12 * layers * width**2 + vocabulary * width
    vectors = layers * 13 * width + 2 * width
    return Sizes(matrices + positions * width + vectors, matrices, 2 * layers * width)
