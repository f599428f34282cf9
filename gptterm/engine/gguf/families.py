"""Families of models that GGUF files hold, by `general.architecture`: hyper-parameters and names.

A file's metadata becomes what config.json says of the same model, and its tensors get the names of
that model's weights, so that one parser and one decoder serve both. Names on both sides are those
of llama.cpp's converter (`gguf-py/gguf/tensor_mapping.py`).
"""

import math
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from gptterm.engine.gguf.reader import GgufFile

ROPE_FACTORS = "rope_freqs.weight"
"""Tensor that divides the rotary embedding's frequencies: Llama 3's scaling, worked out."""
SHORT_FACTORS = "rope_factors_short.weight"
"""LongRoPE's, for texts within the context of the pre-training."""
LONG_FACTORS = "rope_factors_long.weight"
"""LongRoPE's, for longer texts."""
ROPE_TENSORS = (ROPE_FACTORS, SHORT_FACTORS, LONG_FACTORS)

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
    regrouped: str = ""
    """Name of fused weights: a head's query, key and value together in the model's own files, all
    queries, all keys, all values here."""
    raised_norms: bool = False
    """Whether norms' weights are higher by 1 here: what they multiply by."""


def family_of(file: GgufFile) -> Family | None:
    """The family of a file; None for an architecture that is not understood."""
    return FAMILIES.get(file.text("general.architecture") or "")


def config_of(file: GgufFile) -> Config | None:
    """The config.json of its Hub directory; None where the file is not understood."""
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


def _llama_like(data: Metadata, model_type: str, *, partial: bool = False) -> Config | None:
    """Hyper-parameters that Llama's relatives share.

    Args:
        partial: whether the model type knows a rotary embedding of a part of each head.
    """
    if data.get("expert_count", 0):
        return None
    heads, width = data.get("attention.head_count"), data.get("embedding_length")
    head_dim = data.get("attention.key_length")
    if data.get("attention.value_length", head_dim) != head_dim:
        return None
    if head_dim is None and type(heads) is type(width) is int and heads > 0:
        head_dim = width // heads
    rotary = _rotary(data, head_dim, partial=partial)
    if rotary is None:
        return None
    epsilon = data.get("attention.layer_norm_rms_epsilon", data.get("attention.layer_norm_epsilon"))
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
            "rms_norm_eps": epsilon,
            "tie_word_embeddings": "output.weight" not in data.file.tensors,
        }
    )


def _rotary(data: Metadata, head_dim: object, *, partial: bool) -> Config | None:
    """Rotary embedding; None for a kind that is not understood."""
    rotary: Config = {}
    base = data.get("rope.freq_base")
    if base is not None:
        rotary["rope_theta"] = base
    dims = data.get("rope.dimension_count", head_dim)
    if dims != head_dim:
        if not partial or type(dims) is not int or type(head_dim) is not int or head_dim <= 0:
            return None
        # Half a number more, so that the product with head_dim is never below it.
        rotary["partial_rotary_factor"] = (dims + 0.5) / head_dim
    elif partial:
        rotary["partial_rotary_factor"] = 1.0
    kind, factor = data.get("rope.scaling.type", "none"), data.get("rope.scaling.factor")
    if factor is None:
        factor = data.get("rope.scale_linear")  # of files before 2024
        kind = "linear" if factor is not None and kind == "none" else kind
    if kind == "none" or factor in (0, 1, None):
        return rotary if kind in ("none", "linear") else None
    if kind != "linear" or ROPE_FACTORS in data.file.tensors:
        return None
    return rotary | {"rope_scaling": {"rope_type": "linear", "factor": factor}}


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


def _smollm3(file: GgufFile) -> Config | None:
    config = _llama(file)
    if config is None or config["model_type"] != "llama":
        return None
    return config | {"model_type": "smollm3"}


def _granite(file: GgufFile) -> Config | None:
    data, config = Metadata(file), _llama(file)
    if config is None or config["model_type"] != "llama" or type(config["head_dim"]) is not int:
        return None
    return config | _given(
        {
            "model_type": "granite",
            "attention_multiplier": data.get("attention.scale", config["head_dim"] ** -0.5),
            "embedding_multiplier": data.get("embedding_scale"),
            "residual_multiplier": data.get("residual_scale"),
            "logits_scaling": data.get("logit_scale"),
        }
    )


def _olmo2(file: GgufFile) -> Config | None:
    data = Metadata(file)
    return None if data.get("attention.sliding_window") else _llama_like(data, "olmo2")


_MOST_PAIRS = 1024
"""Of numbers of a head that are rotated together."""


def _phi3(file: GgufFile) -> Config | None:
    data = Metadata(file)
    config = _llama_like(data, "phi3", partial=True)
    if config is None:
        return None
    factor = data.get("rope.scaling.attn_factor")
    if short := file.tensors.get(SHORT_FACTORS):
        pairs = math.prod(short.shape)
        if pairs > _MOST_PAIRS:
            return None
        config["rope_scaling"] = {
            "rope_type": "longrope",
            "short_factor": [1.0] * pairs,  # the tensors take their place
            "long_factor": [1.0] * pairs if LONG_FACTORS in file.tensors else None,
            "original_max_position_embeddings": data.get("rope.scaling.original_context_length"),
            "attention_factor": factor,
        }
    elif factor:
        return None
    return config | {"sliding_window": data.get("attention.sliding_window") or None}


def _starcoder2(file: GgufFile) -> Config | None:
    data = Metadata(file)
    config = _llama_like(data, "starcoder2")
    if config is None:
        return None
    return config | {
        "norm_epsilon": config.get("rms_norm_eps"),
        "use_bias": data.has("attn_q.bias"),
    }


def _gpt_neox(file: GgufFile) -> Config | None:
    data = Metadata(file)
    config = _llama_like(data, "gpt_neox", partial=True)
    if config is None:
        return None
    names = {
        "rms_norm_eps": "layer_norm_eps",
        "partial_rotary_factor": "rotary_pct",
        "rope_theta": "rotary_emb_base",
    }
    config = {names.get(key, key): value for key, value in config.items()}
    return config | {
        "use_parallel_residual": data.get("use_parallel_residual", True),
        "attention_bias": data.has("attn_qkv.bias"),
    }


def _gemma(file: GgufFile) -> Config | None:
    return _llama_like(Metadata(file), "gemma")


def _gemma_with_windows(file: GgufFile, model_type: str, largest: int) -> Config | None:
    """Common fields of Gemma 2 and 3.

    Args:
        largest: the layers of the size whose scores are scaled by its width, and not by its heads'.
    """
    data = Metadata(file)
    config = _llama_like(data, model_type)
    if config is None:
        return None
    scaled_by = config["head_dim"]
    width, heads = config.get("hidden_size"), config.get("num_attention_heads")
    if config.get("num_hidden_layers") == largest and type(width) is type(heads) is int and heads:
        scaled_by = width // heads
    return config | _given(
        {
            "query_pre_attn_scalar": scaled_by,
            "sliding_window": data.get("attention.sliding_window"),
            "attn_logit_softcapping": data.get("attn_logit_softcapping"),
            "final_logit_softcapping": data.get("final_logit_softcapping"),
        }
    )


def _gemma2(file: GgufFile) -> Config | None:
    return _gemma_with_windows(file, "gemma2", largest=46)


def _gemma3(file: GgufFile) -> Config | None:
    data, config = Metadata(file), _gemma_with_windows(file, "gemma3_text", largest=62)
    if config is None:
        return None
    return config | _given(
        {
            "rope_local_base_freq": data.get("rope.freq_base_swa"),
            "sliding_window_pattern": data.get("attention.sliding_window_pattern"),
        }
    )


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
_AFTER_NORMS = {
    "blk.{}.post_attention_norm": "layers.{}.post_attention_layernorm",
    "blk.{}.post_ffw_norm": "layers.{}.post_feedforward_layernorm",
}
_FORE_NORMS = ("blk.{}.attn_norm", "blk.{}.ffn_norm")
_OLMO2_NAMES = {
    **{key: name for key, name in _LLAMA_NAMES.items() if key not in _FORE_NORMS},
    **_HEAD_NORMS,
    **_AFTER_NORMS,
}
_GEMMA2_NAMES = {
    **_LLAMA_NAMES,
    **_AFTER_NORMS,
    "blk.{}.ffn_norm": "layers.{}.pre_feedforward_layernorm",
}
_PHI3_NAMES = {
    **_LLAMA_NAMES,
    "blk.{}.attn_qkv": "layers.{}.self_attn.qkv_proj",
    "blk.{}.ffn_up": "layers.{}.mlp.gate_up_proj",
}
_STARCODER2_NAMES = {
    **_LLAMA_NAMES,
    "blk.{}.ffn_up": "layers.{}.mlp.c_fc",
    "blk.{}.ffn_down": "layers.{}.mlp.c_proj",
}
_GPT_NEOX_NAMES = {
    "token_embd": "embed_in",
    "output_norm": "final_layer_norm",
    "output": "embed_out",
    "blk.{}.attn_norm": "layers.{}.input_layernorm",
    "blk.{}.attn_qkv": "layers.{}.attention.query_key_value",
    "blk.{}.attn_output": "layers.{}.attention.dense",
    "blk.{}.ffn_norm": "layers.{}.post_attention_layernorm",
    "blk.{}.ffn_up": "layers.{}.mlp.dense_h_to_4h",
    "blk.{}.ffn_down": "layers.{}.mlp.dense_4h_to_h",
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

# Their rotary embedding turns neighbours, where ours turns a head's first and second half.
_PERMUTED = {"q_proj": "attention.head_count", "k_proj": "attention.head_count_kv"}
FAMILIES = {
    "llama": Family(_llama, _LLAMA_NAMES, permuted=_PERMUTED),
    "smollm3": Family(_smollm3, _LLAMA_NAMES, permuted=_PERMUTED),
    "granite": Family(_granite, _LLAMA_NAMES, permuted=_PERMUTED),
    "qwen2": Family(_qwen2, _LLAMA_NAMES),
    "qwen3": Family(_qwen3, _LLAMA_NAMES | _HEAD_NORMS),
    "olmo2": Family(_olmo2, _OLMO2_NAMES),
    "phi3": Family(_phi3, _PHI3_NAMES),
    "starcoder2": Family(_starcoder2, _STARCODER2_NAMES),
    "gptneox": Family(_gpt_neox, _GPT_NEOX_NAMES, regrouped="query_key_value"),
    "gemma": Family(_gemma, _LLAMA_NAMES, raised_norms=True),
    "gemma2": Family(_gemma2, _GEMMA2_NAMES, raised_norms=True),
    "gemma3": Family(_gemma3, _GEMMA2_NAMES | _HEAD_NORMS, raised_norms=True),
    "gpt2": Family(_gpt2, _GPT2_NAMES, transposed=frozenset({"c_attn", "c_proj", "c_fc"})),
}
"""By `general.architecture`."""
