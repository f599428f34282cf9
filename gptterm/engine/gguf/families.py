"""Families of models that GGUF files hold, by `general.architecture`: hyper-parameters and names.

A file's metadata becomes what config.json says of the same model, and its tensors get the names of
that model's weights, so that one parser and one decoder serve both. Names on both sides are those
of llama.cpp's converter (`gguf-py/gguf/tensor_mapping.py`).
"""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from gptterm.engine.gguf.reader import GgufFile

ROPE_FACTORS = "rope_freqs.weight"
"""Tensor that divides the rotary embedding's frequencies: Llama 3's scaling, worked out."""

Config = dict[str, Any]
"""As in config.json."""


class Family(NamedTuple):
    """How a family's files are read."""

    config: Callable[[GgufFile], Config | None]
    """None for a variant that is not understood."""
    names: dict[str, str]
    """Of weights, by the tensor's; `{}` stands for a block's number. Without `.weight`, `.bias`."""
    transposed: frozenset[str] = frozenset()
    """Names of weights that are (in, out) in the model's own files, and (out, in) here."""
    permuted: dict[str, str] | None = None
    """By name of a weight whose rows the converter has permuted, the key of its number of heads."""


def family_of(file: GgufFile) -> Family | None:
    """The family of a file; None for an architecture that is not understood."""
    return _FAMILIES.get(file.text("general.architecture") or "")


def config_of(file: GgufFile) -> Config | None:
    """What config.json says of the model; None where the file is not understood."""
    family = family_of(file)
    return None if family is None else family.config(file)


_REQUIRED = ("block_count", "context_length", "embedding_length", "attention.head_count")


def missing_key(file: GgufFile) -> str:
    """A key of the metadata that no family does without, and this file does; or empty."""
    prefix = file.text("general.architecture")
    keys = (f"{prefix}.{key}" for key in _REQUIRED)
    return next((key for key in keys if key not in file.metadata), "")


_BLOCK = re.compile(r"^blk\.(\d{1,6})\.")


def weight_name(family: Family, tensor: str) -> str | None:
    """The name of a tensor in the model's own files; None where it is not understood."""
    match = _BLOCK.match(tensor)
    general = _BLOCK.sub("blk.{}.", tensor)
    stem, _, kind = general.rpartition(".")
    name = family.names.get(stem)
    if name is None or kind not in ("weight", "bias"):
        return None
    return f"{name.format(match[1] if match else '')}.{kind}"


class Metadata:
    """Numbers of a file's own architecture."""

    def __init__(self, file: GgufFile) -> None:
        self.file = file
        self._prefix = file.text("general.architecture") or ""

    def get(self, key: str, default: object = None) -> Any:
        """A value; the default where there is none."""
        return self.file.metadata.get(f"{self._prefix}.{key}", default)

    def has(self, tensor: str) -> bool:
        """Whether the first block has a tensor."""
        return f"blk.0.{tensor}" in self.file.tensors

    def rows(self, tensor: str) -> int:
        """Rows of a tensor; 0 where there is none."""
        found = self.file.tensors.get(tensor)
        return 0 if found is None else found.shape[0]


def _given(config: Config) -> Config:
    """Without what the file does not say: a parser's default, or its complaint, then holds."""
    return {key: value for key, value in config.items() if value is not None}


def _llama_like(data: Metadata, model_type: str) -> Config | None:
    """Hyper-parameters that Llama's relatives share."""
    if data.get("expert_count", 0):
        return None
    heads, width = data.get("attention.head_count"), data.get("embedding_length")
    head_dim = data.get("attention.key_length")
    if data.get("attention.value_length", head_dim) != head_dim:
        return None
    if head_dim is None and type(heads) is type(width) is int and heads > 0:
        head_dim = width // heads
    rotary = _rotary(data, head_dim)
    if rotary is None:
        return None
    return rotary | _given(
        {
            "model_type": model_type,
            "vocab_size": data.rows("token_embd.weight"),
            "hidden_size": width,
            "intermediate_size": data.get("feed_forward_length"),
            "num_hidden_layers": data.get("block_count"),
            "num_attention_heads": heads,
            "num_key_value_heads": data.get("attention.head_count_kv", heads),
            "head_dim": head_dim,
            "max_position_embeddings": data.get("context_length"),
            "rms_norm_eps": data.get("attention.layer_norm_rms_epsilon"),
            "tie_word_embeddings": "output.weight" not in data.file.tensors,
        }
    )


def _rotary(data: Metadata, head_dim: object) -> Config | None:
    """Rotary embedding; None for a kind that is not understood."""
    if data.get("rope.dimension_count", head_dim) != head_dim:
        return None
    theta = {"rope_theta": data.get("rope.freq_base", 10_000.0)}
    kind, factor = data.get("rope.scaling.type", "none"), data.get("rope.scaling.factor")
    if factor is None:
        factor = data.get("rope.scale_linear")  # of files before 2024
        kind = "linear" if factor is not None and kind == "none" else kind
    if kind == "none" or factor in (0, 1, None):
        return theta if kind in ("none", "linear") else None
    if kind != "linear" or ROPE_FACTORS in data.file.tensors:
        return None
    return theta | {"rope_scaling": {"rope_type": "linear", "factor": factor}}


def _llama(file: GgufFile) -> Config | None:
    data = Metadata(file)
    biases = {data.has(f"attn_{name}.bias") for name in ("q", "k", "v", "output")}
    mlp = {data.has(f"ffn_{name}.bias") for name in ("gate", "up", "down")}
    config = _llama_like(data, "llama")
    if config is None or len(biases) > 1 or len(mlp) > 1:
        return None
    if data.get("attention.sliding_window"):
        if biases | mlp != {False}:
            return None
        return config | {
            "model_type": "mistral",
            "sliding_window": data.get("attention.sliding_window"),
        }
    return config | {"attention_bias": True in biases, "mlp_bias": True in mlp}


def _qwen2(file: GgufFile) -> Config | None:
    return _llama_like(Metadata(file), "qwen2")


def _qwen3(file: GgufFile) -> Config | None:
    return _llama_like(Metadata(file), "qwen3")


def _gpt2(file: GgufFile) -> Config | None:
    data = Metadata(file)
    return _given(
        {
            "model_type": "gpt2",
            "vocab_size": data.rows("token_embd.weight"),
            "n_positions": data.rows("position_embd.weight") or data.get("context_length"),
            "n_embd": data.get("embedding_length"),
            "n_inner": data.get("feed_forward_length"),
            "n_layer": data.get("block_count"),
            "n_head": data.get("attention.head_count"),
            "layer_norm_epsilon": data.get("attention.layer_norm_epsilon"),
            "tie_word_embeddings": "output.weight" not in file.tensors,
        }
    )


_LLAMA_NAMES = {
    "token_embd": "embed_tokens",
    "output_norm": "norm",
    "output": "lm_head",
    "blk.{}.attn_norm": "layers.{}.input_layernorm",
    "blk.{}.attn_q": "layers.{}.self_attn.q_proj",
    "blk.{}.attn_k": "layers.{}.self_attn.k_proj",
    "blk.{}.attn_v": "layers.{}.self_attn.v_proj",
    "blk.{}.attn_output": "layers.{}.self_attn.o_proj",
    "blk.{}.ffn_norm": "layers.{}.post_attention_layernorm",
    "blk.{}.ffn_gate": "layers.{}.mlp.gate_proj",
    "blk.{}.ffn_up": "layers.{}.mlp.up_proj",
    "blk.{}.ffn_down": "layers.{}.mlp.down_proj",
}
_HEAD_NORMS = {
    "blk.{}.attn_q_norm": "layers.{}.self_attn.q_norm",
    "blk.{}.attn_k_norm": "layers.{}.self_attn.k_norm",
}
_GPT2_NAMES = {
    "token_embd": "wte",
    "position_embd": "wpe",
    "output_norm": "ln_f",
    "output": "lm_head",
    "blk.{}.attn_norm": "h.{}.ln_1",
    "blk.{}.attn_qkv": "h.{}.attn.c_attn",
    "blk.{}.attn_output": "h.{}.attn.c_proj",
    "blk.{}.ffn_norm": "h.{}.ln_2",
    "blk.{}.ffn_up": "h.{}.mlp.c_fc",
    "blk.{}.ffn_down": "h.{}.mlp.c_proj",
}

_FAMILIES = {
    "llama": Family(
        _llama,
        _LLAMA_NAMES,
        # Its rotary embedding turns neighbours, where ours turns a head's first and second half.
        permuted={"q_proj": "attention.head_count", "k_proj": "attention.head_count_kv"},
    ),
    "qwen2": Family(_qwen2, _LLAMA_NAMES),
    "qwen3": Family(_qwen3, _LLAMA_NAMES | _HEAD_NORMS),
    "gpt2": Family(_gpt2, _GPT2_NAMES, transposed=frozenset({"c_attn", "c_proj", "c_fc"})),
}
