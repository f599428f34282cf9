"""Keys in the order they were pressed."""

from textual import events
from textual.widget import Widget


async def run_own_binding(widget: Widget, event: events.Key) -> bool:
    """Run the widget's own binding of a key now, among the widget's other messages.

    Textual runs bindings when the key has bubbled up to the application, through other queues
    than text is typed by. So fast typing, or keys that waited while something was drawn, would be
    taken in another order than they were pressed in.

    Returns:
        Whether there was one.
    """
    active = widget.screen.active_bindings.get(event.key)
    if active is None or active.node is not widget or not active.enabled:
        return False
    event.stop()
    event.prevent_default()
    await widget.run_action(active.binding.action)
    return True
