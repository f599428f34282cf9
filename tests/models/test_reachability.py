"""A network that is not there is noticed in time; a proxy is the way to one that is.

The deadlines asserted here are promises (3 seconds), with slack for a busy machine; what they
guard against takes 10 seconds and more.
"""

import contextlib
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from huggingface_hub import close_session

from gptterm.models.reachability import unreachable_reason
from tests.models.conftest import Machine
from tests.support.hub import Hub

SLACK = 8.0


@contextmanager
def listener(backlog: int = 8) -> Iterator[socket.socket]:
    """A socket that connections are made to and that never says anything."""
    with socket.create_server(("127.0.0.1", 0), backlog=backlog) as server:
        yield server


def address(server: socket.socket, scheme: str = "http") -> str:
    return f"{scheme}://127.0.0.1:{server.getsockname()[1]}"


@contextmanager
def saying(reply: Callable[[bytes], bytes]) -> Iterator[tuple[socket.socket, list[bytes]]]:
    """A server that answers the first bytes of each connection, and closes it."""
    heard: list[bytes] = []

    def serve(server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = server.accept()
                with connection:
                    heard.append(connection.recv(65536))
                    connection.sendall(reply(heard[-1]))

    with listener() as server:
        thread = threading.Thread(target=serve, args=(server,), daemon=True)
        thread.start()
        yield server, heard
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    close_session()  # a session reads the proxies once
    yield
    close_session()


def test_a_hub_that_answers(hub: Hub) -> None:
    assert unreachable_reason(hub.endpoint, SLACK) is None


def test_a_server_that_accepts_and_says_nothing() -> None:
    with listener() as server:
        assert unreachable_reason(address(server), 0.2) == "no answer in 0.2 s"
        assert unreachable_reason(address(server, "https"), 0.2) == "no answer in 0.2 s"


def test_a_server_whose_backlog_is_full() -> None:
    with listener(backlog=0) as server, contextlib.ExitStack() as clients:
        for _ in range(4):  # the first ones fill it; packets of the others are dropped
            client = clients.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(server.getsockname())
        assert unreachable_reason(address(server), 0.2) is not None


def test_a_port_where_nobody_listens() -> None:
    with listener() as server:
        closed = address(server)
    assert unreachable_reason(closed, SLACK) == "connection refused"


def test_a_server_that_hangs_up() -> None:
    with saying(lambda _: b"") as (server, _heard):
        reason = unreachable_reason(address(server), SLACK)
    assert reason == "Server disconnected without sending a response"


def test_a_name_that_cannot_be_looked_up() -> None:
    name = "x" * 64  # a label has at most 63 characters: no name server is asked
    assert unreachable_reason(f"http://{name}", SLACK) == "the host name cannot be looked up"


def test_an_answer_that_refuses_is_an_answer() -> None:
    with saying(lambda _: b"HTTP/1.1 503 Service Unavailable\r\n\r\n") as (server, heard):
        assert unreachable_reason(address(server), SLACK) is None
    assert heard[0].startswith(b"HEAD / HTTP/1.1\r\n")


def test_https_is_greeted_with_tls() -> None:
    """A server that does not speak TLS is no Hub to download from."""
    with saying(lambda _: b"HTTP/1.1 400 Bad Request\r\n\r\n") as (server, heard):
        reason = unreachable_reason(address(server, "https"), SLACK)
    assert heard[0][:2] == b"\x16\x03"  # a handshake record
    assert reason is not None
    assert "SSL" in reason


@pytest.mark.parametrize(
    ("variable", "target", "scheme", "greeting"),
    [
        ("https_proxy", "https://hub.invalid", "http", b"CONNECT hub.invalid:443 HTTP/1.1\r\n"),
        ("HTTPS_PROXY", "https://hub.invalid", "http", b"CONNECT hub.invalid:443 HTTP/1.1\r\n"),
        ("http_proxy", "http://hub.invalid", "http", b"HEAD http://hub.invalid/ HTTP/1.1\r\n"),
        ("all_proxy", "https://hub.invalid", "http", b"CONNECT hub.invalid:443 HTTP/1.1\r\n"),
        ("https_proxy", "https://hub.invalid", "https", b"\x16\x03"),
    ],
)
def test_a_proxy_is_asked_in_place_of_the_server(
    monkeypatch: pytest.MonkeyPatch, variable: str, target: str, scheme: str, greeting: bytes
) -> None:
    with saying(lambda _: b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n") as (server, heard):
        monkeypatch.setenv(variable, address(server, scheme))
        reason = unreachable_reason(target, SLACK)
    assert heard[0].startswith(greeting)
    assert "looked up" not in str(reason)


def test_a_proxy_of_a_kind_that_is_not_supported(monkeypatch: pytest.MonkeyPatch) -> None:
    with listener() as server:
        monkeypatch.setenv("all_proxy", address(server, "socks5"))
        reason = unreachable_reason("https://hub.invalid", SLACK)
    assert reason is not None
    assert reason.startswith("Using SOCKS proxy, but the 'socksio' package is not installed")


def test_no_proxy_goes_past_a_dead_proxy(monkeypatch: pytest.MonkeyPatch, hub: Hub) -> None:
    with listener() as server:
        dead = address(server)
    monkeypatch.setenv("http_proxy", dead)
    assert unreachable_reason(hub.endpoint, SLACK) == "connection refused"
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    close_session()
    assert unreachable_reason(hub.endpoint, SLACK) is None


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_blackhole_is_noticed_in_time(machine: Machine, scheme: str) -> None:
    with listener() as server:
        begin = time.monotonic()
        answer = machine.ask("models.resolve('gpt2')", HF_ENDPOINT=address(server, scheme))
        taken = time.monotonic() - begin

    assert answer.error is not None
    assert "gpt2 is not on this machine and 127.0.0.1:" in answer.error
    assert "cannot be reached: no answer in 2.5 s" in answer.error
    assert taken < SLACK


def namespace(*command: str) -> tuple[str, ...]:
    """Prefix of a command that gives it a network of its own, with a loopback only."""
    prefix = ("unshare", "-rmn", *command)
    try:
        works = subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        works = False
    if not works:
        pytest.skip("needs Linux namespaces and iproute2")
    return prefix


def test_a_machine_without_a_network(machine: Machine) -> None:
    answer = machine.ask(
        "models.resolve('gpt2')", prefix=namespace(), HF_ENDPOINT="https://huggingface.co"
    )
    assert answer.error == (
        "gpt2 is not on this machine and huggingface.co cannot be reached: "
        "the host name cannot be looked up; check the network, or use -m tiny"
    )


def test_a_name_server_that_never_answers_is_noticed_in_time(
    machine: Machine, tmp_path: Path
) -> None:
    resolver = tmp_path / "resolv.conf"
    resolver.write_text("nameserver 127.0.0.1\n")
    script = 'ip link set lo up && mount --bind "$0" /etc/resolv.conf && exec "$@"'
    prefix = namespace("sh", "-c", script, str(resolver))
    # Port 53 takes the questions and says nothing.
    mute = "__import__('socket').socket(type=__import__('socket').SOCK_DGRAM)"
    begin = time.monotonic()
    answer = machine.ask(
        f"(s := {mute}).bind(('127.0.0.1', 53)) or models.resolve('gpt2')",
        prefix=prefix,
        HF_ENDPOINT="https://huggingface.co",
    )
    taken = time.monotonic() - begin

    assert answer.error is not None
    assert "huggingface.co cannot be reached: no answer in 2.5 s" in answer.error
    assert taken < SLACK


def test_a_download_through_a_proxy(machine: Machine, hub: Hub) -> None:
    answer = machine.ask(
        "models.resolve('gpt2')", HF_ENDPOINT="http://hub.invalid", HTTP_PROXY=hub.endpoint
    )
    assert answer.error is None


def test_a_proxy_that_refuses(machine: Machine) -> None:
    with saying(lambda _: b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n") as (server, _):
        answer = machine.ask(
            "models.resolve('gpt2')",
            HF_ENDPOINT="https://hub.invalid",
            HTTPS_PROXY=address(server),
        )
    assert answer.error is not None
    assert "407 Proxy Authentication Required" in answer.error
    assert "\n" not in answer.error


@pytest.mark.parametrize("endpoint", ["hub.invalid", "http://127.0.0.1:port"])
def test_an_endpoint_that_is_no_address(machine: Machine, endpoint: str) -> None:
    answer = machine.ask("models.resolve('gpt2')", HF_ENDPOINT=endpoint)
    assert answer.error is not None
    assert "HF_ENDPOINT" in answer.error
