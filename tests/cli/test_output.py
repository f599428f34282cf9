"""Output of generations that fail, with a scripted engine."""

import json
import os

import pytest

from gptterm.cli.console import json_line
from gptterm.cli.output import JsonWriter, TextWriter
from gptterm.cli.results import Results
from gptterm.cli.run import failure_error, run_request
from gptterm.cli.signals import Signals
from gptterm.cli.streams import ReaderGoneError, Streams
from gptterm.engine.api import GenerateRequest, TextPrompt
from gptterm.errors import OutOfMemoryError
from tests.support.scripted import Fault, Script, ScriptedEngine

Capture = pytest.CaptureFixture[str]


def _run(
    script: Script,
    *,
    json_lines: bool = False,
    stream: bool = True,
    echo: str = "",
    samples: int = 1,
) -> tuple[Results, list[str]]:
    """Run one request; return the results and the notices."""
    engine = ScriptedEngine(script)
    notices: list[str] = []
    request = GenerateRequest(prompt=TextPrompt(text="say"), seed=5, samples=samples)
    results = Results(request, ["said before"], notices.append)
    streams = Streams()
    writer = (
        JsonWriter(streams, results, engine.info, "say")
        if json_lines
        else TextWriter(streams, results, echo=echo, stream=stream)
    )
    signals = Signals()
    signals.cancel_mode()
    run_request(engine, results, writer, streams, signals)
    return results, notices


def test_text_ends_with_one_newline(capfd: Capture) -> None:
    _run(Script.saying("Hello."))
    assert capfd.readouterr().out == "Hello.\n"
    _run(Script.saying("Hello.\n"), echo="say: ")
    assert capfd.readouterr().out == "say: Hello.\n"
    _run(Script.saying(""), stream=False)
    assert capfd.readouterr().out == "\n"


def test_samples_in_their_order(capfd: Capture) -> None:
    _run(Script.saying("Hello."), samples=3, echo="> ")
    assert capfd.readouterr().out == "> Hello.\n> Hello.\n> Hello.\n"


@pytest.mark.parametrize("how", ["raise", "out_of_memory"])
def test_what_was_made_before_a_failure_stays(how: str, capfd: Capture) -> None:
    fault = Fault(at="decode", how=how, token=2)  # type: ignore[arg-type]
    script = Script.saying(["One", " two", " three"], faults=(fault,), notices=["from the engine"])
    results, notices = _run(script)
    assert capfd.readouterr().out == "One two\n"
    assert results.failure is not None
    assert isinstance(failure_error(results.failure), OutOfMemoryError) == (how == "out_of_memory")
    assert "\n" not in results.failure.message
    assert notices == ["from the engine"]

    _run(script, json_lines=True)
    line = json.loads(capfd.readouterr().out)
    assert line["text"] == "One two"
    assert line["finish_reason"] == "error"
    assert line["error"]["message"] == results.failure.message
    assert line["usage"]["completion_tokens"] == 2
    assert line["notices"] == ["said before", "from the engine"]
    assert list(line)[-1] == "error"


def test_a_failure_before_the_first_token_prints_nothing(capfd: Capture) -> None:
    _run(Script.saying("Hello.", faults=(Fault(at="prefill", how="raise"),)), echo="say: ")
    assert capfd.readouterr().out == ""


def test_what_a_library_prints_is_not_seen(capfd: Capture) -> None:
    streams = Streams()
    with streams.silenced():
        print("from Python")  # noqa: T201
        os.write(1, b"from C\n")
        os.write(2, b"from C\n")
        streams.write("ours\n")
        streams.note("ours")
    print("after")  # noqa: T201
    assert capfd.readouterr() == ("ours\nafter\n", "gptterm: note: ours\n")


def test_a_reader_that_left_is_noticed_without_writing() -> None:
    reader, writer = os.pipe()
    stdout = os.dup(1)
    os.dup2(writer, 1)
    os.close(writer)
    try:
        streams = Streams()
    finally:
        os.dup2(stdout, 1)
        os.close(stdout)
    assert not streams.reader_gone()
    os.close(reader)
    assert streams.reader_gone()
    with pytest.raises(ReaderGoneError):
        streams.write("x")


def test_json_lines_escape_what_text_tools_or_terminals_act_on() -> None:
    value = {"text": "\x00\x1b\x7f\x9b\u2028\u202e\u2066 人"}
    line = json_line(value)
    assert line.isascii() is False
    assert json.loads(line) == value
    assert len(line.decode().splitlines()) == 1
    assert not any(mark in line.decode() for mark in "\x1b\x7f\x9b\u2028\u202e\u2066")
