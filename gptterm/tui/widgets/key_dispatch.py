"""Run a widget's key bindings in the order in which the keys were pressed."""

from textual import events
from textual.widget import Widget


async def run_own_binding(widget: Widget, event: events.Key) -> bool:
    """Run the widget's own binding of a key now, in line with the widget's other messages.

    Textual runs bindings when the key has bubbled up to the application, through other queues
    than typed text. Fast typing, or keys that waited for a repaint, would be handled out of order.

    Returns:
        Whether the widget binds the key.
    """
    active = widget.screen.active_bindings.get(event.key)
    if active is None or active.node is not widget or not active.enabled:
        return False
    event.stop()
    event.prevent_default()
    await widget.run_action(active.binding.action)
    return True
