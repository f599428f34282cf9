"""Model directories of GPT-2's shape, with random weights and a synthetic tokenizer.

Speed and memory do not depend on the values of the weights: nothing has to be downloaded.
"""

import json
import os
import shutil
import sys
from itertools import islice, product
from pathlib import Path
from string import ascii_lowercase
from typing import Any

END = "<|endoftext|>"
GPT2_SMALL: dict[str, Any] = {
    "architectures": ["GPT2LMHeadModel"],
    "model_type": "gpt2",
    "activation_function": "gelu_new",
    "vocab_size": 50257,
    "n_positions": 1024,
    "n_ctx": 1024,
    "n_embd": 768,
    "n_layer": 12,
    "n_head": 12,
    "layer_norm_epsilon": 1e-5,
    "tie_word_embeddings": True,
    "bos_token_id": 50256,
    "eos_token_id": 50256,
}
"""config.json of the 124M model."""


def merge_rules(count: int) -> list[tuple[str, str]]:
    """`count` merges of letters to pairs and triples, with and without a space before them."""
    space, letters = "Ġ", ascii_lowercase
    pairs = [(a, b) for a, b in product([*letters, space], letters)]
    triples = [(a + b, c) for (a, b), c in product(pairs, letters)]
    fours = [(space + a + b, c) for a, b, c in product(letters, repeat=3)]
    eights = ((a + b, c + d) for a, b, c, d in product(letters, repeat=4))
    merges = [*islice([*pairs, *triples, *fours], count)]
    return [*merges, *islice(eights, count - len(merges))]


def write_tokenizer(directory: Path, vocabulary: int) -> None:
    """Write a byte-level BPE tokenizer of `vocabulary` entries, the last the end of text."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    merges = merge_rules(vocabulary - 257)
    names = [*sorted(pre_tokenizers.ByteLevel.alphabet()), *(a + b for a, b in merges), END]
    ids = {name: i for i, name in enumerate(names)}
    assert len(ids) == vocabulary
    tokenizer = Tokenizer(models.BPE(ids, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([END])
    tokenizer.save(str(directory / "tokenizer.json"))
    settings = {"tokenizer_class": "GPT2Tokenizer", "bos_token": END, "eos_token": END}
    (directory / "tokenizer_config.json").write_text(json.dumps(settings), "utf-8")


def write_weights(file: Path, config: dict[str, Any]) -> None:
    """Write float32 weights, initialised as GPT-2's were."""
    import torch
    from safetensors.torch import save_file

    width, generator = config["n_embd"], torch.Generator().manual_seed(0)

    def random(*shape: int) -> torch.Tensor:
        return torch.empty(shape).normal_(0, 0.02, generator=generator)

    def norm(name: str) -> dict[str, torch.Tensor]:
        return {f"{name}.weight": torch.ones(width), f"{name}.bias": torch.zeros(width)}

    def linear(name: str, rows: int, columns: int) -> dict[str, torch.Tensor]:
        return {f"{name}.weight": random(rows, columns), f"{name}.bias": torch.zeros(columns)}

    weights = {"wte.weight": random(config["vocab_size"], width)}
    weights["wpe.weight"] = random(config["n_positions"], width)
    for i in range(config["n_layer"]):
        weights |= norm(f"h.{i}.ln_1") | norm(f"h.{i}.ln_2")
        weights |= linear(f"h.{i}.attn.c_attn", width, 3 * width)
        weights |= linear(f"h.{i}.attn.c_proj", width, width)
        weights |= linear(f"h.{i}.mlp.c_fc", width, 4 * width)
        weights |= linear(f"h.{i}.mlp.c_proj", 4 * width, width)
    save_file(weights | norm("ln_f"), file, metadata={"format": "pt"})


def make(directory: Path, config: dict[str, Any] = GPT2_SMALL) -> Path:
    """Write the model unless it exists; returns `directory`."""
    if (directory / "config.json").exists():
        return directory
    # Under another name until complete: an interrupted run leaves no partial model.
    part = directory.with_name(f"{directory.name}.{os.getpid()}.part")
    part.mkdir(parents=True)
    try:
        write_tokenizer(part, config["vocab_size"])
        write_weights(part / "model.safetensors", config)
        (part / "config.json").write_text(json.dumps(config, indent=2), "utf-8")
        part.replace(directory)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return directory


if __name__ == "__main__":
    make(Path(sys.argv[1]))
