"""A headless Chromium, driven over its DevTools protocol."""

import asyncio
import base64
import itertools
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
RECORDER = """
window.received = ""; window.sent = "";
window.WebSocket = class extends WebSocket {
  constructor(...given) {
    super(...given);
    this.addEventListener("message", async (event) => {
      const data = event.data;
      window.received += typeof data === "string" ? data
        : new TextDecoder().decode(data instanceof Blob ? await data.arrayBuffer() : data);
    });
  }
  send(data) { window.sent += data; super.send(data); }
};
"""
"""Keeps what goes over WebSockets: the terminal itself is drawn on a canvas."""
TRIES = 600
PAUSE_S = 0.05


class Page:
    """The one page of the browser."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)

    async def call(self, method: str, **parameters: object) -> Any:
        """Call a method of the protocol, and return its result."""
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        while True:
            message = await self._socket.receive_json()
            if message.get("id") == number:
                assert "error" not in message, message
                return message["result"]

    async def evaluate(self, script: str) -> Any:
        """Return the value of an expression in the page."""
        answer = await self.call("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    async def until(self, script: str) -> None:
        """Wait until an expression in the page is true."""
        for _ in range(TRIES):
            if await self.evaluate(script):
                return
            await asyncio.sleep(PAUSE_S)
        raise AssertionError(f"it never was so: {script}")

    async def resize(self, width: int, height: int) -> None:
        """Give the window another size, in pixels."""
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip

    async def type(self, text: str) -> None:
        """Type a text."""
        for character in text:
            await self.call("Input.dispatchKeyEvent", type="char", text=character)

    async def press_enter(self) -> None:
        """Press the key."""
        key = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r"}
        await self.call("Input.dispatchKeyEvent", type="keyDown", **key)
        await self.call("Input.dispatchKeyEvent", type="keyUp", **key)

    async def picture(self) -> bytes:
        """Return the page as PNG."""
        return base64.b64decode((await self.call("Page.captureScreenshot"))["data"])


@asynccontextmanager
async def chromium(folder: Path, url: str) -> AsyncIterator[Page]:
    """Open a page in a browser with a profile of its own in `folder`."""
    assert CHROMIUM is not None
    profile = folder / "profile"
    browser = subprocess.Popen(
        [
            CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run",
            "--disable-dev-shm-usage", "--disable-background-networking",
            f"--user-data-dir={profile}", "--remote-debugging-port=0",
            "--remote-allow-origins=*", "about:blank",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        port = ""
        for _ in range(TRIES):
            told = profile / "DevToolsActivePort"
            if told.exists() and (lines := told.read_text().splitlines()):
                port = lines[0]
                break
            await asyncio.sleep(PAUSE_S)
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
                targets = await answer.json()
            address = next(each for each in targets if each["type"] == "page")
            socket = await session.ws_connect(address["webSocketDebuggerUrl"], max_msg_size=0)
            page = Page(socket)
            await page.call("Page.enable")
            await page.call("Page.addScriptToEvaluateOnNewDocument", source=RECORDER)
            await page.resize(1000, 700)
            await page.call("Page.navigate", url=url)
            yield page
            await socket.close()
    finally:
        browser.terminate()
        browser.wait()
