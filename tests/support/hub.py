"""A server with the part of the Hugging Face Hub's HTTP API that downloads use.

Real HTTP on the loopback, for `HF_ENDPOINT`. It can misbehave on demand.
"""

import contextlib
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit


@dataclass
class Repository:
    """A model on the server, and its misbehaviour."""

    files: dict[str, bytes]
    private: bool = False
    """Not found without the token."""
    gated: bool = False
    """The files need the token."""
    claimed_sizes: dict[str, int] = field(default_factory=dict)
    """Wrong sizes in the file list, by file."""
    cuts: dict[str, list[int]] = field(default_factory=dict)
    """By file: bytes after which the connection is closed, request by request."""
    stalls: dict[str, threading.Event] = field(default_factory=dict)
    """By file: an event to wait for after half of it."""
    moved_to: str | None = None
    """Id to which requests are redirected."""
    status: int = 200
    """HTTP status of every answer."""

    @property
    def sha(self) -> str:
        """The commit id: a digest of the files."""
        parts = (f"{n} {hashlib.sha1(c).hexdigest()}" for n, c in sorted(self.files.items()))
        return hashlib.sha1("\n".join(parts).encode()).hexdigest()


class Hub:
    """The repositories of the server, and the requests it got."""

    TOKEN = "hf_let_me_in"

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.requests: list[str] = []
        """`METHOD path` of each, in order."""
        self.endpoint = ""

    def served(self, method: str, suffix: str) -> int:
        """Count the requests with this method whose path ends with `suffix`."""
        return sum(r.startswith(f"{method} ") and r.endswith(suffix) for r in self.requests)


@contextmanager
def serving() -> Iterator[Hub]:
    """Serve a hub on a free port of the loopback during the block."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    server.daemon_threads = True
    hub.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, *_args: object) -> None:
        """Keep the tests' output clean."""

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append(f"{self.command} {path}")
        if path.startswith("/api/models/"):
            repo_id, tail = path.removeprefix("/api/models/"), ""
        elif "/resolve/" in path:
            repo_id, tail = path.removeprefix("/").split("/resolve/", 1)
        else:
            return self._send(200, b"a hub")
        repository = self.hub.repositories.get(repo_id)
        trusted = self.headers.get("Authorization") == f"Bearer {Hub.TOKEN}"
        if repository is None or (repository.private and not trusted):
            return self._refuse(404 if trusted else 401, "RepoNotFound")
        if repository.moved_to is not None:
            target = self.path.replace(repo_id, repository.moved_to, 1)
            return self._send(307, b"", {"Location": target})
        if repository.status != 200:
            return self._send(repository.status, b"trouble")
        if not tail:
            return self._list(repo_id, repository)
        if repository.gated and not trusted:
            return self._refuse(401, "GatedRepo")
        return self._file(repository, tail.split("/", 1)[1])

    def _list(self, repo_id: str, repository: Repository) -> None:
        siblings = [
            {"rfilename": name, "size": repository.claimed_sizes.get(name, len(content))}
            for name, content in repository.files.items()
        ]
        listing = {
            "id": repo_id,
            "sha": repository.sha,
            "private": repository.private,
            "gated": "auto" if repository.gated else False,
            "siblings": siblings,
        }
        self._send(200, json.dumps(listing).encode(), {"Content-Type": "application/json"})

    def _file(self, repository: Repository, name: str) -> None:
        content = repository.files.get(name)
        if content is None:
            return self._refuse(404, "EntryNotFound")
        headers = {
            "ETag": f'"{hashlib.sha256(content).hexdigest()}"',
            "X-Repo-Commit": repository.sha,
            "Accept-Ranges": "bytes",
        }
        status, start = 200, 0
        if wanted := self.headers.get("Range"):
            start = int(wanted.removeprefix("bytes=").split("-")[0])
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            status = 206
        cuts = repository.cuts.get(name, [])
        cut = cuts.pop(0) if cuts and self.command == "GET" else None
        stall = repository.stalls.get(name) if self.command == "GET" else None
        return self._send(status, content[start:], headers, cut, stall)

    def _refuse(self, status: int, code: str) -> None:
        self._send(status, b"", {"X-Error-Code": code})

    def _send(
        self,
        status: int,
        body: bytes,
        headers: dict[str, str] | None = None,
        cut: int | None = None,
        stall: threading.Event | None = None,
    ) -> None:
        self.send_response(status)
        for key, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        if stall is not None:
            self.wfile.write(body[: len(body) // 2])
            stall.wait()
            body = body[len(body) // 2 :]
        with contextlib.suppress(OSError):  # the client may be gone
            self.wfile.write(body if cut is None else body[:cut])
        if cut is not None:
            self.close_connection = True
