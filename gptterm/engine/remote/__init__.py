"""Remote engine: models on OpenAI-compatible servers.

`servers` parses names and finds keys, `dialects` tells servers apart, `requests` builds a request's
body, `server_sent_events` and `chunks` parse the stream, `reply` turns it into events, `errors`
describes what went wrong; none of them does I/O. `exchange` is the contract of the two transports:
`direct`, and `proxied` where a proxy is named. `session` and `generation` run requests over either.
`engine` and `client` are their two shells: the synchronous `Engine`, and the TUI's asyncio client.
"""
