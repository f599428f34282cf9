"""Engines that outlive their front end.

A warm engine is a process of the user's own that keeps one model on one device and serves
whoever of the user's attaches to its socket, one generation after the other:

    place      the folder of sockets and locks, and who may have made it
    identity   which engine a request belongs to, and whether that one is still right
    greeting   the first words between a client and an engine, the same in all versions
    server     the process (`python -m gptterm.engine.daemon.server`)
    attach     finds, starts, replaces and ends engines
    remote     the `Engine` that a client holds

What they say after the greeting, and the code that answers, are those of the engine's process
that serves the TUI alone (`gptterm.engine.ipc.protocol`, `gptterm.engine.ipc.worker`).
"""
