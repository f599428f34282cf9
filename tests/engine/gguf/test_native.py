"""GGUF files on the native decoders, held against the transformers library."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType, quants

from gptterm.engine.generation.engine import LocalEngine
from gptterm.engine.kernels.blocks import FORMATS
from gptterm.errors import ModelError
from tests.engine.checkpoints import (
    ARCHITECTURES,
    LLAMA3,
    draw_ids,
    library,
    log_probabilities,
    make,
    reference,
)
from tests.engine.gguf.models import Array, load, save_gguf
from tests.engine.kernels.random_blocks import random_blocks

IDS = draw_ids(60)
FAMILIES = {
    "llama": "llama", "llama-odd": "llama", "qwen3": "qwen3", "gpt2": "gpt2",
    "smollm3": "smollm3", "granite": "granite", "olmo2": "olmo2", "phi3": "phi3",
    "gpt-neox": "gptneox", "gpt-neox-odd": "gptneox", "starcoder2": "starcoder2",
    "gemma": "gemma", "gemma2": "gemma2", "gemma3": "gemma3",
}  # fmt: skip
"""Architectures of GGUF files, by the checkpoint's name."""


RARER = ("Q2_K", "Q3_K", "IQ4_NL", "IQ4_XS", "MXFP4")
"""Types of weights without kernels."""


def qwen2() -> Any:
    """Without its sliding window, which no GGUF file speaks of."""
    sizes = ARCHITECTURES["qwen2"]().to_dict() | {"use_sliding_window": False, "layer_types": None}
    return library.Qwen2Config(**sizes)


def without_what_files_lack(name: str) -> Any:
    """A checkpoint's settings, with llama.cpp's constant for what no GGUF file says."""
    of_families: dict[str, dict[str, Any]] = {
        "smollm3": {"num_hidden_layers": 5, "no_rope_layers": None, "layer_types": None},
        "starcoder2": {"sliding_window": None},
        "gemma2": {"query_pre_attn_scalar": 12},
        "gemma3": {
            "query_pre_attn_scalar": 8, "num_hidden_layers": 7, "layer_types": None,
            "rope_parameters": None,
        },
    }  # fmt: skip
    changes = of_families.get(name, {})
    if name == "qwen2":
        return qwen2()
    config = ARCHITECTURES[name]()
    return type(config)(**config.to_dict() | changes) if changes else config


def check(engine: LocalEngine, model: Any) -> None:
    assert engine.info.decoder == "native"
    assert engine.info.parameters == sum(p.numel() for p in model.parameters())
    for size in (1, 60):
        expected = torch.log_softmax(reference(model, IDS[:size]), 0)
        found = log_probabilities(engine, IDS[:size])
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", [*FAMILIES, "qwen2"])
def test_a_float32_file_has_the_librarys_logits(tmp_path: Path, name: str) -> None:
    model = make(without_what_files_lack(name))
    file = save_gguf(model, tmp_path / "m.gguf", FAMILIES.get(name, "qwen2"))
    engine = load(file)
    assert engine.info.dtype == "float32"
    assert engine.info.architecture == type(model).__name__
    check(engine, model)


@pytest.mark.parametrize(
    "rope", [LLAMA3, {"rope_type": "linear", "rope_theta": 5e4, "factor": 3.0}]
)
def test_scaled_rotary_embedding(tmp_path: Path, rope: dict[str, Any]) -> None:
    sizes = ARCHITECTURES["llama"]().to_dict() | {"rope_parameters": rope}
    model = make(library.LlamaConfig(**sizes))
    check(load(save_gguf(model, tmp_path / "m.gguf", "llama")), model)


def test_the_library_reads_the_same_of_the_file(tmp_path: Path) -> None:
    """That the test's own writer permutes as the converter does."""
    model = make(ARCHITECTURES["llama"]())
    file = save_gguf(model, tmp_path / "m.gguf", "llama")
    theirs = library.LlamaForCausalLM.from_pretrained(tmp_path, gguf_file=file.name)
    for name, weight in model.state_dict().items():
        assert torch.equal(theirs.state_dict()[name], weight), name


@pytest.mark.parametrize("dtype", [np.float16, "bfloat16"], ids=str)
def test_16_bits(tmp_path: Path, dtype: Any) -> None:
    model = make(ARCHITECTURES["llama"]())
    rounded = torch.float16 if dtype is np.float16 else torch.bfloat16
    kind = GGMLQuantizationType.F16 if dtype is np.float16 else GGMLQuantizationType.BF16

    def pack(_: str, array: Array) -> tuple[Array, str] | None:
        return (quants.quantize(array, kind), kind.name) if array.ndim == 2 else None

    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim == 2:
                weight.copy_(weight.to(rounded).float())
    file = save_gguf(model, tmp_path / "m.gguf", "llama", pack)
    engine = load(file)
    assert engine.info.dtype == str(rounded).removeprefix("torch.")
    assert mean_kl(engine, model) < 1e-4  # keys and values are cached in float16
    check(load(file, "float32"), model)


def wide_llama(seed: int = 0) -> Any:
    """Whose rows are whole blocks of every type."""
    return make(
        library.LlamaConfig(
            vocab_size=384, hidden_size=256, intermediate_size=512, num_hidden_layers=2,
            num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=128,
        ),
        seed,
    )  # fmt: skip


def in_blocks(model: Any, kind: str, folder: Path) -> Path:
    """Give a model random weights of a type, and write them as they are."""
    packed: dict[str, Array] = {}

    def pack(name: str, array: Array) -> tuple[Array, str] | None:
        if array.ndim < 2 or name == "rope_freqs.weight":
            return None
        outer, inner = array.shape
        rows = random_blocks(kind, outer, inner, seed=len(packed))
        wanted = 0.08 / float(np.std(quants.dequantize(rows, GGMLQuantizationType[kind])))
        rows = random_blocks(kind, outer, inner, seed=len(packed), scale=0.01 * wanted)
        packed[name] = rows
        return rows, kind

    file = save_gguf(model, folder / f"{kind}.gguf", "llama", pack)
    theirs = library.LlamaForCausalLM.from_pretrained(folder, gguf_file=file.name)
    model.load_state_dict(theirs.state_dict())
    return file


def mean_kl(engine: LocalEngine, model: Any) -> float:
    """Mean KL divergence from the library's distributions, in nats a token."""
    found = [
        torch.nn.functional.kl_div(
            log_probabilities(engine, IDS[:size]).double(),
            torch.log_softmax(reference(model, IDS[:size]).double(), 0),
            log_target=True,
            reduction="sum",
        )
        for size in range(1, 60, 6)
    ]
    return float(torch.stack(found).mean())


@pytest.mark.parametrize("kind", FORMATS)
def test_blocks_as_they_are(tmp_path: Path, kind: str) -> None:
    model = wide_llama()
    file = in_blocks(model, kind, tmp_path)
    check(load(file, "float32"), model)
    engine = load(file)
    assert engine.info.dtype == kind
    assert engine.info.notices == ()
    assert 0 < mean_kl(engine, model) < 5e-3


@pytest.mark.parametrize("kind", RARER)
def test_a_rarer_type_is_widened_and_says_so(tmp_path: Path, kind: str) -> None:
    model = wide_llama()
    file = in_blocks(model, kind, tmp_path)
    check(load(file, "float32"), model)
    engine = load(file)
    assert [kind in notice and "8 bits" in notice for notice in engine.info.notices] == [True]
    assert 0 < mean_kl(engine, model) < 5e-3


def test_without_kernels_torch_computes_the_same(tmp_path: Path, without_kernels: Any) -> None:
    model = wide_llama()
    file = in_blocks(model, "Q4_K", tmp_path)
    without_kernels()
    check(load(file), model)


def test_what_is_not_native_goes_to_the_library(tmp_path: Path) -> None:
    model = make(ARCHITECTURES["llama"]())
    file = save_gguf(model, tmp_path / "m.gguf", "llama", changes={"attention.sliding_window": 5})
    assert load(file).info.architecture == "MistralForCausalLM"
    changes = {"rope.scaling.factor": 2.0, "rope.scaling.type": "yarn"}
    file = save_gguf(model, tmp_path / "m.gguf", "llama", changes=changes)
    assert load(file, "float32").info.decoder == "transformers"


def test_metadata_that_the_tensors_belie(tmp_path: Path) -> None:
    model = make(ARCHITECTURES["llama"]())
    file = save_gguf(model, tmp_path / "m.gguf", "llama", changes={"feed_forward_length": 63})
    with pytest.raises(ModelError, match=r"promises layers.0.mlp.gate_proj.weight of shape"):
        load(file)
    file = save_gguf(model, tmp_path / "m.gguf", "llama", changes={"attention.head_count": 3})
    with pytest.raises(ModelError, match=r"m.gguf"):
        load(file)


def test_int8_is_refused_for_what_it_is(tmp_path: Path) -> None:
    file = save_gguf(make(ARCHITECTURES["llama"]()), tmp_path / "m.gguf", "llama")
    with pytest.raises(ModelError, match="leave --dtype at auto"):
        load(file, "int8")
