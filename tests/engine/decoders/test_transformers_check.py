"""The check on load: ways to feed models of the transformers library, refusals, dtypes."""

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from gptterm.engine.decoders.transformers_decoder import TransformersDecoder
from gptterm.errors import ModelError
from tests.engine.checkpoints import (
    ARCHITECTURES,
    LONG,
    POSITIONS,
    VOCABULARY,
    WINDOW,
    draw_ids,
    edit_config,
    gpt1,
    library,
    load,
    log_probabilities,
    make,
    reference,
    save,
)

SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
}


def decoder(name: str) -> TransformersDecoder:
    return TransformersDecoder(make(ARCHITECTURES[name]()), "cpu", "float32")


def feeding(name: str) -> dict[str, object]:
    found = decoder(name)._feeding
    return {"state": found.state, "positions": found.positions, "one_by_one": found.one_by_one}


def test_how_models_are_fed() -> None:
    usual = {"state": "library", "positions": True, "one_by_one": False}
    assert feeding("olmo") == usual
    assert feeding("bamba") == usual | {"one_by_one": True}  # its default positions begin at 0
    assert feeding("recurrent-gemma") == usual | {"one_by_one": True}
    assert feeding("roberta") == usual | {"positions": False}  # it computes its own
    assert feeding("rwkv") == {"state": "returned", "positions": False, "one_by_one": True}
    assert decoder("phi3-longrope")._feeding.switches == (LONG,)


def test_a_model_without_a_state_is_slow_and_says_so(tmp_path: Path) -> None:
    engine = load(save(make(gpt1(afn="relu")), tmp_path))
    assert "computes the whole text anew" in " ".join(engine.info.notices)
    assert load(save(make(ARCHITECTURES["olmo"]()), tmp_path / "olmo")).info.notices == ()


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (transformers.XLNetConfig(vocab_size=VOCABULARY, d_model=32, n_layer=2, n_head=4,
                                  d_inner=64), "inputs of its own .*target_mapping"),
        (transformers.BertConfig(**SIZES), "depends on later ones"),
        (transformers.CpmAntConfig(vocab_size=VOCABULARY, hidden_size=32, num_attention_heads=4,
                                   dim_head=8, dim_ff=64, num_hidden_layers=2), "later ones"),
        (transformers.ReformerConfig(vocab_size=VOCABULARY, hidden_size=32, is_decoder=True,
                                     axial_pos_embds=False), "hashes at random"),
    ],
    ids=["xlnet", "bert", "cpmant", "reformer"],
)  # fmt: skip
def test_models_that_do_not_predict_the_next_token(config: Any, reason: str) -> None:
    with pytest.raises(ModelError, match=reason) as caught:
        TransformersDecoder(make(config), "cpu", "float32")
    assert "\n" not in str(caught.value)


def test_weights_that_are_no_numbers() -> None:
    model = make(ARCHITECTURES["llama"]())
    with torch.no_grad():
        model.lm_head.weight[3, 3] = float("nan")
    with pytest.raises(ModelError, match="not numbers"):
        TransformersDecoder(model, "cpu", "float32")


def test_positions_of_a_table_that_begins_with_others() -> None:
    """A table of 514 rows has 512 positions if the padding id is 1."""
    config = transformers.RobertaConfig(
        **SIZES, max_position_embeddings=66, is_decoder=True, pad_token_id=1
    )
    found = TransformersDecoder(make(config), "cpu", "float32")
    assert found.context_length == 64
    ids = [i + 2 for i in range(64)]
    cache = found.new_cache()
    for start in (0, 20, 63):
        logits = found.forward(
            torch.tensor([ids[start : {0: 20, 20: 63, 63: 64}[start]]]).numpy(), cache
        )
    assert logits is not None
    expected = reference(found._model, ids)
    torch.testing.assert_close(torch.from_numpy(logits)[0], expected, rtol=0, atol=1e-4)


def moshi(window: int) -> Any:
    config = library.MoshiConfig(
        **SIZES, sliding_window=window, max_position_embeddings=POSITIONS, ffn_dim=64,
        audio_vocab_size=16, num_codebooks=2, head_dim=8, num_key_value_heads=4,
    )  # fmt: skip
    config._attn_implementation = "eager"
    torch.manual_seed(0)
    return library.MoshiForCausalLM(config).eval()


@pytest.mark.parametrize("window", [4, WINDOW, 64])
def test_a_window_that_the_cache_has_and_the_attention_has_not(window: int) -> None:
    """The library's cache for Moshi drops tokens that its attention sees."""
    found = TransformersDecoder(moshi(window), "cpu", "float32")
    assert found._feeding.state == "growing"
    assert found._model.config.sliding_window == window
    check_steps(found, draw_ids(window + 20))


@pytest.mark.parametrize("name", ["gemma3", "mistral", "qwen2"])
def test_windows_of_both_cache_and_attention(name: str) -> None:
    found = decoder(name)
    assert found._feeding.state == "library"
    assert found._model.config.sliding_window == WINDOW
    check_steps(found, draw_ids(WINDOW + 20))


def check_steps(found: TransformersDecoder, ids: list[int]) -> None:
    """Logits of one token after another, and of a chunk, are those of one pass over all."""
    cache = found.new_cache()
    for start, end in ((0, 10), *((i, i + 1) for i in range(10, len(ids) - 5)), (-5, len(ids))):
        logits = found.forward(torch.tensor([ids[start:end]]).numpy(), cache)
        assert logits is not None
        expected = reference(found._model, ids[:end])
        torch.testing.assert_close(torch.from_numpy(logits)[0], expected, rtol=0, atol=1e-4)


def test_a_longrope_text_on_both_sides_of_the_switch() -> None:
    """Rows of a batch cross it together, and one that is cropped goes back."""
    found = decoder("phi3-longrope")
    ids = draw_ids(LONG + 10)
    cache, rows = found.new_cache(), found.new_batched_cache()
    found.forward(torch.tensor([ids[: LONG - 1]]).numpy(), cache)
    rows.add(cache, 2, POSITIONS)
    texts = [ids[: LONG - 1], ids[: LONG - 1]]
    for step in range(4):
        new = [[step + 5], [step + 6]]
        logits = found.forward(torch.tensor(new).numpy(), rows)
        assert logits is not None
        texts = [[*text, *one] for text, one in zip(texts, new, strict=True)]
        for row, text in zip(torch.from_numpy(logits), texts, strict=True):
            torch.testing.assert_close(row, reference(found._model, text), rtol=0, atol=1e-4)


# -------------------------------------------------------------------------------------- dtypes


def fp8(directory: Path, block: int = 16) -> Path:
    """A Llama whose matrices are in FP8, with a scale for each block."""
    save(make(ARCHITECTURES["llama"]()).to(torch.bfloat16), directory)
    stored = load_file(directory / "model.safetensors")
    for name, weight in list(stored.items()):
        if not name.endswith("proj.weight"):
            continue
        rows, columns = (size // block for size in weight.shape)
        blocks = weight.float().view(rows, block, columns, block)
        scale = blocks.abs().amax((1, 3)) / 448
        stored[name] = (blocks / scale[:, None, :, None]).view(weight.shape).to(torch.float8_e4m3fn)
        stored[f"{name}_scale_inv"] = scale
    save_file(stored, directory / "model.safetensors", metadata={"format": "pt"})
    edit_config(
        directory,
        quantization_config={
            "quant_method": "fp8", "weight_block_size": [block, block],
            "activation_scheme": "dynamic",
        },
    )  # fmt: skip
    return directory


def test_a_quantised_checkpoint(tmp_path: Path) -> None:
    """Without a GPU it is unpacked to bfloat16, which `auto` keeps, and a named dtype replaces."""
    directory = fp8(tmp_path)
    plain = log_probabilities(load(save(make(ARCHITECTURES["llama"]()), tmp_path / "plain")), [7])
    for asked, dtype in (("auto", "bfloat16"), ("float32", "float32")):
        engine = load(directory, asked)  # type: ignore[arg-type]
        assert (engine.info.dtype, engine.info.decoder) == (dtype, "transformers")
        found = log_probabilities(engine, [7])
        assert float((plain.exp() * (plain - found)).sum()) < 0.05


def test_the_name_of_a_quantisation() -> None:
    from gptterm.engine.decoders.transformers_decoder import _quantization

    model = make(ARCHITECTURES["llama"]())
    assert _quantization(model) == ""
    for options, name in (
        ({"load_in_8bit": True}, "bitsandbytes 8-bit"),
        ({"load_in_4bit": True}, "bitsandbytes 4-bit"),
    ):
        model.config.quantization_config = library.BitsAndBytesConfig(**options)
        model.is_quantized = True
        assert _quantization(model) == name
    model.config.quantization_config = {"quant_method": "gptq", "bits": 4}
    assert _quantization(model) == "gptq 4-bit"
