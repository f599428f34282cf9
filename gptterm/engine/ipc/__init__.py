"""Engine in a process of its own: messages, client and worker.

protocol         the messages and their framing
client_protocol  sans-I/O core of all clients
client           the asyncio client, over connection (its socket) and engine_process
child_main       the engine's process: a worker with one client
worker           runs an engine for its clients; scheduler, client_channel, send_buffer
errors           exceptions to messages and back
preload          the local engine with its imports
"""

LOCAL_ENGINE = "gptterm.engine.ipc.preload:load_engine"
"""The factory of an engine on this machine."""
