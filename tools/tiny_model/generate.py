"""Batched generation from a model folder, through transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from transformers import GPT2LMHeadModel

from .tokenizer import END_OF_TEXT, END_OF_TURN


class Generator:
    """Model and tokenizer of a folder, with gptterm's default samplers.

    Its defaults: temperature as in the model's generation_config, top-k 40, top-p 0.95.
    """

    def __init__(self, folder: Path, temperature: float | None = None) -> None:
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.model: Any = GPT2LMHeadModel.from_pretrained(folder, dtype=torch.float32)
        configured = self.model.generation_config.temperature
        self.temperature = configured if temperature is None else temperature
        self.ends = [self.tokenizer.token_to_id(name) for name in (END_OF_TEXT, END_OF_TURN)]

    def encode(self, text: str) -> list[int]:
        """Encode a text; special tokens in it are recognised."""
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def __call__(self, prompts: list[str], limit: int = 250, batch: int = 32) -> list[list[int]]:
        """Generate at most `limit` new ids for each prompt, without the end token."""
        order = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))
        results: list[list[int]] = [[] for _ in prompts]
        for start in range(0, len(order), batch):
            part = order[start : start + batch]
            for index, ids in zip(
                part, self._batch([prompts[i] for i in part], limit), strict=True
            ):
                results[index] = ids
        return results

    def _batch(self, prompts: list[str], limit: int) -> list[list[int]]:
        rows = [self.encode(prompt) for prompt in prompts]
        width = max(map(len, rows))
        pad = self.ends[0]
        ids = torch.tensor([[pad] * (width - len(row)) + row for row in rows])
        mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
        with torch.no_grad():
            out = self.model.generate(
                ids,
                attention_mask=mask,
                max_new_tokens=limit,
                do_sample=True,
                temperature=self.temperature,
                top_k=40,
                top_p=0.95,
                eos_token_id=self.ends,
                pad_token_id=pad,
            )
        return [self._until_end(row) for row in out[:, width:].tolist()]

    def _until_end(self, ids: list[int]) -> list[int]:
        ends = [ids.index(end) for end in self.ends if end in ids]
        return ids[: min(ends)] if ends else ids

    def text(self, ids: list[int]) -> str:
        """Decode ids."""
        decoded: str = self.tokenizer.decode(ids)
        return decoded
