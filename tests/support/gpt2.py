"""Small GPT-2 models, written in milliseconds: no network, no torch.

`write_gpt2(directory)` has random weights. `write_gpt2(directory, says=TEXT)` is rigged: its
position embeddings outweigh everything, so that greedy decoding repeats the tokens of TEXT over
and over, whatever the prompt. The prompt's number of tokens decides where in TEXT it begins.
"""

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

END_OF_TEXT = "<|endoftext|>"

SENTENCES = [
    "Once upon a time there was a king who had three daughters.",
    "The moon is the only natural satellite of the Earth.",
    "She said that the rain would stop before the evening came.",
    "A small model can be made in a moment and says nothing of use.",
    "User: hello there\nAssistant: hello to you too\n",
]


def train_tokenizer(vocab_size: int = 384) -> Tokenizer:
    """Train a byte-level BPE like GPT-2's: 256 bytes, a few merges, `<|endoftext|>` last."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - 1,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    tokenizer.add_special_tokens([END_OF_TEXT])
    return tokenizer


def write_gpt2(
    directory: Path,
    *,
    says: str | bytes | None = None,
    layers: int = 2,
    width: int = 64,
    heads: int = 4,
    positions: int = 128,
    chat_template: str | None = None,
    seed: int = 0,
) -> Path:
    """Write config, tokenizer and weights of a model; return `directory`.

    Args:
        says: rig the model to say this over and over, byte by byte if it is bytes.
        chat_template: a Jinja template, which makes it a chat model.
    """
    directory.mkdir(parents=True, exist_ok=True)
    tokenizer = train_tokenizer()
    tokenizer.save(str(directory / "tokenizer.json"))
    end = tokenizer.token_to_id(END_OF_TEXT)
    config: dict[str, object] = {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "activation_function": "gelu_new",
        "bos_token_id": end,
        "eos_token_id": end,
        "layer_norm_epsilon": 1e-5,
        "n_ctx": positions,
        "n_embd": width,
        "n_head": heads,
        "n_layer": layers,
        "n_positions": positions,
        "torch_dtype": "float32",
        "vocab_size": tokenizer.get_vocab_size(),
    }
    tokenizer_config: dict[str, object] = {
        "tokenizer_class": "GPT2Tokenizer",
        "model_max_length": positions,
        "bos_token": END_OF_TEXT,
        "eos_token": END_OF_TEXT,
        "unk_token": END_OF_TEXT,
    }
    if chat_template is not None:
        tokenizer_config["chat_template"] = chat_template
    (directory / "config.json").write_text(json.dumps(config))
    (directory / "tokenizer_config.json").write_text(json.dumps(tokenizer_config))
    script = None if says is None else _encode(tokenizer, says)
    save_file(
        _weights(config, np.random.default_rng(seed), script),
        directory / "model.safetensors",
        metadata={"format": "pt"},
    )
    return directory


def _encode(tokenizer: Tokenizer, says: str | bytes) -> list[int]:
    if isinstance(says, str):
        return list(tokenizer.encode(says).ids)
    # Bytes one token each: the ids of the alphabet, in the order of GPT-2's byte map.
    vocabulary = tokenizer.get_vocab()
    return [vocabulary[byte_character(byte)] for byte in says]


def byte_character(byte: int) -> str:
    """The character that stands for a byte in a byte-level vocabulary."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    if byte in printable:
        return chr(byte)
    return chr(256 + [other for other in range(256) if other not in printable].index(byte))


def _weights(
    config: dict[str, object], rng: np.random.Generator, script: list[int] | None
) -> dict[str, np.ndarray]:
    """All tensors by their names in GPT-2's checkpoints; `script` rigs the positions."""
    width, positions, vocab = (int(str(config[k])) for k in ("n_embd", "n_positions", "vocab_size"))

    def normal(*shape: int, scale: float = 0.2) -> np.ndarray:
        # A rigged model's blocks add nothing, and zeros are written at once.
        if script is not None:
            return np.zeros(shape, np.float32)
        return (scale * rng.standard_normal(shape)).astype(np.float32)

    def zeros(*shape: int) -> np.ndarray:
        return np.zeros(shape, np.float32)

    tensors = {
        # Small beside what the blocks add, or every token would be followed by itself.
        "wte.weight": (0.05 * rng.standard_normal((vocab, width))).astype(np.float32),
        "wpe.weight": normal(positions, width),
        "ln_f.weight": np.ones(width, np.float32),
        "ln_f.bias": zeros(width),
    }
    if script is not None:
        rows = tensors["wte.weight"]
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        turn = [script[position % len(script)] for position in range(positions)]
        tensors["wpe.weight"] = np.ascontiguousarray(100 * rows[turn])
    for layer in range(int(str(config["n_layer"]))):
        for name, shape in {
            "attn.c_attn": (width, 3 * width),
            "attn.c_proj": (width, width),
            "mlp.c_fc": (width, 4 * width),
            "mlp.c_proj": (4 * width, width),
        }.items():
            tensors[f"h.{layer}.{name}.weight"] = normal(*shape)
            tensors[f"h.{layer}.{name}.bias"] = zeros(shape[1])
        for norm in ("ln_1", "ln_2"):
            tensors[f"h.{layer}.{norm}.weight"] = np.ones(width, np.float32)
            tensors[f"h.{layer}.{norm}.bias"] = zeros(width)
    return tensors
