"""All key bindings by the area that they apply to, for the help, the palette and the keymap."""

from gptterm.tui.keys import APP_KEYS, CHAT_KEYS, EVERYWHERE, INSPECT_KEYS, WRITE_KEYS, Group
from gptterm.tui.widgets.chats import ChatsPane
from gptterm.tui.widgets.continuations import Continuations
from gptterm.tui.widgets.distribution import Distribution
from gptterm.tui.widgets.document_area import DocumentArea
from gptterm.tui.widgets.inspection.token_text import TokenText
from gptterm.tui.widgets.prompt import Prompt
from gptterm.tui.widgets.sampling import SamplingPanel
from gptterm.tui.widgets.transcript.transcript import Transcript
from gptterm.tui.widgets.version_map import DocumentMap, VersionMap

PROMPT = "prompt"
TRANSCRIPT = "transcript"
SAMPLING = "sampling panel"
CHATS = "chats"
ALTERNATIVES = "next token"
TEXT = "text"
CONTINUATIONS = "continuations"
INSPECTED = "inspected text"
MAP = "map of the versions"

CHAT_GROUPS: tuple[Group, ...] = (
    (EVERYWHERE, (*CHAT_KEYS, *APP_KEYS)),
    (PROMPT, Prompt.BINDINGS),
    (TRANSCRIPT, Transcript.BINDINGS),
    (SAMPLING, SamplingPanel.BINDINGS),
    (ALTERNATIVES, Distribution.BINDINGS),
    (CHATS, ChatsPane.BINDINGS),
)
WRITE_GROUPS: tuple[Group, ...] = (
    (TEXT, (*WRITE_KEYS, *DocumentArea.BINDINGS)),
    (CONTINUATIONS, Continuations.BINDINGS),
    (ALTERNATIVES, Distribution.BINDINGS),
    (SAMPLING, SamplingPanel.BINDINGS),
    (MAP, (*VersionMap.BINDINGS, *DocumentMap.BINDINGS)),
)
INSPECT_GROUPS: tuple[Group, ...] = ((INSPECTED, (*INSPECT_KEYS, *TokenText.BINDINGS)),)
GROUPS = tuple(dict(CHAT_GROUPS + WRITE_GROUPS + INSPECT_GROUPS).items())
SCREENS: tuple[tuple[Group, ...], ...] = (
    CHAT_GROUPS,
    ((EVERYWHERE, APP_KEYS), *WRITE_GROUPS),
    ((EVERYWHERE, APP_KEYS), *INSPECT_GROUPS),
)
"""The groups that apply at a time."""
