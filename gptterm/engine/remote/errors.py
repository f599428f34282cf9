"""Errors of servers: from a status, a body or an exception to one line that says what to do."""

import json
import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from gptterm.engine.api import RemoteModel
from gptterm.engine.remote.chunks import error_text
from gptterm.engine.remote.servers import Access, host
from gptterm.errors import FailureKind
from gptterm.format import shorten

_TOO_LONG = re.compile(
    r"context[ _]length|context window|context size|exceed_context_size|maximum context"
    r"|`?inputs`? (tokens|must have)|too many tokens|prompt is too long",
    re.IGNORECASE,
)
_NO_MODEL = re.compile(r"model", re.IGNORECASE)
_HTML = re.compile(r"\s*(<!doctype html|<html|<head|<\?xml)", re.IGNORECASE)
_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)


class Problem(NamedTuple):
    """Kind and message of a failure."""

    kind: FailureKind
    message: str
    """One line: the problem, and what to do about it."""


class Refusal(NamedTuple):
    """The body of an error."""

    message: str
    """The server's reason; empty if it gives none."""
    parameter: str = ""
    """The field that it is about."""
    code: str = ""
    is_page: bool = False
    """It is a web page, by a proxy or another kind of server."""


def parse_body(body: bytes) -> Refusal:
    """Parse the body of an error of any dialect."""
    text = body.decode("utf-8", "replace")
    if _HTML.match(text):
        title = _TITLE.search(text)
        return Refusal(shorten(title[1], 80) if title else "", is_page=True)
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return Refusal(shorten(text, 200))
    if isinstance(data, list) and data:  # some gateways wrap it
        data = data[0]
    if not isinstance(data, dict):
        return Refusal(shorten(text, 200))
    error = data.get("error")
    inner: dict[str, Any] = error if isinstance(error, dict) else data
    code = " ".join(str(inner[key]) for key in ("type", "code", "error_type") if inner.get(key))
    parameter = inner.get("param")
    return Refusal(
        shorten(error_text(data), 300), parameter if isinstance(parameter, str) else "", code
    )


def is_too_long(refusal: Refusal) -> bool:
    """Whether a refusal says that the prompt does not fit the context."""
    return _TOO_LONG.search(f"{refusal.code} {refusal.message}") is not None


class Describer:
    """Describes failures of one server.

    Args:
        remote: the model, for its names.
        access: what must not appear in a message.
    """

    def __init__(self, remote: RemoteModel, access: Access) -> None:
        self._remote = remote
        self._access = access
        self._where = host(remote)

    def status(self, status: int, headers: Mapping[str, str], body: bytes) -> Problem:
        """Describe an answer that is an error.

        Args:
            headers: with lower-case names.
        """
        refusal = parse_body(body)
        kind, message = self._status(status, headers, refusal)
        return self._problem(kind, message)

    def _status(
        self, status: int, headers: Mapping[str, str], refusal: Refusal
    ) -> tuple[FailureKind, str]:
        where, reason = self._where, self._reason(refusal)
        if 300 <= status < 400:
            target = shorten(headers.get("location", "another address"), 200)
            return "model", (
                f"{where} redirects to {target}, where no key is sent: if you trust it, give that "
                "address as the server"
            )
        if status in (400, 413, 422) and (status == 413 or is_too_long(refusal)):
            return "prompt_too_long", (
                f"the prompt is too long for {where}{reason}: shorten it, or lower --max-tokens"
            )
        match status:
            case 401:
                return "model", self._key_problem(reason)
            case 403:
                return "model", (
                    f"{where} forbids this{reason}: the key may not use this model, or a firewall "
                    "is in the way"
                )
            case 404 | 405:
                return "model", self._not_found(status, refusal, reason)
            case 407:
                return "model", f"the proxy before {where} wants a password: put it in HTTPS_PROXY"
            case 408 | 504:
                return "internal", f"{where} timed out ({status}){reason}: try again"
            case 409:
                return "internal", f"{where} reports a conflict{reason}: try again"
            case 429:
                return "internal", self._limited(headers, refusal, reason)
            case 503 if "loading" in refusal.message.lower():
                return "internal", f"{where} is still loading its model: try again in a moment"
            case 503 | 529:
                return "internal", f"{where} is overloaded ({status}){reason}: try again later"
            case _ if status >= 500:
                return "internal", (
                    f"{where} failed ({status}){reason}: try again; the server's log says more"
                )
        return "internal", (
            f"{where} refuses the request ({status}){reason}; {self._doctor} shows what it takes"
        )

    @property
    def _doctor(self) -> str:
        return f"`gptterm doctor --server {self._remote.server}`"

    def _reason(self, refusal: Refusal) -> str:
        if refusal.is_page:
            title = f" '{refusal.message}'" if refusal.message else ""
            return f", with a web page{title} by a proxy or another kind of server"
        return f": {refusal.message.rstrip('.')}" if refusal.message else ""

    def _key_problem(self, reason: str) -> str:
        source = self._access.key_source
        if self._access.key:
            return f"{self._where} refuses the key of {source}{reason}; give another key"
        remedy = f"set {source}" if source else "give one with --api-key, or key_env in config.toml"
        return f"{self._where} wants a key: {remedy}{reason}"

    def _not_found(self, status: int, refusal: Refusal, reason: str) -> str:
        if refusal.message and not refusal.is_page and _NO_MODEL.search(refusal.message):
            return (
                f"{self._where} has no model {self._remote.model or '(none named)'}{reason}; "
                f"{self._doctor} lists its models"
            )
        return (
            f"{self._remote.url} is not the address of an OpenAI-compatible API "
            f"({status}{reason}): it usually ends in /v1"
        )

    def _limited(self, headers: Mapping[str, str], refusal: Refusal, reason: str) -> str:
        if "quota" in f"{refusal.code} {refusal.message}".lower():
            return f"{self._where} says that the quota is used up{reason}: check plan and billing"
        after = headers.get("retry-after", "").strip()
        when = (
            f"try again in {after} s" if after.isdigit() and len(after) < 7 else "try again later"
        )
        return f"{self._where} limits the rate of requests{reason}: {when}"

    # ------------------------------------------------------------------------ transport

    def exception(self, error: BaseException) -> Problem:
        """Describe an exception of the transport, by what caused it."""
        return self._problem("internal", self._transport(list(causes_of(error))))

    def _transport(self, causes: list[BaseException]) -> str:
        where = self._where
        names = {type(cause).__name__ for cause in causes}
        for cause in causes:
            if isinstance(cause, ssl.SSLCertVerificationError):
                return (
                    f"the certificate of {where} is not trusted ({_verify_message(cause)}): if it "
                    "is yours, name its CA file in SSL_CERT_FILE"
                )
            if isinstance(cause, ssl.SSLError):
                return (
                    f"{where} does not speak TLS ({_ssl_reason(cause)}): is it an http:// address?"
                )
            if isinstance(cause, socket.gaierror):
                return f"there is no host {where}: check the address, the network and the DNS"
            if isinstance(cause, ConnectionRefusedError):
                return f"nothing listens at {where}: is the server running?"
        if "ProxyError" in names:
            return f"the proxy before {where} fails: check HTTPS_PROXY, HTTP_PROXY and NO_PROXY"
        if names & {"ConnectTimeout", "PoolTimeout", "ConnectTimeoutError"}:
            return f"{where} cannot be reached: check the address, the network and a firewall"
        if names & {"ReadTimeout", "WriteTimeout", "TimeoutError"}:
            return self.silence().message
        if names & {"RemoteProtocolError", "ReadError", "NoAnswerError", "ConnectionResetError"}:
            return f"{where} closed the connection without an answer: the server's log says why"
        if names & {"LocalProtocolError", "BadHeaderError"}:
            return f"the request to {where} cannot be sent: a header in config.toml is not valid"
        last = next((cause for cause in reversed(causes) if str(cause)), None)
        detail = f" ({shorten(str(last), 120)})" if last is not None else ""
        return f"the connection to {where} failed{detail}: check the address and the network"

    def silence(self, limit_s: float | None = None) -> Problem:
        """Describe a server that said nothing for too long.

        Args:
            limit_s: seconds that were waited; None for those of the settings.
        """
        own = self._access.timeout_s
        waited = own if limit_s is None else limit_s
        remedy = " (timeout in config.toml sets another limit)" if waited == own else ""
        return self._problem(
            "internal", f"{self._where} said nothing for {waited:g} s: is it overloaded?{remedy}"
        )

    def in_stream(self, reason: str) -> Problem:
        """Describe a failure that the server reports in the middle of its reply."""
        refusal = Refusal(shorten(reason, 300))
        if is_too_long(refusal):
            return self._problem(
                "prompt_too_long",
                f"the reply does not fit the context of {self._where}: {refusal.message}; shorten "
                "the prompt, or lower --max-tokens",
            )
        return self._problem(
            "internal", f"{self._where} failed in its reply: {refusal.message}; try again"
        )

    def cut(self) -> Problem:
        """Describe a stream that ended before its end."""
        return self._problem(
            "internal",
            f"{self._where} ended the reply early: the text so far is kept; try again, the "
            "server's log may say why",
        )

    def unexpected(self, content_type: str, body: bytes, instead: str = "") -> Problem:
        """Describe an answer of another kind than was asked for.

        Args:
            instead: the expected kind, as a clause.
        """
        refusal = parse_body(body)
        what = "a web page" if refusal.is_page else shorten(content_type, 60) or "nothing"
        return self._problem(
            "model",
            f"{self._remote.url} answered with {what}{instead}: a proxy, or "
            "not the address of an OpenAI-compatible API (it usually ends in /v1)",
        )

    def invalid(self) -> Problem:
        """Describe a chunk that is not valid, or too long."""
        return self._problem(
            "internal",
            f"{self._where} sent something that is not valid JSON: is it an OpenAI-compatible API?",
        )

    def _problem(self, kind: FailureKind, message: str) -> Problem:
        return Problem(kind, shorten(self._access.hide(message), 600))


def causes_of(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an exception and those that it came from."""
    seen = 0
    while error is not None and seen < 20:
        yield error
        if isinstance(error, BaseExceptionGroup) and error.exceptions:
            yield from causes_of(error.exceptions[0])
        error, seen = error.__cause__ or error.__context__, seen + 1


def _verify_message(error: ssl.SSLCertVerificationError) -> str:
    return shorten(getattr(error, "verify_message", "") or "verification failed", 100)


def _ssl_reason(error: ssl.SSLError) -> str:
    return shorten(
        (getattr(error, "reason", "") or "no reason given").replace("_", " ").lower(), 60
    )
