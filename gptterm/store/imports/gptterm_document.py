"""Our own exports of texts of Write mode, with all versions, token ids and log probabilities."""

from gptterm.conversation.tree import clean_values
from gptterm.document.json_format import FORMAT
from gptterm.document.json_import import from_builtins
from gptterm.json_values import Object, as_text
from gptterm.store.imports.parsed_chat import UnreadableChatError
from gptterm.store.imports.parsed_document import ImportedDocument
from gptterm.terminal import one_line

ORIGIN = "gptterm"


def matches(raw: Object) -> bool:
    """Whether an object is a text of this format."""
    return raw.get("format") == FORMAT


def parse(raw: Object) -> ImportedDocument:
    """Parse one text.

    Raises:
        UnreadableChatError: It is empty, damaged, or of a newer version.
    """
    try:
        document = from_builtins(clean_values(raw))
    except RecursionError:
        raise UnreadableChatError("nested too deeply") from None
    except ValueError as error:
        raise UnreadableChatError(one_line(str(error))) from error
    if not len(document):
        raise UnreadableChatError("it is empty")
    return ImportedDocument(document, as_text(raw.get("title")), ORIGIN)
