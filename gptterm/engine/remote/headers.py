"""Headers of the requests to a server."""

import os

from gptterm import __version__
from gptterm.engine.api import RemoteModel
from gptterm.engine.remote.servers import OPENAI_URL, Access

_ACCOUNT = {"OPENAI_ORG_ID": "OpenAI-Organization", "OPENAI_PROJECT_ID": "OpenAI-Project"}
"""Variables that say whose account pays, for OpenAI alone."""


def request_headers(remote: RemoteModel, access: Access) -> list[tuple[str, str]]:
    """Return the headers of every request but the host; the user's own replace ours."""
    headers = {
        "Accept": "application/json, text/event-stream",
        "Accept-Encoding": "gzip",
        "Content-Type": "application/json",
        "User-Agent": f"gptterm/{__version__}",
    }
    if access.key:
        headers["Authorization"] = f"Bearer {access.key}"
    if remote.url == OPENAI_URL:
        named = {name: os.environ.get(variable, "") for variable, name in _ACCOUNT.items()}
        headers |= {name: value for name, value in named.items() if value}
    own = {name.lower() for name, _ in access.headers}
    pairs = [(name, value) for name, value in headers.items() if name.lower() not in own]
    return [*pairs, *access.headers]
