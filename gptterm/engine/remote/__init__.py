"""Remote engine: models on OpenAI-compatible servers.

`servers` parses names and finds keys, `dialects` tells servers apart, `requests` builds a request's
body, `chunks` parses the stream, `reply` turns it into events, `errors` describes what went wrong;
none of them does I/O. `session` is the transport, on the openai client. `engine` and `client` are
its two shells: the synchronous `Engine`, and the TUI's asyncio client.
"""
