"""An engine in a process of its own: the child, its client, and what they say to each other."""

LOCAL_ENGINE = "gptterm.engine.ipc.preload:load_engine"
"""The factory of an engine on this machine."""
