"""Is anybody there? Found out within a deadline, whatever the network does.

A name server that never answers, an address that swallows packets and a peer that accepts and
then says nothing would hold an HTTP client for ten seconds and more. Here they are told from a
network that works by one question: did a single byte come back in time?
"""

import contextlib
import socket
import ssl
import threading
import time
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies, proxy_bypass


def unreachable(url: str, within: float) -> str | None:
    """Why the server at `url`, or the proxy on the way to it, does not answer; None if it does.

    Args:
        url: http or https.
        within: seconds after which it counts as unreachable.

    Raises:
        ValueError: `url` is not a web address.
    """
    verdict = _Verdict(f"no answer in {within:g} s")
    # The system's name look-up takes no timeout, so all of it runs in threads that may be left
    # behind: daemons, which do not keep the program from ending.
    gate = _gate(url)
    threading.Thread(
        target=_ask, args=(gate, time.monotonic() + within, verdict), daemon=True
    ).start()
    verdict.settled.wait(within)
    return verdict.reason


class _Verdict:
    """What the first thread to know says."""

    def __init__(self, otherwise: str) -> None:
        self.reason: str | None = otherwise
        self.settled = threading.Event()
        self._lock = threading.Lock()

    def settle(self, reason: str | None) -> None:
        with self._lock:
            if not self.settled.is_set():
                self.reason = reason
                self.settled.set()


class _Gate(NamedTuple):
    """The first machine on the way to the server, and what makes it speak."""

    host: str
    port: int
    greeting: bytes


def _gate(url: str) -> _Gate:
    target = urlsplit(url)
    host, port = _address(target)
    proxy = _proxy_for(target)
    if proxy is None:
        hello = _client_hello(host) if target.scheme == "https" else _head("/", host)
        return _Gate(host, port, hello)
    proxy_host, proxy_port = _address(proxy)
    if proxy.scheme.startswith("socks"):
        hello = b"\x05\x01\x00"  # SOCKS5, one method: no authentication
    elif proxy.scheme == "https":
        hello = _client_hello(proxy_host)
    elif target.scheme == "https":
        hello = f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode()
    else:
        hello = _head(url, host)
    return _Gate(proxy_host, proxy_port, hello)


def _address(url: SplitResult) -> tuple[str, int]:
    default = {"https": 443, "http": 80}.get(url.scheme, 1080)
    return url.hostname or "", url.port or default


def _proxy_for(target: SplitResult) -> SplitResult | None:
    """The proxy an HTTP client would use: HTTPS_PROXY, ALL_PROXY, NO_PROXY, the system's."""
    proxies = getproxies()
    proxy = proxies.get(target.scheme) or proxies.get("all")
    if not proxy or proxy_bypass(target.hostname or ""):
        return None
    return urlsplit(proxy if "://" in proxy else f"http://{proxy}")


def _head(path: str, host: str) -> bytes:
    return f"HEAD {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()


def _client_hello(host: str) -> bytes:
    """The first message of a TLS handshake. Nothing is sent or trusted on its strength, so no
    certificates are loaded."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    outgoing = ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=host).do_handshake()
    return outgoing.read()


def _ask(gate: _Gate, deadline: float, verdict: _Verdict) -> None:
    """Resolve the name, then try all addresses at once: one family of two may be a dead end."""
    try:
        found = socket.getaddrinfo(gate.host, gate.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        verdict.settle(f"the name {gate.host} cannot be looked up")
        return
    reasons: list[str] = []
    threads = [
        threading.Thread(
            target=_greet, args=(family, address, gate.greeting, deadline, verdict, reasons)
        )
        for family, address in dict.fromkeys((found_[0], found_[4]) for found_ in found)
    ]
    for thread in threads:
        thread.daemon = True
        thread.start()
    for thread in threads:
        thread.join()
    if len(reasons) == len(threads):
        verdict.settle(reasons[-1])


def _greet(
    family: socket.AddressFamily,
    address: tuple[str, int],
    greeting: bytes,
    deadline: float,
    verdict: _Verdict,
    reasons: list[str],
) -> None:
    try:
        with socket.socket(family, socket.SOCK_STREAM) as connection:
            connection.settimeout(max(0.01, deadline - time.monotonic()))
            connection.connect(address)
            connection.sendall(greeting)
            connection.settimeout(max(0.01, deadline - time.monotonic()))
            answered = connection.recv(1)
    except TimeoutError:
        return  # the deadline passes here and for who asked alike
    except OSError as error:
        reasons.append((error.strerror or str(error)).lower())
        return
    if answered:
        verdict.settle(None)
    else:
        reasons.append("it closes the connection without an answer")
