"""Find a model directory's chat template, without loading its tokenizer.

The engine and the model's metadata both ask here, so that they agree.
"""

from pathlib import Path
from typing import Any, NamedTuple

from gptterm.engine.runtime.model_files import read_json, read_text
from gptterm.errors import ModelError
from gptterm.json_values import as_object, as_objects

_DEFAULT = "default"
_FOR_OTHER_TASKS = ("tool_use", "rag")


class ChatTemplate(NamedTuple):
    """A chat template's Jinja source, and notices about its choice."""

    source: str
    notices: tuple[str, ...] = ()


def read_chat_template(directory: Path, settings: dict[str, Any]) -> ChatTemplate | None:
    """Return the chat template of a model directory; None if it has none.

    It is chat_template.jinja, else tokenizer_config.json's, else chat_template.json's, where a
    multimodal model's processor has it.

    Args:
        settings: the content of tokenizer_config.json.

    Raises:
        ModelError: a file cannot be read, or holds something else.
    """
    source = read_text(directory / "chat_template.jinja")
    if source is not None:
        return ChatTemplate(source)
    for value in (settings, read_json(directory / "chat_template.json")):
        if value.get("chat_template"):
            return _chosen(value["chat_template"], directory)
    return None


def _chosen(value: Any, directory: Path) -> ChatTemplate | None:
    if isinstance(value, str):
        return ChatTemplate(value)
    named = _named(value)
    if not named:
        raise ModelError(f"the chat template in {directory} is damaged; fetch the model again")
    if _DEFAULT in named:
        return ChatTemplate(named[_DEFAULT])
    name = next((name for name in named if name not in _FOR_OTHER_TASKS), next(iter(named)))
    notice = f"none of the model's chat templates is the default one: {name!r} is used"
    return ChatTemplate(named[name], (notice,))


def _named(value: Any) -> dict[str, str]:
    """Return templates by name, from a list of objects or from an object."""
    pairs = [(entry.get("name"), entry.get("template")) for entry in as_objects(value)]
    pairs += as_object(value).items()
    return {k: v for k, v in pairs if isinstance(k, str) and isinstance(v, str)}
