"""State of the TUI: chats, settings, the engine, and the controller that owns them.

Nothing here imports a widget: the controller emits events, and the screen reads what it shows.
"""
