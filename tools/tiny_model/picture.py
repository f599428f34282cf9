"""Draw an induction head's attention as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor
from transformers import GPT2LMHeadModel

from .chat import Turn
from .tokenizer import render

WORDS = ("bridge", "fox", "piano", "Mia", "snow", "key", "owl")
CELL, MARGIN_X, MARGIN_Y = 22, 90, 92
PAPER, INK, MARK = "#1b1e25", "#d7dae0", "#7ab7ff"


def attention(folder: Path, ids: Tensor) -> Tensor:
    """Attention weights (layers, rows, heads, time, time) over ids (rows, time)."""
    model: Any = GPT2LMHeadModel.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager"
    )
    with torch.no_grad():
        return torch.stack(model(ids, output_attentions=True).attentions)


def said_again(words: Sequence[str]) -> str:
    """A chat that repeats random words, which only copying can predict."""
    text = " ".join(words)
    return render([Turn("user", f"Repeat this: {text}"), Turn("assistant", text)])


def draw(folder: Path, layer: int, head: int) -> str:
    """Attention of a head (from 0) over repeated words."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    ids = tokenizer.encode(said_again(WORDS), add_special_tokens=False).ids
    shares = attention(folder, torch.tensor([ids]))[layer, 0, head]
    decoded = (tokenizer.decode([i], skip_special_tokens=False) for i in ids)
    pieces = [escape(piece.strip().strip("<|>")) for piece in decoded]
    size = len(ids) * CELL
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {MARGIN_X + size + 12} '
        f'{MARGIN_Y + size + 12}" font-family="monospace" font-size="12" fill="{INK}">',
        f"<title>tiny, layer {layer}, head {head}: what each row's token looks at</title>",
        f'<rect width="100%" height="100%" rx="6" fill="{PAPER}"/>',
    ]
    for index, piece in enumerate(pieces):
        at = index * CELL + CELL // 2
        parts += [
            f'<text x="{MARGIN_X - 8}" y="{MARGIN_Y + at + 4}" text-anchor="end">{piece}</text>',
            f'<text transform="translate({MARGIN_X + at + 4} {MARGIN_Y - 8}) rotate(-90)">'
            f"{piece}</text>",
        ]
    for row in range(len(ids)):
        parts += [
            f'<rect x="{MARGIN_X + column * CELL + 1}" y="{MARGIN_Y + row * CELL + 1}" '
            f'width="{CELL - 2}" height="{CELL - 2}" rx="3" fill="{MARK}" '
            f'fill-opacity="{0.06 + 0.94 * float(shares[row, column]):.2f}"/>'
            for column in range(row + 1)
        ]
    return "\n".join((*parts, "</svg>")) + "\n"
