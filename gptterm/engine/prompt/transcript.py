"""Transcript: the form of a chat for models without a chat template, local and remote."""

from collections.abc import Iterator

from gptterm.engine.api import ChatPrompt, Message, Transcript


def transcript_parts(prompt: ChatPrompt) -> Iterator[str | Message]:
    """Yield the parts of a transcript: its own texts, and each message where its content goes.

    A message's content is to be written after a space, and left out if it is empty.
    """
    form, messages = prompt.transcript, prompt.messages
    preamble = form.preamble
    if messages and messages[0].role == "system":
        preamble, messages = messages[0].text, messages[1:]
    if preamble:
        yield f"{preamble}\n\n"
    for position, message in enumerate(messages):
        yield f"{form.assistant if message.role == 'assistant' else form.user}:"
        yield message
        if not (prompt.continue_last and position == len(messages) - 1):
            yield "\n"
    if not prompt.continue_last:
        yield f"{form.assistant}:"


def transcript_stops(form: Transcript) -> tuple[str, str]:
    """Stop strings: the beginnings of the next turns."""
    return f"\n{form.user}:", f"\n{form.assistant}:"
