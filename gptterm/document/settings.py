"""Settings of one document, kept with it: what a model sees beside the text, how it writes."""

from typing import Annotated

import msgspec

from gptterm.engine.api import MOST_WORD

MOST_DEPTH = 1 << 20
Word = Annotated[str, msgspec.Meta(min_length=1, max_length=MOST_WORD)]
Setting = bool | int | float | str | list[str] | None


class DocumentSettings(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Settings of one document."""

    memory: str = ""
    """Text at the front of what the model sees."""
    note: str = ""
    """Author's note: text before the last tokens of what the model sees."""
    note_depth: Annotated[int, msgspec.Meta(ge=0, le=MOST_DEPTH)] = 64
    """Tokens of the document's text after the note."""
    model: str = ""
    """Name of the model that writes it; empty: the one of the configuration."""
    values: dict[str, Setting] = {}
    """Sampling settings that were changed for it, by their names; a preset is one of them."""
    biases: dict[str, dict[int, float | None]] = {}
    """Model → token → value that is added to its logit; None is a ban."""
    words: dict[Word, float | None] = {}
    """Word → value that is added to what would complete it, by any model; None is a ban."""


def encode(settings: DocumentSettings) -> str | None:
    """Encode settings as JSON; None where all are the defaults."""
    return None if settings == DocumentSettings() else msgspec.json.encode(settings).decode()


def decode(data: object) -> DocumentSettings:
    """Decode settings; the defaults if they are missing or damaged."""
    if not isinstance(data, str):
        return DocumentSettings()
    try:
        return msgspec.json.decode(data, type=DocumentSettings)
    except ValueError:
        return DocumentSettings()
