"""Memory over long files."""

import asyncio
import contextlib
import re
import subprocess
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from gptterm.cli.batch.jobs import JobMaker
from gptterm.cli.batch.line_parser import LineParser
from gptterm.cli.batch.reader import LineReader
from gptterm.cli.batch.run import BatchRun
from gptterm.cli.batch.sink import Sink
from gptterm.cli.batch.workers import run_workers
from gptterm.cli.batch.writer import BackgroundWriter
from gptterm.config import load_settings
from gptterm.engine.api import (
    ChatPrompt,
    Event,
    Finished,
    GenerateRequest,
    ModelInfo,
    Started,
    Timings,
    Token,
    Usage,
)
from tests.cli.batch.test_remote import MODELS, asked
from tests.cli.command import start
from tests.support.llm_server import Answer, LlmServer, Request, chat, sse, usage

INFO = ModelInfo(
    name="m", revision="", architecture="", decoder="remote", device="", dtype="", parameters=0,
    context_length=0, vocab_size=0, has_chat_template=True,
)  # fmt: skip
MOST_BYTES = 150_000_000


def write_input(path: Path, lines: int, answered: int, length: int = 0) -> None:
    """Write lines, so long at least, of which one in `answered` is a prompt; the others are no
    UTF-8."""
    with path.open("wb") as file:
        for number in range(lines):
            line = b"%bprompt %d" % (b"" if number % answered == 0 else b"\xff", number)
            file.write(line.ljust(length, b".") + b"\n")


async def answer(request: GenerateRequest, emit: Callable[[Event], None]) -> None:
    emit(Started(prompt_tokens=3, reused_tokens=0, dropped_tokens=0, context_length=9, seed=1))
    await asyncio.sleep(0)  # the others go on
    assert isinstance(request.prompt, ChatPrompt)
    for word in request.prompt.messages[0].text.split():
        emit(Token(sample=0, id=-1, text=word, piece=word.encode()))
    usage = Usage(prompt_tokens=3, reused_tokens=0, dropped_tokens=0, completion_tokens=2)
    timings = Timings(first_token_s=0.1, total_s=0.2, tokens_per_s=10.0)
    emit(Finished(sample=0, reason="stop", text="", usage=usage, timings=timings))


def peak_bytes(folder: Path, lines: int) -> int:
    """The most that Python's objects take while lines are run and written."""
    write_input(folder / "in", lines, answered=2, length=500)
    maker = JobMaker(load_settings({}), answers=True, note=lambda _: None)
    tracemalloc.start()
    try:
        with (folder / "in").open("rb") as source, (folder / "out").open("wb") as out:

            def write(record: bytes) -> None:
                out.write(record)

            writer = BackgroundWriter(write, lambda _: True)
            run = BatchRun(
                LineReader(source.fileno()), LineParser(maker, plain=True),
                Sink(writer.put, ordered=True, window=64), writer, INFO,
                on_change=lambda _: None, note=lambda _: None,
            )  # fmt: skip
            asyncio.run(run_workers([answer] * 8, run, lambda: False))
        assert run.tally.done == run.tally.failed == lines // 2
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_more_lines_take_no_more_memory(tmp_path: Path) -> None:
    # 500 lines are two of the reader's chunks; before, imports and caches.
    _, few, many = (peak_bytes(tmp_path, lines) for lines in (200, 500, 2_000))
    assert many < few + 30_000  # 20 bytes a line


@pytest.mark.slow
def test_a_million_lines_are_run_in_flat_memory(
    tmp_path: Path, env: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    def respond(request: Request) -> Answer:
        body = sse(chat(asked(request)), chat(finish="stop"), usage(3, 2))
        return Answer(body, keep=True)

    lines = 1_000_000
    write_input(tmp_path / "in", lines, answered=20)
    out = tmp_path / "out"
    with LlmServer(models=MODELS, respond=respond) as server:
        command = ["batch", "--lines", "--server", server.url, tmp_path / "in", "--output", out]
        with start(command, env) as process:
            early = peak = 0
            while process.poll() is None:
                done = out.stat().st_size if out.exists() else 0
                peak = peak_rss(process.pid) or peak
                if done < 5_000_000:  # a twentieth
                    early = peak
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(0.05)
        assert len(server.posts) == lines // 20
    assert out.read_bytes().count(b"\n") == lines
    with capsys.disabled():
        print(f"\na million lines: {peak / 1e6:.0f} MB, {early / 1e6:.0f} MB early")  # noqa: T201
    assert early < peak + 1 < min(early + 8_000_000, MOST_BYTES)


def peak_rss(pid: int) -> int:
    """Peak resident memory in bytes; 0 once the process has ended (Linux)."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return 1024 * int(found[1]) if found else 0
