"""Write the model folder that gptterm and transformers read."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer

from .model import GPT2
from .tokenizer import END_OF_TEXT, END_OF_TURN, save_tokenizer


def export(model: GPT2, tokenizer: Tokenizer, folder: Path) -> None:
    """Write float16 weights under openai-community/gpt2's names, config.json and the tokenizer."""
    folder.mkdir(parents=True, exist_ok=True)
    save_tokenizer(tokenizer, folder, model.config.positions)
    weights = {
        name: tensor.detach().to("cpu", torch.float16).contiguous()
        for name, tensor in model.state_dict().items()
    }
    save_file(weights, str(folder / "model.safetensors"), metadata={"format": "pt"})
    # save_file writes for the owner only; the package is read by everyone.
    (folder / "model.safetensors").chmod(0o644)
    eos, turn = (tokenizer.token_to_id(name) for name in (END_OF_TEXT, END_OF_TURN))
    if eos is None or turn is None:
        raise ValueError("the tokenizer lacks its end tokens")
    config = model.config.to_transformers(eos) | {"dtype": "float16"}
    generation = {
        "bos_token_id": eos,
        "do_sample": True,
        "eos_token_id": [eos, turn],
        "pad_token_id": eos,
        "temperature": 0.2,
    }
    for name, content in (("config.json", config), ("generation_config.json", generation)):
        (folder / name).write_text(json.dumps(content, indent=2) + "\n")
