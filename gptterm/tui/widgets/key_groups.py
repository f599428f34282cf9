"""All key bindings by the area that they apply to, for the help, the palette and the keymap."""

from gptterm.tui.keys import APP_KEYS, CHAT_KEYS, EVERYWHERE, Group
from gptterm.tui.widgets.chats import ChatsPane
from gptterm.tui.widgets.prompt import Prompt
from gptterm.tui.widgets.sampling import SamplingPanel
from gptterm.tui.widgets.transcript.transcript import Transcript

PROMPT = "prompt"
TRANSCRIPT = "transcript"
SAMPLING = "sampling panel"
CHATS = "chats"

GROUPS: tuple[Group, ...] = (
    (EVERYWHERE, (*CHAT_KEYS, *APP_KEYS)),
    (PROMPT, Prompt.BINDINGS),
    (TRANSCRIPT, Transcript.BINDINGS),
    (SAMPLING, SamplingPanel.BINDINGS),
    (CHATS, ChatsPane.BINDINGS),
)
