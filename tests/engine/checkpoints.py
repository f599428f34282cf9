"""Small models of many architectures, made and saved by the transformers library.

Weights are drawn large enough that attention and every layer matter: with the library's own
initialisation all tokens are about as likely, and a wrong layer would not be noticed.
"""

import itertools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from torch import Tensor

from gptterm.engine.api import (
    Dtype,
    GenerateRequest,
    LoadRequest,
    ModelSource,
    Token,
    TokenPrompt,
)
from gptterm.engine.decoders.base import BatchedCache, Cache, Decoder
from gptterm.engine.generation.engine import LocalEngine
from gptterm.engine.generation.loader import load_engine
from tests.support.gpt2 import train_tokenizer

VOCABULARY = 384
POSITIONS = 128
WINDOW = 16
"""Of the models with a sliding window."""
LONG = WINDOW + 2
"""Tokens beyond which the model with LongRoPE has other frequencies."""

library: Any = transformers  # its functions have no types
library.logging.set_verbosity_error()


def gpt2(**changes: Any) -> transformers.PretrainedConfig:
    usual: dict[str, Any] = {
        "vocab_size": VOCABULARY,
        "n_positions": POSITIONS,
        "n_embd": 32,
        "n_layer": 3,
        "n_head": 4,
        "bos_token_id": VOCABULARY - 1,
        "eos_token_id": VOCABULARY - 1,
    }
    return transformers.GPT2Config(**(usual | changes))


def gpt1(**changes: Any) -> transformers.PretrainedConfig:
    usual: dict[str, Any] = {
        "vocab_size": VOCABULARY,
        "n_positions": POSITIONS,
        "n_embd": 32,
        "n_layer": 3,
    }
    return transformers.OpenAIGPTConfig(**(usual | {"n_head": 4} | changes))


def gpt_neo(**changes: Any) -> transformers.PretrainedConfig:
    usual: dict[str, Any] = {
        "vocab_size": VOCABULARY,
        "max_position_embeddings": POSITIONS,
        "hidden_size": 32,
        "num_layers": 4,
        "num_heads": 4,
        "attention_types": [[["global", "local"], 2]],
        "window_size": WINDOW,
    }
    return transformers.GPTNeoConfig(**(usual | changes))


def _common(**changes: Any) -> dict[str, Any]:
    sizes = {
        "vocab_size": VOCABULARY,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 64,
        "max_position_embeddings": POSITIONS,
    }
    return sizes | changes


LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 10_000.0,
    "factor": 4.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": POSITIONS // 4,
}
ARCHITECTURES: dict[str, Callable[[], transformers.PretrainedConfig]] = {
    "gpt2": gpt2,
    "gpt2-relu": lambda: gpt2(activation_function="relu"),
    "gpt1": gpt1,
    "gpt1-relu": lambda: gpt1(afn="relu"),
    "gpt-neo": gpt_neo,
    "gptj": lambda: transformers.GPTJConfig(
        vocab_size=VOCABULARY, n_embd=32, n_layer=2, n_head=4, n_positions=POSITIONS, rotary_dim=4
    ),
    "gpt-neox": lambda: transformers.GPTNeoXConfig(**_common()),
    "gpt-neox-odd": lambda: transformers.GPTNeoXConfig(
        **_common(hidden_size=48), use_parallel_residual=False, attention_bias=False,
        rope_parameters={"partial_rotary_factor": 0.5}, tie_word_embeddings=True,
    ),
    "phi": lambda: transformers.PhiConfig(**_common(num_key_value_heads=2)),
    "falcon": lambda: transformers.FalconConfig(**_common()),
    "falcon-groups": lambda: transformers.FalconConfig(
        **_common(num_kv_heads=2), new_decoder_architecture=True, bias=True, ffn_hidden_size=60
    ),
    "falcon-serial": lambda: transformers.FalconConfig(
        **_common(), multi_query=False, parallel_attn=False, tie_word_embeddings=False
    ),
    "stablelm": lambda: transformers.StableLmConfig(**_common(num_key_value_heads=2)),
    "stablelm-odd": lambda: transformers.StableLmConfig(
        **_common(num_key_value_heads=4), use_qkv_bias=True, use_parallel_residual=True,
        tie_word_embeddings=True, rope_parameters={"partial_rotary_factor": 0.5},
    ),
    "starcoder2": lambda: transformers.Starcoder2Config(
        **_common(num_key_value_heads=2, sliding_window=WINDOW)
    ),
    "opt": lambda: transformers.OPTConfig(**_common(ffn_dim=64, word_embed_proj_dim=32)),
    "bloom": lambda: transformers.BloomConfig(
        vocab_size=VOCABULARY, hidden_size=32, n_layer=2, n_head=4
    ),
    "llama": lambda: transformers.LlamaConfig(**_common(num_key_value_heads=2)),
    "llama-odd": lambda: transformers.LlamaConfig(
        **_common(num_key_value_heads=1, head_dim=20, intermediate_size=60),
        tie_word_embeddings=True, attention_bias=True, mlp_bias=True, rope_parameters=LLAMA3,
    ),
    "qwen2": lambda: transformers.Qwen2Config(
        **_common(num_key_value_heads=4, sliding_window=WINDOW),
        use_sliding_window=True, max_window_layers=1,
    ),
    "qwen3": lambda: transformers.Qwen3Config(**_common(num_key_value_heads=2, head_dim=16)),
    "granite": lambda: transformers.GraniteConfig(
        **_common(num_key_value_heads=2), attention_multiplier=0.3, residual_multiplier=0.9,
        embedding_multiplier=1.7, logits_scaling=1.3,
    ),
    "mistral": lambda: transformers.MistralConfig(
        **_common(num_key_value_heads=2, sliding_window=WINDOW)
    ),
    "smollm3": lambda: transformers.SmolLM3Config(
        **_common(num_key_value_heads=2, num_hidden_layers=3, no_rope_layers=[1, 0, 1]),
        pad_token_id=None,
    ),
    "olmo2": lambda: transformers.Olmo2Config(**_common(num_key_value_heads=2)),
    "phi3": lambda: transformers.Phi3Config(
        **_common(num_key_value_heads=2, hidden_size=64, sliding_window=WINDOW),
        pad_token_id=None, rope_parameters={"rope_theta": 1e4, "partial_rotary_factor": 0.75},
    ),
    "gemma": lambda: transformers.GemmaConfig(**_common(num_key_value_heads=1, head_dim=12)),
    "gemma2": lambda: transformers.Gemma2Config(
        **_common(num_key_value_heads=2, head_dim=12, sliding_window=WINDOW),
        query_pre_attn_scalar=10, attn_logit_softcapping=3.0, final_logit_softcapping=5.0,
    ),
    "gemma3": lambda: transformers.Gemma3TextConfig(
        **_common(num_key_value_heads=2, head_dim=8, sliding_window=WINDOW),
        layer_types=["sliding_attention", "full_attention"], query_pre_attn_scalar=6,
    ),
    "olmo": lambda: transformers.OlmoConfig(**_common(num_key_value_heads=2), pad_token_id=None),
    "codegen": lambda: transformers.CodeGenConfig(
        vocab_size=VOCABULARY, n_embd=32, n_layer=2, n_head=4, n_positions=POSITIONS, rotary_dim=4
    ),
    "cohere2": lambda: transformers.Cohere2Config(
        **_common(num_key_value_heads=2, sliding_window=WINDOW),
        layer_types=["sliding_attention", "full_attention"],
    ),
    "mamba": lambda: transformers.MambaConfig(
        vocab_size=VOCABULARY, hidden_size=32, num_hidden_layers=2, state_size=4
    ),
    "lfm2": lambda: transformers.Lfm2Config(
        **_common(num_key_value_heads=2), layer_types=["conv", "full_attention"]
    ),
    "rwkv": lambda: transformers.RwkvConfig(
        vocab_size=VOCABULARY,
        hidden_size=32,
        attention_hidden_size=32,
        num_hidden_layers=2,
        context_length=POSITIONS,
    ),
    "bamba": lambda: transformers.BambaConfig(
        **_common(num_key_value_heads=2), attn_layer_indices=[1],
        mamba_n_heads=4, mamba_d_head=16, mamba_d_state=8, pad_token_id=None,
    ),
    "recurrent-gemma": lambda: transformers.RecurrentGemmaConfig(
        **_common(num_key_value_heads=1, head_dim=8), lru_width=32,
        block_types=["recurrent", "attention"],
    ),
    "roberta": lambda: transformers.RobertaConfig(
        # Its position 0 is in the row after the padding id's, which no test feeds.
        **_common(max_position_embeddings=VOCABULARY + POSITIONS),
        is_decoder=True, pad_token_id=VOCABULARY - 1,
    ),
    "phi3-longrope": lambda: transformers.Phi3Config(
        **_common(num_key_value_heads=2), pad_token_id=None,
        original_max_position_embeddings=LONG,
        rope_parameters={
            "rope_type": "longrope", "rope_theta": 10000.0,
            "original_max_position_embeddings": LONG,
            "short_factor": [1.0] * 4, "long_factor": [1.5, 2.0, 4.0, 8.0],
        },
    ),
}  # fmt: skip
NATIVE = (
    *("gpt2", "gpt1", "gpt-neo", "llama", "llama-odd", "mistral", "qwen2", "qwen3", "smollm3"),
    *("granite", "olmo2", "phi3", "gemma", "gemma2", "gemma3", "gptj", "gpt-neox", "gpt-neox-odd"),
    *("phi", "falcon", "falcon-groups", "falcon-serial", "stablelm", "stablelm-odd", "starcoder2"),
    *("opt", "bloom"),
)
WHOLE = ("gpt2", "llama-odd")
"""Families of which every combination of what does not depend on the family is tested."""
CANNOT_GO_BACK = (
    *("mamba", "lfm2", "cohere2"), *("rwkv", "bamba", "recurrent-gemma", "phi3-longrope")
)  # fmt: skip
"""Whose cache, once it is longer than the window, cannot be shortened."""


def spread(*choices: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Native families, each with one combination of the choices in turn; those of WHOLE with all.

    For choices that the code keeps apart from the family: all products would cost minutes.
    """
    every = [*itertools.product(*choices)]
    others = [name for name in NATIVE if name not in WHOLE]
    return [
        *((name, *chosen) for name in WHOLE for chosen in every),
        *((name, *every[i % len(every)]) for i, name in enumerate(others)),
    ]


def make(config: transformers.PretrainedConfig, seed: int = 0, scale: float = 0.25) -> Any:
    """A model with lively weights: matrices of this standard deviation, norms and biases moved."""
    torch.manual_seed(seed)
    model = library.AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim == 2 and "mixer" not in name:
                weight.normal_(0, scale)
            elif weight.ndim == 1:
                weight += 0.2 * torch.randn_like(weight)
    return model.eval()


def save(model: Any, directory: Path, **options: Any) -> Path:
    """Model and tokenizer as a directory that gptterm can load."""
    directory.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(directory, **options)
    train_tokenizer().save(str(directory / "tokenizer.json"))
    return directory


def edit_config(directory: Path, **changes: Any) -> None:
    file = directory / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def load(directory: Path, dtype: Dtype = "float32") -> LocalEngine:
    source = ModelSource(name=directory.name, directory=str(directory))
    return load_engine(LoadRequest(source=source, device="cpu", dtype=dtype))


@torch.inference_mode()
def reference(model: Any, ids: list[int]) -> Tensor:
    """(vocabulary,) logits after ids, by one pass over all of them without a cache."""
    logits: Tensor = model(torch.tensor([ids]), use_cache=False).logits[0, -1]
    return logits.float()


def log_probabilities(engine: LocalEngine, ids: list[int]) -> Tensor:
    """(vocabulary,) of the token after ids, as a request for all of them tells."""
    request = GenerateRequest(
        prompt=TokenPrompt(ids=tuple(ids)), max_tokens=1, logprobs=VOCABULARY, ignore_eos=True
    )
    for event in engine.generate(request):
        if isinstance(event, Token):
            found = torch.empty(VOCABULARY)
            for alternative in event.alternatives:
                found[alternative.id] = alternative.logprob
            return found
    raise AssertionError("no token")


def feed(decoder: Decoder, cache: Cache | BatchedCache, *rows: list[int], last: int = 1) -> Tensor:
    """Feed rows of ids; their logits as a tensor."""
    found = decoder.forward(np.array(rows), cache, last=last)
    assert found is not None
    assert found.dtype == np.float32
    return torch.from_numpy(found)


def draw_ids(count: int, seed: int = 0) -> list[int]:
    """Random ids, the last of the vocabulary (the end of text) excluded."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, VOCABULARY - 1, (count,), generator=generator).tolist()
