"""Text field: one line to type in, as dialogs have it."""

from textual import events
from textual.widgets import Input

from gptterm.tui.widgets.key_dispatch import run_own_binding


class TextField(Input):
    """Input that takes its keys in order, however fast they come."""

    async def on_key(self, event: events.Key) -> None:
        """Run bindings in line with the typed text: else ^U would remove what is typed after it."""
        await run_own_binding(self, event)
