"""`gptterm web`: who is let in, and the screen in a browser."""

import re
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

import pytest

from gptterm.tui.web import Gate, make_app

pytestmark = pytest.mark.skipif(find_spec("textual_serve") is None, reason="no textual-serve")

GATE = Gate("127.0.0.1", 8000, "secret")


@pytest.mark.parametrize(
    ("host", "headers", "answered"),
    [
        ("127.0.0.1", {"Host": "127.0.0.1:8000"}, True),
        ("127.0.0.1", {"Host": "LOCALHOST:8000", "Origin": "http://localhost:8000"}, True),
        ("::1", {"Host": "[::1]:8000", "Origin": "http://[::1]:8000"}, True),
        # A name of another site that points to this machine; a page of another site, or port.
        ("127.0.0.1", {"Host": "evil.example:8000"}, False),
        ("127.0.0.1", {"Host": "127.0.0.1:8000", "Origin": "http://evil.example"}, False),
        ("127.0.0.1", {"Host": "127.0.0.1:8000", "Origin": "http://127.0.0.1:9"}, False),
        ("127.0.0.1", {"Host": "127.0.0.1:8000", "Origin": "null"}, False),
        ("127.0.0.1", {}, False),
        ("0.0.0.0", {"Host": "gpu.example:8000", "Origin": "https://gpu.example:8000"}, True),
        ("0.0.0.0", {"Host": "gpu.example:8000", "Origin": "https://evil.example"}, False),
    ],
)
def test_requests_must_come_from_our_own_page(
    host: str, headers: Mapping[str, str], answered: bool
) -> None:
    assert Gate(host, 8000, "secret").is_from_us(headers) == answered


async def test_only_those_with_the_key_are_let_in() -> None:
    from aiohttp.test_utils import TestClient, TestServer

    said: list[str] = []
    app = await make_app(GATE, said.append)
    here = {"Host": "127.0.0.1:8000"}
    async with TestClient(TestServer(app)) as client:
        assert said[0] == "gptterm is at http://127.0.0.1:8000/?key=secret"

        async def status(path: str, **headers: str) -> int:
            answer = await client.get(path, headers={**here, **headers}, allow_redirects=False)
            code: int = answer.status
            return code

        for path in ("/", "/?key=wrong", "/ws", "/static/js/textual.js"):
            assert await status(path) == 403
            assert await status(path, Cookie="gptterm-8000=wrong") == 403
        assert await status("/?key=secret", Host="evil.example") == 403
        opened = await client.get("/?key=secret", headers=here, allow_redirects=False)
        assert (opened.status, opened.headers["Location"]) == (302, "/")
        cookie = opened.headers["Set-Cookie"]
        assert {"HttpOnly", "SameSite=Strict"} <= set(cookie.split("; "))
        page = await client.get("/", headers={**here, "Cookie": "gptterm-8000=secret"})
        assert "default-src 'self'" in page.headers["Content-Security-Policy"]
        assert "ws://127.0.0.1:8000/ws" in await page.text()


@pytest.mark.slow
async def test_a_message_a_reply_and_a_resize_in_a_browser(home: Path, tmp_path: Path) -> None:
    from tests.support.browser import CHROMIUM, chromium

    if CHROMIUM is None:
        pytest.skip("no Chromium")
    server = subprocess.Popen(
        [sys.executable, "-m", "gptterm", "web", "-m", "tiny", "-n", "20", "--port", "8931"],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stderr is not None
        told = re.search(r"http://\S+", server.stderr.readline())
        assert told is not None
        async with chromium(tmp_path, told[0]) as page:
            await page.until("window.received?.includes('is ready to chat')")
            assert await page.evaluate("location.search") == ""
            await page.evaluate("document.querySelector('.xterm-helper-textarea').focus()")
            await page.type("Once upon a time")
            await page.press_enter()
            await page.until("window.received.includes('tok/s')")
            before = len(await page.evaluate("window.received"))
            await page.resize(700, 500)
            await page.until("/resize.*resize/.test(window.sent)")
            await page.until(f"window.received.length > {before}")
            assert (await page.picture()).startswith(b"\x89PNG")
    finally:
        server.terminate()
        server.wait()
    with closing(sqlite3.connect(home / "history.db")) as history:
        texts = [text for (text,) in history.execute("SELECT text FROM turns ORDER BY rowid")]
    assert texts[0] == "Once upon a time"
    assert texts[1]
