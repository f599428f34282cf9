"""A real server: `transformers serve` with the bundled model."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from gptterm.engine.api import (
    ChatPrompt,
    Finished,
    GenerateRequest,
    Message,
    SamplingParams,
    Started,
    TextPrompt,
    Token,
)
from gptterm.engine.remote.engine import RemoteEngine, find_remote
from gptterm.engine.remote.servers import Access, Servers
from gptterm.models import bundled

PATIENCE_S = 240.0


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("serve") / "log"
    command = [
        sys.executable, "-m", "transformers.cli.transformers", "serve", bundled().directory,
        "--host", "127.0.0.1", "--port", str(port),
    ]  # fmt: skip
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(log.parent), "no_proxy": "127.0.0.1"}
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        ) as process,
    ):
        try:
            _wait_for(f"http://127.0.0.1:{port}/health", process, log)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.terminate()


def _wait_for(health: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            opener.open(health, timeout=5).close()
            return
        except OSError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)


def test_it_answers_and_continues_and_tells_what_it_does_not_take(url: str) -> None:
    remote = Servers().find(f"{bundled().directory}@{url}")
    assert remote is not None
    engine = RemoteEngine(find_remote(remote, Access()), Access())
    sampling = SamplingParams(temperature=0, top_k=5)
    for prompt in (
        ChatPrompt(messages=(Message(role="user", text="Tell me a story about a fox."),)),
        TextPrompt(text="The little fox"),
    ):
        request = GenerateRequest(prompt=prompt, sampling=sampling, max_tokens=8, seed=1)
        started, *tokens, end = engine.generate(request)
        assert isinstance(started, Started)
        assert "top-k 5 is not used: transformers serve does not take it" in started.notices
        assert isinstance(end, Finished)
        assert (end.reason, end.usage.completion_tokens) == ("length", 8)
        assert end.usage.prompt_tokens > 0
        assert all(isinstance(token, Token) for token in tokens)
        assert "".join(token.text for token in tokens if isinstance(token, Token)).strip()
    engine.close()
