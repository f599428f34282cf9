"""Edit a turn in the prompt, to be sent as another version of the turn."""

from gptterm.conversation.nodes import SYSTEM
from gptterm.tui.keys import CHAT_KEYS, Keymap
from gptterm.tui.state.controller import Controller
from gptterm.tui.widgets.prompt import Prompt


class TurnEditor:
    """Lends the prompt to a turn's text, and restores the draft afterwards. True while editing.

    Args:
        controller: Owns the open chat.
        prompt: The prompt.
        keymap: The user's keys.
    """

    def __init__(self, controller: Controller, prompt: Prompt, keymap: Keymap) -> None:
        self._controller = controller
        self._prompt = prompt
        self._keymap = keymap
        self._key: str | None = None
        self._draft = ""

    def __bool__(self) -> bool:
        return self._key is not None

    @property
    def draft(self) -> str:
        """Text typed but not sent, apart from the turn being edited."""
        return self._draft if self else self._prompt.message

    def begin(self, key: str) -> None:
        """Put the text of a turn, or the system text, into the prompt."""
        tree = self._controller.chat.tree
        if not self:
            self._draft = self._prompt.message
        self._key = key
        self._prompt.put(tree.system if key == SYSTEM else tree.node(key).text)
        sends = self._keymap.first(Prompt.BINDINGS, "prompt.send")
        leaves = self._keymap.first(CHAT_KEYS, "stop")
        becomes = "sets the system text" if key == SYSTEM else "makes a branch"
        self._prompt.border_title = f"edit: {sends} {becomes}, {leaves} cancels"
        self._prompt.add_class("-editing")
        self._prompt.focus()

    def send(self, text: str) -> None:
        """Add the edited text as the turn's new version, or set the system text."""
        key, self._key = self._key, None
        assert key is not None
        self._prompt.accept(text)
        self._restore()
        if key == SYSTEM:
            self._controller.set_system(text)
        else:
            self._controller.edit(key, text)

    def cancel(self) -> None:
        """Discard the edit."""
        if self:
            self._key = None
            self._restore()

    def _restore(self) -> None:
        self._prompt.border_title = ""
        self._prompt.remove_class("-editing")
        self._prompt.put(self._draft)
