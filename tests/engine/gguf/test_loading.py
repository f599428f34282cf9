"""A GGUF file as an engine's model."""

import json
from pathlib import Path

import numpy as np
import pytest

from gptterm.engine.api import GenerateRequest, LoadRequest, ModelSource, SamplingParams, TextPrompt
from gptterm.engine.generation.engine import LocalEngine
from gptterm.engine.generation.loader import load_engine
from gptterm.engine.text.token_bytes import byte_alphabet
from tests.engine.gguf.files import vocabulary, write_gguf
from tests.engine.runs import GREEDY, run

ALPHABET = sorted(byte_alphabet())
EOS, TURN_END = len(ALPHABET), len(ALPHABET) + 1
WIDTH, INNER, HEADS = 32, 64, 2


def small_llama(path: Path) -> Path:
    """A Llama of random weights whose chat format ends a turn with another token than its eos."""
    tokens = [*ALPHABET, "<|endoftext|>", "<|im_end|>"]
    metadata = {
        "llama.block_count": 2,
        "llama.context_length": 64,
        "llama.embedding_length": WIDTH,
        "llama.feed_forward_length": INNER,
        "llama.attention.head_count": HEADS,
        "llama.attention.head_count_kv": HEADS,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "llama.rope.dimension_count": WIDTH // HEADS,
        "llama.rope.freq_base": 10000.0,
        "llama.vocab_size": len(tokens),
    } | vocabulary(
        tokens, types=[1] * len(ALPHABET) + [3, 3], pre="gpt-2",
        eos_token_id=EOS, eot_token_id=TURN_END, bos_token_id=EOS,
    )  # fmt: skip
    rng = np.random.default_rng(5)

    def weight(*shape: int) -> np.ndarray:
        return rng.normal(0, 0.05, shape).astype(np.float32)

    tensors = {"token_embd.weight": weight(len(tokens), WIDTH)}
    for layer in range(2):
        block = f"blk.{layer}"
        tensors |= {f"{block}.attn_{x}.weight": weight(WIDTH, WIDTH) for x in ("q", "k", "v")}
        tensors |= {
            f"{block}.attn_output.weight": weight(WIDTH, WIDTH),
            f"{block}.ffn_gate.weight": weight(INNER, WIDTH),
            f"{block}.ffn_up.weight": weight(INNER, WIDTH),
            f"{block}.ffn_down.weight": weight(WIDTH, INNER),
            f"{block}.attn_norm.weight": np.ones(WIDTH, np.float32),
            f"{block}.ffn_norm.weight": np.ones(WIDTH, np.float32),
        }
    tensors["output_norm.weight"] = np.ones(WIDTH, np.float32)
    head = weight(len(tokens), WIDTH)
    tensors["output.weight"] = head
    return write_gguf(path, metadata, tensors)


def load(file: Path) -> LocalEngine:
    source = ModelSource(name=file.name, directory=str(file.parent), gguf_file=file.name)
    return load_engine(LoadRequest(source=source, device="cpu", dtype="float32"))


def test_its_neighbours_change_nothing(tmp_path: Path) -> None:
    file = small_llama(tmp_path / "m.gguf")
    request = GenerateRequest(prompt=TextPrompt(text="ab"), sampling=GREEDY, max_tokens=8)
    alone = run(load(file), request).ids()
    for name, content in {
        "config.json": "{",
        "generation_config.json": json.dumps({"eos_token_id": [*range(256)]}),
        "tokenizer.json": "[]",
        "tokenizer_config.json": json.dumps({"chat_template": "{{ nonsense }}"}),
        "chat_template.jinja": "{{ nonsense }}",
    }.items():
        (tmp_path / name).write_text(content)
    engine = load(file)
    assert run(engine, request).ids() == alone
    assert not engine.info.has_chat_template


@pytest.mark.parametrize("end", [EOS, TURN_END])
def test_a_text_ends_at_any_of_its_ends(tmp_path: Path, end: int) -> None:
    engine = load(small_llama(tmp_path / "m.gguf"))
    sampling = SamplingParams(temperature=0.0, logit_bias=((end, 1e9),))
    request = GenerateRequest(prompt=TextPrompt(text="ab"), sampling=sampling, max_tokens=8)
    done = run(engine, request)
    assert (done.text(), done.finished().reason) == ("", "eos")
