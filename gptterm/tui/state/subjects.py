"""Subjects of Inspect mode: texts to look into."""

from pathlib import Path
from typing import NamedTuple

from gptterm.engine.api import Prompt, TextPrompt
from gptterm.errors import UsageError
from gptterm.regular_files import read_regular
from gptterm.threads import in_daemon_thread

MOST_BYTES = 1 << 22
"""Of a file."""


class Subject(NamedTuple):
    """A text to look into, and the token to begin with: the last one, unless it is told."""

    name: str
    prompt: Prompt
    position: int | None = None
    byte: int | None = None
    """A byte of the text, which the token spells."""


async def file_subject(path: Path) -> Subject:
    """Read a file.

    Raises:
        UsageError: it cannot be read, is empty, too large, or no text in UTF-8.
    """
    try:
        text = (await in_daemon_thread(lambda: read_regular(path, MOST_BYTES))).decode()
    except OSError as error:
        raise UsageError(f"{path.name}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path.name} is no text in UTF-8") from None
    if not text:
        raise UsageError(f"{path.name} is empty: there is no text to look into")
    return Subject(path.name, TextPrompt(text=text))
