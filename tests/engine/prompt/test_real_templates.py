"""Chat templates of other models, as the transformers library renders them.

`LLAMA_CPP_TEMPLATES` names the folder models/templates in llama.cpp's source.
"""

import os
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer as Backend

from gptterm.engine.api import ChatPrompt
from gptterm.engine.prompt.rendering import render
from gptterm.engine.text.tokenizer import Tokenizer
from gptterm.errors import ModelError
from tests.engine.prompt.templates import TEMPLATES
from tests.engine.prompt.test_rendering import backend_file, chat, library, text_of

FOLDER = Path(os.environ.get("LLAMA_CPP_TEMPLATES", "/nonexistent"))
FILES = sorted(FOLDER.glob("*.jinja"))
LONG = "First paragraph.\n\n- a list\n- of two\n\n```python\nprint('<|im_end|>')\n```\n"
CHATS = (
    chat(("user", "Hello, who are you?")),
    chat(("system", "You are terse."), ("user", "Hello!")),
    chat(
        ("user", "What is 1 + 1?"), ("assistant", "It is 2."), ("user", "And 2 + 2?"),
        ("assistant", "It is 4."), ("user", "Why?"),
    ),
    chat(
        ("system", "Be kind.\nAnd brief."), ("user", f"{LONG}ünï 日本 🎉 'quotes' \"double\""),
        ("assistant", LONG), ("user", "  leading and trailing \n\n"),
    ),
    chat(
        ("user", "Think."), ("assistant", "<think>\nHm, so.\n</think>\n\nThe answer is 3."),
        ("user", "Again?"),
    ),
    chat(("user", "Tell me a story"), ("assistant", "Once upon a"), continue_last=True),
)  # fmt: skip


@cache
def ours(source: str) -> Tokenizer:
    backend = Backend.from_str(backend_file("byte-level"))
    tokens = {"bos_token": "<s>", "eos_token": "</s>"}
    return Tokenizer(backend, frozenset(), source, tokens)


def theirs(source: str, prompt: ChatPrompt) -> str | None:
    """The library's text; None where the template rejects the chat."""
    messages: list[dict[str, Any]] = [
        {"role": message.role, "content": message.text} for message in prompt.messages
    ]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made = library(source).apply_chat_template(
                messages, tokenize=False, add_generation_prompt=not prompt.continue_last,
                continue_final_message=prompt.continue_last,
            )  # fmt: skip
    except Exception:
        return None
    return str(made)


def check(source: str, prompt: ChatPrompt) -> None:
    expected = theirs(source, prompt)
    tokenizer = ours(source)
    if expected is None:
        with pytest.raises(ModelError):
            render(prompt, tokenizer, tokenizer.vocab_size)
        return
    assert text_of(prompt, tokenizer) == expected


@pytest.mark.slow
@pytest.mark.skipif("LLAMA_CPP_TEMPLATES" not in os.environ, reason="set LLAMA_CPP_TEMPLATES")
@pytest.mark.parametrize("number", range(len(CHATS)))
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_real_templates(file: Path, number: int) -> None:
    check(file.read_text(encoding="utf-8"), CHATS[number])


@pytest.mark.parametrize("number", range(len(CHATS)))
# One token strips what follows it: `test_rendering` compares the ids.
@pytest.mark.parametrize("name", sorted(TEMPLATES.keys() - {"headers"}))
def test_templates_in_the_manner_of_real_ones(name: str, number: int) -> None:
    check(TEMPLATES[name], CHATS[number])
