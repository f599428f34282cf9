"""Warm engines: engine processes that outlive their front ends.

A warm engine is a daemon of the user's own that holds one model on one device and serves the
user's front ends over a Unix socket:

    registry      the directory of sockets and locks, and the check that it is private
    fingerprint   which daemon a request belongs to, and whether that daemon is up to date
    handshake     the first messages between client and daemon, stable across versions
    launcher      finds, starts, replaces and stops daemons
    server        the daemon's process (`python -m gptterm.engine.daemon.server`)
    sync_client   the synchronous client, an `Engine` (used by the command line)
    async_client  the asyncio client (used by the TUI)

After the handshake, client and daemon speak the protocol of `gptterm.engine.ipc.protocol`, and
`gptterm.engine.ipc.worker` serves both a daemon's clients and the TUI's own engine process.
"""
