"""GGUF files of real models' shapes, with random weights: speed does not depend on their values."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type
from numpy.typing import NDArray

from benchmarks.shapes import END, merge_rules


class Shape(NamedTuple):
    """Sizes of a Llama or one of its relatives; the head is the token embedding."""

    architecture: str
    layers: int
    width: int
    inner: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    context: int = 8192


SHAPES = {
    "SmolLM2-135M": Shape("llama", 30, 576, 1536, 9, 3, 64, 49152),
    "Qwen3-0.6B": Shape("qwen3", 28, 1024, 3072, 16, 8, 128, 151936),
    "Llama-3.2-1B": Shape("llama", 16, 2048, 8192, 32, 8, 64, 128256),
}
KINDS = {"Q4_1": Type.Q4_1, "Q8_0": Type.Q8_0, "F16": Type.F16, "Q4_K_M": Type.Q4_K}
FILE_TYPES = {"Q4_1": 3, "Q8_0": 7, "F16": 1, "Q4_K_M": 15}
"""As llama.cpp numbers them."""
_FLOAT16_SCALES = {Type.Q4_1: (0, 2), Type.Q8_0: (0,), Type.Q4_K: (0, 2), Type.Q6_K: (208,)}
"""Where a block's float16 numbers begin: random ones would not be finite."""


def file_for(folder: Path, name: str, kind: str) -> Path:
    """The file of a shape, in a type of `KINDS`; made if it does not exist."""
    file = folder / f"{name}.{kind}.gguf"
    if not file.exists():
        part = file.with_suffix(".part")
        _write(part, SHAPES[name], kind)
        part.replace(file)
    return file


def _write(file: Path, shape: Shape, kind: str) -> None:
    writer = gguf.GGUFWriter(file, shape.architecture)
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.width)
    writer.add_feed_forward_length(shape.inner)
    writer.add_block_count(shape.layers)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_key_length(shape.head_dim)
    writer.add_value_length(shape.head_dim)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(100_000.0)
    writer.add_rope_dimension_count(shape.head_dim)
    writer.add_file_type(FILE_TYPES[kind])
    _add_tokenizer(writer, shape.vocabulary)
    generator = np.random.default_rng(0)
    for name, size in _matrices(shape):
        type_ = _type_of(name, kind, shape.layers)
        writer.add_tensor(name, _random(size, type_, generator), raw_dtype=type_)
    for name, width in _vectors(shape):
        writer.add_tensor(name, np.ones(width, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_tokenizer(writer: gguf.GGUFWriter, vocabulary: int) -> None:
    from tokenizers.pre_tokenizers import ByteLevel

    merges = merge_rules(vocabulary - 257)
    names = [*sorted(ByteLevel.alphabet()), *(a + b for a, b in merges), END]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(names)
    types = [gguf.TokenType.NORMAL] * (len(names) - 1)
    writer.add_token_types([*types, gguf.TokenType.CONTROL])  # OpenVINO asks for one
    writer.add_token_merges([f"{a} {b}" for a, b in merges])
    writer.add_bos_token_id(len(names) - 1)
    writer.add_eos_token_id(len(names) - 1)


def _matrices(shape: Shape) -> Iterator[tuple[str, tuple[int, int]]]:
    """Names and (out, in)."""
    queries, keys = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    yield "token_embd.weight", (shape.vocabulary, shape.width)
    for i in range(shape.layers):
        yield f"blk.{i}.attn_q.weight", (queries, shape.width)
        yield f"blk.{i}.attn_k.weight", (keys, shape.width)
        yield f"blk.{i}.attn_v.weight", (keys, shape.width)
        yield f"blk.{i}.attn_output.weight", (shape.width, queries)
        yield f"blk.{i}.ffn_gate.weight", (shape.inner, shape.width)
        yield f"blk.{i}.ffn_up.weight", (shape.inner, shape.width)
        yield f"blk.{i}.ffn_down.weight", (shape.width, shape.inner)


def _vectors(shape: Shape) -> Iterator[tuple[str, int]]:
    yield "output_norm.weight", shape.width
    for i in range(shape.layers):
        yield f"blk.{i}.attn_norm.weight", shape.width
        yield f"blk.{i}.ffn_norm.weight", shape.width
        if shape.architecture == "qwen3":
            yield f"blk.{i}.attn_q_norm.weight", shape.head_dim
            yield f"blk.{i}.attn_k_norm.weight", shape.head_dim


def _type_of(name: str, kind: str, layers: int) -> Type:
    """llama.cpp's mix Q4_K_M keeps the head and half of what is most sensitive in 6 bits."""
    if kind == "Q4_K_M":
        part, *_ = name.removeprefix("blk.").split(".")
        sensitive = "attn_v" in name or "ffn_down" in name
        if name.startswith("token_embd") or (sensitive and int(part) < (layers + 1) // 2):
            return Type.Q6_K
    return KINDS[kind]


def _random(size: tuple[int, int], type_: Type, generator: np.random.Generator) -> NDArray[Any]:
    outputs, inputs = size
    if type_ is Type.F16:
        return (generator.standard_normal(size, np.float32) * 0.02).astype(np.float16)
    block, bytes_ = gguf.GGML_QUANT_SIZES[type_]
    rows = generator.integers(0, 256, (outputs, inputs // block, bytes_), np.uint8)
    for start in _FLOAT16_SCALES[type_]:
        rows[:, :, start : start + 2] = np.array([1e-4], np.float16).view(np.uint8)
    return rows.reshape(outputs, -1)
