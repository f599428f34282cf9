"""Web server of the TUI, by textual-serve; run as a module, the session of one visitor."""

import json
import os
import secrets
import shlex
import sys
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from aiohttp.typedefs import Middleware
    from aiohttp.web import Application, Request, StreamResponse
    from textual_serve.server import Server

    Handler = Callable[[Request], Awaitable[StreamResponse]]

OPTIONS, SERVER_KEY = "GPTTERM_WEB_OPTIONS", "GPTTERM_WEB_KEY"
"""Variables that bring the settings and the key of the models' server to a session: a command line
is public."""
MOST_SESSIONS = 16
"""Sessions at once; each has an engine of its own."""
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline';"
    " img-src 'self' data:; font-src 'self' data:; connect-src 'self' ws: wss:"
)
"""The page loads nothing from elsewhere."""


class Gate(NamedTuple):
    """Decides which requests are answered.

    Another user of the machine may connect, and any page that a browser shows may open a
    WebSocket: so the page is for those who know the key, and for itself.
    """

    host: str
    """Address that is listened on."""
    port: int
    key: str

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can connect."""
        return self.host in _LOOPBACK

    @property
    def url(self) -> str:
        """Address to open, with the key."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}/?key={self.key}"

    @property
    def cookie(self) -> str:
        """Name of the cookie that has the key: cookies are shared by all ports."""
        return f"gptterm-{self.port}"

    def is_from_us(self, headers: Mapping[str, str]) -> bool:
        """Whether a request comes from our own page, by a name of ours.

        A page of another site can have its own name point to this machine.
        """
        host, origin = headers.get("Host", "").lower(), headers.get("Origin")
        name = host.removesuffix(f":{self.port}").strip("[]")
        if self.is_loopback and name not in _LOOPBACK:
            return False
        return origin is None or origin.lower().partition("://")[2] == host

    def opens(self, given: str | None) -> bool:
        """Whether this is the key."""
        return given is not None and secrets.compare_digest(given.encode(), self.key.encode())


def serve(
    given: Mapping[str, object],
    api_key: str,
    *,
    host: str,
    port: int,
    say: Callable[[str], None],
    environ: MutableMapping[str, str],
) -> None:
    """Serve until Ctrl+C.

    Args:
        given: Settings that options have set.
        api_key: Key of the server of the models.
        host: Address to listen on.
        port: Port to listen on.
        say: Prints a line for the user.
        environ: Environment that sessions inherit.

    Raises:
        OSError: The address cannot be listened on.
    """
    from aiohttp import web

    environ[OPTIONS], environ[SERVER_KEY] = json.dumps(given), api_key
    app = make_app(Gate(host, port, secrets.token_urlsafe(16)), say)
    # What is typed is nobody's business: nothing is logged.
    web.run_app(app, host=host, port=port, print=None, access_log=None)


async def make_app(gate: Gate, say: Callable[[str], None]) -> "Application":
    """Return the application that serves the page and its sessions.

    Args:
        gate: Decides which requests are answered.
        say: Prints a line for the user.
    """
    from textual_serve.server import Server

    async def tell(_: "Application") -> None:
        say(f"gptterm is at {gate.url}")
        say("Ctrl+C ends it")
        if not gate.is_loopback:
            say("whoever has this address can use gptterm, and your files through it")

    command = shlex.join([sys.executable, "-m", "gptterm.tui.web"])
    server = Server(command, host=gate.host, port=gate.port, title="gptterm")
    app: Application = await server._make_app()
    app.on_startup.remove(server.on_startup)
    app.on_startup.append(tell)
    app.middlewares.append(_guard(gate, server))
    return app


def _guard(gate: Gate, server: "Server") -> "Middleware":
    """Return the middleware that every request goes through."""
    from aiohttp import web

    sessions = 0

    async def guard(request: "Request", handler: "Handler") -> "StreamResponse":
        nonlocal sessions
        if not gate.is_from_us(request.headers):
            raise web.HTTPForbidden(text="this page is not from here")
        if request.path == "/" and gate.opens(request.query.get("key")):
            # The key stays in neither the address line nor the browser's history.
            found = web.HTTPFound("/")
            found.set_cookie(gate.cookie, gate.key, httponly=True, samesite="Strict")
            raise found
        if not gate.opens(request.cookies.get(gate.cookie)):
            raise web.HTTPForbidden(text="open the address that `gptterm web` printed")
        if request.path != "/ws":
            # The page names its parts by the name that it was asked for by.
            scheme = request.headers.get("X-Forwarded-Proto", request.scheme)
            server.public_url = f"{scheme}://{request.host}"
            response = await handler(request)
            response.headers["Content-Security-Policy"] = _POLICY
            return response
        if sessions >= MOST_SESSIONS:
            raise web.HTTPServiceUnavailable(text="there are too many sessions")
        sessions += 1
        try:
            return await handler(request)
        finally:
            sessions -= 1

    return web.middleware(guard)


def run_session() -> int:
    """Run the TUI for one visitor."""
    from gptterm.config import load_settings
    from gptterm.tui import run

    given, key = json.loads(os.environ.pop(OPTIONS, "{}")), os.environ.pop(SERVER_KEY, "")
    left = run(load_settings(given, api_key=key), in_browser=True, note=lambda _: None)
    return left if isinstance(left, int) else 0


if __name__ == "__main__":
    sys.exit(run_session())
