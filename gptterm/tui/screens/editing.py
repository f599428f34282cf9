"""A turn's text in the prompt, to be sent as another version of the turn."""

from gptterm.tui.keys import CHAT_KEYS, Keymap
from gptterm.tui.state.chat import SYSTEM
from gptterm.tui.state.controller import Controller
from gptterm.tui.widgets.prompt import Prompt


class Editing:
    """Puts a turn into the prompt, and what was typed there before back into it.

    Args:
        controller: Whose open chat's turns are edited.
        prompt: Where.
        keymap: As the user has it.
    """

    def __init__(self, controller: Controller, prompt: Prompt, keymap: Keymap) -> None:
        self._controller = controller
        self._prompt = prompt
        self._keymap = keymap
        self._key: str | None = None
        self._before = ""

    def __bool__(self) -> bool:
        return self._key is not None

    @property
    def typed(self) -> str:
        """What is typed and not sent, but for a turn that is edited."""
        return self._before if self else self._prompt.message

    def begin(self, key: str) -> None:
        """Put a turn's text, or the system text, into the prompt."""
        tree = self._controller.chat.tree
        if not self:
            self._before = self._prompt.message
        self._key = key
        self._prompt.put(tree.system if key == SYSTEM else tree.node(key).text)
        sends = self._keymap.first(Prompt.BINDINGS, "prompt.send")
        leaves = self._keymap.first(CHAT_KEYS, "stop")
        becomes = "sets the system text" if key == SYSTEM else "makes a branch"
        self._prompt.border_title = f"edit: {sends} {becomes}, {leaves} leaves it"
        self._prompt.focus()

    def send(self, text: str) -> None:
        """Make what is in the prompt the turn's other version, or the system text."""
        key, self._key = self._key, None
        assert key is not None
        self._prompt.sent(text)
        self._restore()
        if key == SYSTEM:
            self._controller.set_system(text)
        else:
            self._controller.edit(key, text)

    def leave(self) -> None:
        """Forget the edit."""
        if self:
            self._key = None
            self._restore()

    def _restore(self) -> None:
        self._prompt.border_title = ""
        self._prompt.put(self._before)
