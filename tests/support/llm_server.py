"""A scripted OpenAI-compatible server on a real socket, which speaks any dialect badly or well."""

import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Self

Json = dict[str, Any]
PATIENCE = 30.0


@dataclass
class Answer:
    """An answer to one POST."""

    body: bytes | Iterable[bytes] = b""
    """Bytes, or pieces that are sent one by one."""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    hold: bool = False
    """Then say nothing more, until the client disconnects."""
    whole: bool = True
    """Whether the body's end is announced, so that the client can tell it from a cut."""
    mute: bool = False
    """Accept the request and never answer."""
    keep: bool = False
    """Keep the connection for further requests."""


def sse(*chunks: Json | str | bytes, done: bool = True) -> bytes:
    """The bytes of a stream of events."""
    parts = [c if isinstance(c, bytes) else _event(c) for c in chunks]
    return b"".join([*parts, *([b"data: [DONE]\n\n"] if done else [])])


def _event(chunk: Json | str) -> bytes:
    text = chunk if isinstance(chunk, str) else json.dumps(chunk)
    return f"data: {text}\n\n".encode()


def chat(text: str = "", finish: str | None = None, **more: Any) -> Json:
    """A chunk of a chat."""
    delta = {"content": text} if text else {}
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish, **more}]}


def completion(text: str = "", finish: str | None = None, **more: Any) -> Json:
    """A chunk of a completion."""
    return {"choices": [{"index": 0, "text": text, "finish_reason": finish, **more}]}


def usage(prompt: int, completion: int, **more: Any) -> Json:
    """A chunk with the counts."""
    counts = {"prompt_tokens": prompt, "completion_tokens": completion, **more}
    return {"choices": [], "usage": counts}


def stream(*words: str, finish: str = "stop") -> Answer:
    """A good answer to a chat."""
    counts = usage(7, len(words))
    return Answer(sse(*(chat(word) for word in words), chat(finish=finish), counts))


def refusal(status: int, error: Any, **headers: str) -> Answer:
    """An error with a JSON body."""
    body = error if isinstance(error, bytes) else json.dumps(error).encode()
    return Answer(body, status, {"Content-Type": "application/json", **headers})


@dataclass
class Request:
    """A request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: Json


class LlmServer:
    """Answers POSTs with the next of `answers`, the last one for ever, and GETs with `models`.

    A context manager.

    Args:
        respond: answers a POST by what it asks for, instead of `answers`.
    """

    def __init__(
        self,
        *answers: Answer,
        models: Any = None,
        tls: ssl.SSLContext | None = None,
        respond: Callable[[Request], Answer] | None = None,
    ) -> None:
        self.answers = list(answers)
        self._respond = respond
        self.models: Answer | None = None
        if models is not None:
            self.models = models if isinstance(models, Answer) else model_list(models)
        self.requests: list[Request] = []
        self.connections = 0
        self.disconnected = threading.Event()
        """Set when a client leaves an answer that was held."""
        self.arrived = threading.Event()
        """Set when a POST has arrived."""
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._port = self._socket.getsockname()[1]
        self._tls = tls
        self._closing = False

    @property
    def url(self) -> str:
        scheme = "http" if self._tls is None else "https"
        return f"{scheme}://127.0.0.1:{self._port}/v1"

    @property
    def posts(self) -> list[Request]:
        return [request for request in self.requests if request.method == "POST"]

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing = True
        with contextlib.suppress(OSError):
            # Else the thread that accepts would serve one more client.
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _accept(self) -> None:
        while not self._closing:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(PATIENCE)
        try:
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
        except OSError:
            return
        with connection, connection.makefile("rb") as reader:
            try:
                while (request := _read(reader)) is not None:
                    self.requests.append(request)
                    answer = self._next(request)
                    self._answer(connection, answer)
                    if not answer.keep:
                        break
            except OSError:
                self.disconnected.set()

    def _next(self, request: Request) -> Answer:
        if request.method == "GET":
            return self.models or refusal(404, {"error": {"message": "no such path"}})
        self.arrived.set()
        if self._respond is not None:
            return self._respond(request)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def _answer(self, connection: socket.socket, answer: Answer) -> None:
        if not answer.mute:
            pieces = [answer.body] if isinstance(answer.body, bytes) else answer.body
            kept = "keep-alive" if answer.keep else "close"
            headers = {"Content-Type": "text/event-stream", "Connection": kept} | answer.headers
            chunked = answer.whole
            if chunked:
                headers["Transfer-Encoding"] = "chunked"
            else:
                headers["Content-Length"] = str(1 << 30)
            head = f"HTTP/1.1 {answer.status} X\r\n"
            head += "".join(f"{name}: {value}\r\n" for name, value in headers.items())
            connection.sendall(f"{head}\r\n".encode())
            for piece in pieces:
                if piece:
                    framed = b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece
                    connection.sendall(framed)
            if chunked and not answer.hold:
                connection.sendall(b"0\r\n\r\n")
        if answer.hold or answer.mute:
            while connection.recv(1 << 16):
                pass
            self.disconnected.set()


def model_list(models: Any, **headers: str) -> Answer:
    """An answer to the question for the models."""
    body = json.dumps({"object": "list", "data": models}).encode()
    return Answer(body, 200, {"Content-Type": "application/json", **headers})


def _read(reader: Any) -> Request | None:
    line = reader.readline().decode("utf-8", "replace").split()
    if len(line) != 3 or line[0] not in ("GET", "POST"):  # TLS, for example
        return None
    method, path, _ = line
    headers = {}
    while (line := reader.readline().decode("utf-8", "replace").strip()) != "":
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    size = int(headers.get("content-length", 0))
    body = reader.read(size)
    if len(body) < size:  # its client was killed
        return None
    return Request(method, path, headers, json.loads(body or b"{}"))
