"""Render a prompt to ids: as raw text, with a chat template, or as a transcript."""

from dataclasses import dataclass

from msgspec.structs import replace

from gptterm.engine.api import ChatPrompt, Message, MixedPrompt, Prompt, TextPrompt, TokenPrompt
from gptterm.engine.prompt.builder import PromptBuilder
from gptterm.engine.prompt.mixed import check_ids, mixed_ids
from gptterm.engine.prompt.transcript import transcript_parts, transcript_stops
from gptterm.engine.text.tokenizer import Tokenizer
from gptterm.errors import ModelError, UsageError


@dataclass(frozen=True)
class RenderedPrompt:
    """A prompt as the model receives it.

    Attributes:
        ids: the prompt's tokens.
        stop: stop strings that the prompt's format implies.
        strip: whether the reply's leading white space belongs to the format, not to the reply.
        kept: tokens of a memory and a note, which are beside the text.
        ends: ids that end the reply, beside those that end a text.
    """

    ids: list[int]
    stop: tuple[str, ...] = ()
    strip: bool = False
    kept: int = 0
    ends: frozenset[int] = frozenset()


def render(prompt: Prompt, tokenizer: Tokenizer, vocab_size: int) -> RenderedPrompt:
    """Render any kind of prompt, for a model of `vocab_size` tokens.

    Raises:
        ModelError: the chat template fails, or the tokenizer is not the model's.
        UsageError: there is no message, or an id is not in the vocabulary.
    """
    match prompt:
        case TokenPrompt():
            return _render_tokens(prompt, vocab_size)
        case TextPrompt():
            rendered = RenderedPrompt([*tokenizer.start_ids, *tokenizer.encode(prompt.text)])
        case MixedPrompt():
            ids = mixed_ids(prompt, tokenizer, vocab_size)
            rendered = RenderedPrompt(ids.joined(), kept=ids.kept)
        case ChatPrompt():
            rendered = _render_chat(prompt, tokenizer)
    if rendered.ids and max(rendered.ids) >= vocab_size:
        raise ModelError(
            f"the tokenizer writes token {max(rendered.ids)}, but the model knows {vocab_size};"
            " they do not belong together"
        )
    return rendered


def _render_tokens(prompt: TokenPrompt, vocab_size: int) -> RenderedPrompt:
    check_ids(prompt.ids, vocab_size)
    return RenderedPrompt(list(prompt.ids))


def _render_chat(prompt: ChatPrompt, tokenizer: Tokenizer) -> RenderedPrompt:
    if prompt.continue_last and prompt.messages and _is_blank(prompt.messages[-1]):
        # There is nothing to continue: the reply begins.
        prompt = replace(prompt, messages=prompt.messages[:-1], continue_last=False)
    if not prompt.messages:
        raise UsageError("a chat needs at least one message")
    if tokenizer.chat_template is None:
        return _render_transcript(prompt, tokenizer)
    # Imported here: Jinja is slow to import, and only chat models need it.
    from gptterm.engine.prompt.chat_template import render_template

    return RenderedPrompt(render_template(prompt, tokenizer, tokenizer.chat_template))


def _is_blank(message: Message) -> bool:
    return not message.ids and not message.text.strip()


def _render_transcript(prompt: ChatPrompt, tokenizer: Tokenizer) -> RenderedPrompt:
    builder = PromptBuilder(tokenizer)
    for part in transcript_parts(prompt):
        if isinstance(part, str):
            builder.add_text(part)
        elif part.ids:
            builder.add_ids(part.ids)
        elif part.text:
            builder.add_text(f" {part.text}")
    stop = transcript_stops(prompt.transcript)
    return RenderedPrompt(
        [*tokenizer.start_ids, *builder.build()], stop, strip=not prompt.continue_last
    )
