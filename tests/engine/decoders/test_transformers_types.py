"""Random small checkpoints of the model types that the transformers library knows.

Each is exact alone, across chunks, after a crop and in a batch of four, or refused in one line.
"""

import contextlib
import dataclasses
import random
import resource
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from gptterm.engine.decoders.transformers_decoder import TransformersDecoder
from gptterm.errors import ModelError
from tests.engine.checkpoints import POSITIONS, VOCABULARY, WINDOW, draw_ids, library, make

pytestmark = pytest.mark.slow

TOLERANCE = 1e-4
LARGE = {
    "blt", "fuyu", "gemma3", "gemma3n", "git", "got_ocr2", "kimi_linear", "longcat_flash",
    "moss_transcribe_diarize", "phi4_multimodal", "roc_bert", "xlm",
}  # fmt: skip
"""Types whose default sizes are not made small by `SIZES`."""
TWO_ALGORITHMS = {"qwen3_next", "qwen3_5_text", "qwen3_5_moe_text"}
"""Types for which the library computes one token and many in two ways, whose rounding large weights
amplify to 1.4e-4: they are held to `TOLERANCE_64` in float64."""
TOLERANCE_64 = 1e-10
NOT_TEXT = {"moshi", "musicgen", "musicgen_melody", "whisper"}
_EIGHTH = ("head_dim", "dim_head", "d_head", "kv_channels", "qk_nope_head_dim", "qk_rope_head_dim",
           "v_head_dim", "linear_key_head_dim", "linear_value_head_dim", "mamba_d_state",
           "ssm_state_size", "state_size", "rotary_dim", "hidden_size_per_layer_input",
           "chunk_size", "mamba_chunk_size")  # fmt: skip
_LAYERS = ("num_hidden_layers", "num_layers", "n_layer", "n_layers", "decoder_layers",
           "encoder_layers", "num_attention_heads", "n_head", "n_heads", "num_heads",
           "decoder_attention_heads", "encoder_attention_heads", "num_experts",
           "num_local_experts", "n_routed_experts", "moe_num_experts", "mamba_n_heads",
           "mamba_num_heads", "mamba_d_conv", "conv_kernel", "mamba_dt_rank", "time_step_rank",
           "linear_num_value_heads", "linear_conv_kernel_dim")  # fmt: skip
_WIDTH = ("hidden_size", "d_model", "n_embd", "dim", "attention_hidden_size", "lru_width",
          "input_embedding_size", "output_embedding_size")  # fmt: skip
_INNER = ("intermediate_size", "ffn_dim", "dim_ff", "n_inner", "decoder_ffn_dim",
          "encoder_ffn_dim", "d_ff", "d_inner")  # fmt: skip
SIZES: dict[str, Any] = {
    **dict.fromkeys(_WIDTH, 32),
    **dict.fromkeys(_INNER, 48),
    **dict.fromkeys(_LAYERS, 4),
    **dict.fromkeys(_EIGHTH, 8),
    **dict.fromkeys(("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len"), POSITIONS),
    **dict.fromkeys(("sliding_window", "attention_window_size", "window_size"), WINDOW),
    **dict.fromkeys(("moe_intermediate_size", "shared_expert_intermediate_size"), 24),
    **dict.fromkeys(("shared_intermediate_size",), 24),
    **dict.fromkeys(("q_lora_rank", "kv_lora_rank", "qk_head_dim", "mamba_d_head"), 16),
    **dict.fromkeys(("mamba_head_dim", "embedding_size", "index_head_dim"), 16),
    **dict.fromkeys(("num_key_value_heads", "num_experts_per_tok", "moe_k", "moe_topk"), 2),
    **dict.fromkeys(("mamba_expand", "expand", "linear_num_key_heads"), 2),
    **dict.fromkeys(("n_group", "topk_group", "first_k_dense_replace", "mamba_n_groups"), 1),
    "n_groups": 1,
    "vocab_size": VOCABULARY,
    "vocab_size_per_layer_input": VOCABULARY,
    "index_topk": WINDOW,
    # The scores of sparse attention are sums of what a ReLU lets through. With few heads many are
    # 0, and which of those are among the best k depends on how many there are.
    "index_n_heads": 16,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "is_decoder": True,
}
_LATENT = {"head_dim": 8, "num_key_value_heads": 4}
_MIXED = ["mamba", "attention"] * 2
OWN: dict[str, dict[str, Any]] = {
    **dict.fromkeys(("axk1", "axk2", "deepseek_v2", "deepseek_v3", "deepseek_v32"), _LATENT),
    **dict.fromkeys(("glm4_moe_lite", "glm_moe_dsa", "minicpm3", "youtu"), _LATENT),
    "bamba": {"attn_layer_indices": [1, 3]},
    "dots1": {"n_shared_experts": 1},
    "falcon_h1": {"mamba_d_ssm": 64},
    "gpt_neo": {"attention_types": [[["global", "local"], 2]]},
    "granitemoehybrid": {"layer_types": _MIXED},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"] * 2},
    "mamba2": {"num_heads": 4, "head_dim": 16},
    "nemotron_h": {"hybrid_override_pattern": "M*M-"},
    "recurrent_gemma": {"block_types": ["recurrent", "attention"]},
    "xlstm": {"hidden_size": 64},
    "zaya": {"num_experts_per_tok": 1},
}


@pytest.fixture(autouse=True)
def little_memory() -> Iterator[None]:
    """Types whose default sizes are large fail to be made, before they fill the machine."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (12 << 30, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def checkpoint(model_type: str, seed: int) -> Any:
    """A random model of a type; skips those of which the library makes no small one."""
    config_class = library.CONFIG_MAPPING[model_type]
    fields = {field.name for field in dataclasses.fields(config_class)}
    chosen = {name: value for name, value in SIZES.items() if name in fields}
    # The weights' size differs from seed to seed, and with it how peaked attention is.
    scale = (0.25, 0.1)[seed % 2]
    try:
        return make(config_class(**(chosen | OWN.get(model_type, {}))), seed, scale).float()
    except Exception as error:
        pytest.skip(f"no small {model_type}: {type(error).__name__}")


class InFloat64(TorchFunctionMode):
    """Computes in float64 what the library always computes in float32."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        def wide(value: Any) -> Any:
            return torch.float64 if value is torch.float32 else value

        if func is Tensor.float:
            func = Tensor.double
        return func(*map(wide, args), **{k: wide(v) for k, v in (kwargs or {}).items()})


@torch.inference_mode()
def logits_after(model: Any, ids: list[int]) -> Tensor:
    output = model(torch.tensor([ids]), use_cache=False)
    logits: Tensor = output.logits[0, -1]
    return logits.float()


def check(decoder: TransformersDecoder, found: Any, *texts: list[int]) -> None:
    assert found is not None
    for row, ids in zip(torch.from_numpy(found), texts, strict=True):
        expected = logits_after(decoder._model, ids)
        tolerance = TOLERANCE_64 if expected.dtype == torch.float64 else TOLERANCE
        torch.testing.assert_close(row, expected, rtol=tolerance, atol=tolerance)


def feed(decoder: TransformersDecoder, cache: Any, *rows: list[int]) -> Any:
    return decoder.forward(torch.tensor(rows).numpy(), cache)


def check_chunks(decoder: TransformersDecoder, ids: list[int]) -> None:
    cache, at = decoder.new_cache(), 0
    for size in (20, 1, 1, 7, 1, 17, 3, 1):
        found = feed(decoder, cache, ids[at : at + size])
        at += size
        check(decoder, found, ids[:at])
    kept = cache.crop(30)
    check(decoder, feed(decoder, cache, ids[kept:35]), ids[:35])


def check_batch(decoder: TransformersDecoder, chance: random.Random) -> None:
    rows, texts = decoder.new_batched_cache(), list[list[int]]()
    for length, copies in ((5, 1), (19, 2), (30, 1)):
        ids, cache = draw_ids(length, seed=chance.randrange(1000)), decoder.new_cache()
        feed(decoder, cache, ids)
        rows.add(cache, copies, 90)
        texts += [list(ids) for _ in range(copies)]
    for step in range(5):
        new = [[chance.randrange(3, VOCABULARY - 1)] for _ in texts]
        texts = [text + one for text, one in zip(texts, new, strict=True)]
        check(decoder, feed(decoder, rows, *new), *texts)
        if step == 2:
            rows.remove(1)
            texts[1] = texts[-1]
            texts.pop()


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(
    "model_type", sorted(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.keys() - LARGE - NOT_TEXT)
)
def test_a_random_checkpoint(model_type: str, seed: int) -> None:
    model = checkpoint(model_type, seed)
    in_float64 = model_type in TWO_ALGORITHMS and seed == 0
    if in_float64:
        model = model.double()
        model.config._experts_implementation = "eager"  # others have no float64
    with InFloat64() if in_float64 else contextlib.nullcontext():
        try:
            decoder = TransformersDecoder(model, "cpu", "float32")
        except ModelError as error:
            pytest.skip(str(error))
        check_decoder(decoder, seed)


def check_decoder(decoder: TransformersDecoder, seed: int) -> None:
    # Ordinary tokens: some models give the lowest ids, such as the padding's, a part of their own.
    ids = [max(i, 3) for i in draw_ids(POSITIONS, seed=seed)]
    check_chunks(decoder, ids)
    check_batch(decoder, random.Random(seed))
    if decoder.context_length <= POSITIONS:
        cache, last = decoder.new_cache(), decoder.context_length - 1
        feed(decoder, cache, ids[:last])
        check(decoder, feed(decoder, cache, ids[last : last + 1]), ids[: last + 1])
