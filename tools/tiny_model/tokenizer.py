"""Byte-level BPE tokenizer of `tiny`, trained on its corpus, with a chat template."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from . import world
from .chat import Turn, conversation
from .story import choose_plot, draw_cast, tell

END_OF_TEXT = "<|endoftext|>"
END_OF_TURN = "<|end|>"
SPECIAL = (END_OF_TEXT, "<|user|>", "<|assistant|>", "<|system|>", END_OF_TURN)

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>' + message['content'] | trim + '<|end|>' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


def render(turns: list[Turn]) -> str:
    """Render a conversation with the chat template."""
    return "".join(f"<|{turn.role}|>{turn.text.strip()}{END_OF_TURN}" for turn in turns)


def _texts(seed: int, count: int) -> Iterator[str]:
    for index in range(count):
        rng = random.Random(f"tokenizer-{seed}-{index}")
        if index % 2:
            yield tell(choose_plot(rng, frozenset()), draw_cast(rng), rng.getrandbits(40)).text
        else:
            yield from (turn.text for turn in conversation(rng))


def _slot_words(times: int) -> Iterator[str]:
    """Text that repeats the stories' key words, so that each becomes one token.

    What has to be carried from a request into its story is then one copy, not several.
    """
    places = [place.split()[-1] for _, place in world.PLACES]
    words = (*world.KINDS, *world.THINGS_ONLY, *world.NAMES, *places)
    for word in words:
        yield f" {word}" * times


def train_tokenizer(seed: int, vocab: int, documents: int) -> Tokenizer:
    """Train a byte-level BPE with all 256 bytes in its alphabet and the special tokens first."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab,
        special_tokens=list(SPECIAL),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    texts = chain(_texts(seed, documents), _slot_words(documents // 20))
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def save_tokenizer(tokenizer: Tokenizer, folder: Path, positions: int) -> None:
    """Write `tokenizer.json` and `tokenizer_config.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "add_prefix_space": False,
        "bos_token": END_OF_TEXT,
        "chat_template": CHAT_TEMPLATE,
        "clean_up_tokenization_spaces": False,
        "eos_token": END_OF_TEXT,
        "extra_special_tokens": list(SPECIAL[1:]),
        "model_max_length": positions,
        "pad_token": END_OF_TEXT,
        "tokenizer_class": "PreTrainedTokenizerFast",
        "unk_token": END_OF_TEXT,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")
