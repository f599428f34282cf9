"""Models of the transformers library as GGUF files, as llama.cpp's converter writes them.

Names are those of the `gguf` package's own tables.
"""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import transformers
from gguf import MODEL_ARCH, MODEL_ARCH_NAMES, get_tensor_name_map
from numpy.typing import NDArray

from gptterm.engine.api import Dtype, LoadRequest, ModelSource
from gptterm.engine.generation.engine import LocalEngine
from gptterm.engine.generation.loader import load_engine
from tests.engine.gguf.files import vocabulary, write_gguf

Array = NDArray[Any]
TRANSPOSED = ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")


def metadata_of(config: Any, architecture: str) -> dict[str, Any]:
    """Hyper-parameters, as the converter names them, and a tokenizer of no merges."""
    values: dict[str, Any] = {
        "block_count": config.num_hidden_layers,
        "context_length": config.max_position_embeddings,
        "embedding_length": config.hidden_size,
        "attention.head_count": config.num_attention_heads,
    }
    if architecture == "gpt2":
        values |= {
            "feed_forward_length": config.n_inner or 4 * config.n_embd,
            "attention.layer_norm_epsilon": config.layer_norm_epsilon,
        }
    else:
        rope: Mapping[str, Any] = config.rope_parameters
        rope = rope.get("full_attention", rope)
        values |= {
            "feed_forward_length": config.intermediate_size,
            "rope.freq_base": float(rope["rope_theta"]),
            **_of_norms(config, architecture),
        }
        if architecture != "gptneox":
            values["attention.head_count_kv"] = config.num_key_value_heads
        values |= _of_family(config, architecture)
        head_dim = getattr(config, "head_dim", None)
        if head_dim:
            values |= {"attention.key_length": head_dim, "attention.value_length": head_dim}
            values |= {"rope.dimension_count": head_dim}
        if rope["rope_type"] == "linear":
            values |= {"rope.scaling.type": "linear", "rope.scaling.factor": rope["factor"]}
    tokens = [f"<{i}>" for i in range(config.vocab_size)]
    return {f"{architecture}.{key}": value for key, value in values.items()} | vocabulary(
        tokens, pre="gpt-2", types=[1] * len(tokens)
    )


def _of_norms(config: Any, architecture: str) -> dict[str, Any]:
    if architecture == "gptneox":
        return {"attention.layer_norm_epsilon": config.layer_norm_eps}
    if architecture == "starcoder2":
        return {"attention.layer_norm_epsilon": config.norm_epsilon}
    return {"attention.layer_norm_rms_epsilon": config.rms_norm_eps}


def _of_family(config: Any, architecture: str) -> dict[str, Any]:
    """Metadata that only one architecture's files have."""
    dims = config.hidden_size // config.num_attention_heads
    match architecture:
        case "granite":
            return {
                "embedding_scale": config.embedding_multiplier,
                "residual_scale": config.residual_multiplier,
                "logit_scale": config.logits_scaling,
                "attention.scale": config.attention_multiplier,
            }
        case "phi3":
            share = config.rope_parameters["partial_rotary_factor"]
            window = config.sliding_window or 0
            found = {"rope.dimension_count": int(dims * share), "attention.sliding_window": window}
            if "short_factor" in config.rope_parameters:
                before = config.rope_parameters["original_max_position_embeddings"]
                growth = config.max_position_embeddings / before
                found["rope.scaling.original_context_length"] = before
                found["rope.scaling.attn_factor"] = math.sqrt(
                    1 + math.log(growth) / math.log(before)
                )
            return found
        case "gptneox":
            share = config.rope_parameters["partial_rotary_factor"]
            return {
                "rope.dimension_count": int(dims * share),
                "use_parallel_residual": config.use_parallel_residual,
            }
        case "gemma2":
            return {
                "attention.sliding_window": config.sliding_window,
                "attn_logit_softcapping": config.attn_logit_softcapping,
                "final_logit_softcapping": config.final_logit_softcapping,
            }
        case "gemma3":
            return {"attention.sliding_window": config.sliding_window}
    return {}


PERMUTED = ("llama", "smollm3", "granite")


def tensors_of(model: Any, architecture: str) -> dict[str, Array]:
    """Weights under the file's names: `llama`'s queries and keys permuted, (in, out) transposed."""
    config = model.config
    arch = next(key for key, name in MODEL_ARCH_NAMES.items() if name == architecture)
    names = get_tensor_name_map(MODEL_ARCH(arch), config.num_hidden_layers)
    tensors: dict[str, Array] = {}
    for name, weight in model.state_dict().items():
        if name in ("lm_head.weight", "embed_out.weight") and config.tie_word_embeddings:
            continue
        array: Array = weight.float().numpy()
        stem, _, kind = name.rpartition(".")
        if architecture == "gpt2" and stem.endswith(TRANSPOSED) and array.ndim == 2:
            array = array.T
        if architecture.startswith("gemma") and stem.endswith("norm"):
            array = array + 1
        if stem.endswith("query_key_value"):
            array = ungrouped(array, config.num_attention_heads)
        if architecture in PERMUTED and stem.endswith(("q_proj", "k_proj")):
            keys = stem.endswith("k_proj")
            heads = config.num_key_value_heads if keys else config.num_attention_heads
            array = permuted(array, heads)
        found = names.get_name(stem)
        assert found is not None, stem
        tensors[f"{found}.{kind}"] = np.ascontiguousarray(array)
    return tensors


def ungrouped(array: Array, heads: int) -> Array:
    """All queries, all keys, all values, of weights that have each head's together."""
    parts = array.reshape(heads, 3, len(array) // heads // 3, *array.shape[1:])
    return parts.swapaxes(0, 1).reshape(array.shape)


def permuted(array: Array, heads: int) -> Array:
    """A head's first half on its even rows, its second on the odd ones."""
    halves = array.reshape(heads, 2, len(array) // heads // 2, *array.shape[1:])
    return halves.swapaxes(1, 2).reshape(array.shape)


def save_gguf(
    model: transformers.PreTrainedModel,
    path: Path,
    architecture: str,
    pack: Callable[[str, Array], tuple[Array, str] | None] = lambda *_: None,
    changes: Mapping[str, Any] | None = None,
) -> Path:
    """Write a model as a GGUF file.

    Args:
        pack: (name, weight) → its rows of blocks and ggml's name of their type, or None: float32.
        changes: of the metadata, by key; None removes it.
    """
    metadata = metadata_of(model.config, architecture)
    metadata |= {f"{architecture}.{key}": x for key, x in (changes or {}).items()}
    metadata = {key: value for key, value in metadata.items() if value is not None}
    tensors = tensors_of(model, architecture)
    if architecture == "llama" and model.config.rope_parameters["rope_type"] == "llama3":
        tensors["rope_freqs.weight"] = rope_factors(model.config)
    rope = getattr(model.config, "rope_parameters", None) or {}
    for length in ("short", "long"):
        if factors := rope.get(f"{length}_factor"):
            tensors[f"rope_factors_{length}.weight"] = np.array(factors, np.float32)
    kinds: dict[str, str] = {}
    for name, array in tensors.items():
        packed = pack(name, array)
        if packed is not None:
            tensors[name], kinds[name] = packed
    return write_gguf(path, metadata, tensors, architecture, kinds)


def rope_factors(config: Any) -> NDArray[np.float32]:
    """Divisors of the frequencies in llama3's scaling, as the converter works them out."""
    rope, head_dim = config.rope_parameters, config.head_dim
    context, factors = rope["original_max_position_embeddings"], []
    low, high = rope["low_freq_factor"], rope["high_freq_factor"]
    for i in range(0, head_dim, 2):
        length = 2 * np.pi * rope["rope_theta"] ** (i / head_dim)
        smooth = np.clip((context / length - low) / (high - low), 0, 1)
        factors.append(1 / ((1 - smooth) / rope["factor"] + smooth))
    return np.array(factors, np.float32)


def load(file: Path, dtype: Dtype = "auto", context: int | None = None) -> LocalEngine:
    """An engine over a file."""
    source = ModelSource(name=file.name, directory=str(file.parent), gguf_file=file.name)
    return load_engine(LoadRequest(source=source, device="cpu", dtype=dtype, context=context))
