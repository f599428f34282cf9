"""An engine that runs one generation at a time, behind the interface of a live batch."""

from collections.abc import Generator

import pytest

from gptterm.engine.api import (
    Event,
    Failed,
    Finished,
    GenerateRequest,
    SamplingParams,
    Started,
    Token,
)
from gptterm.engine.ipc.serial_batch import SerialBatch
from tests.support.ipc_engines import request, text_of
from tests.support.scripted import Fault, Script, ScriptedEngine

HOT = SamplingParams(temperature=1.5)


def failed(error: BaseException) -> Failed:
    return Failed(kind="internal", message=str(error))


def made(script: Script, engine: ScriptedEngine | None = None) -> SerialBatch:
    return SerialBatch(engine or ScriptedEngine(script), failed)


def run(batch: SerialBatch) -> list[tuple[int, Event]]:
    events: list[tuple[int, Event]] = []
    while batch.ready:
        events += batch.step()
    return events


def test_one_after_the_other() -> None:
    batch = made(Script.saying("one two", "three"))
    numbers = []
    for number in range(3):
        assert batch.has_room == (number == 0)
        numbers.append(batch.submit(request()))
    events = run(batch)
    assert [number for number, _ in events] == sorted(number for number, _ in events)
    texts = [text_of([event for number, event in events if number == n]) for n in numbers]
    assert texts == ["one two", "three", "one two"]
    assert batch.idle


def test_a_step_is_an_event() -> None:
    batch = made(Script.saying("one two"))
    batch.submit(request())
    kinds = [type(event) for _, event in batch.step()]
    assert kinds == [Started]


@pytest.mark.parametrize("running", [True, False])
def test_cancelled(running: bool) -> None:
    batch = made(Script.saying("one two", endless=True))
    first, second = batch.submit(request(max_tokens=10**6)), batch.submit(request(max_tokens=2))
    for _ in range(4):
        list(batch.step())
    batch.cancel(first if running else second)
    batch.cancel(99)
    if running:
        assert {number for number, _ in run(batch)} == {second}
    else:
        batch.cancel(first)
    assert batch.idle


def test_paused_it_keeps_the_others_waiting() -> None:
    batch = made(Script.saying("one two"))
    first = batch.submit(request())
    list(batch.step())
    batch.submit(request())
    assert not batch.pause(first)
    assert not batch.ready
    assert not batch.idle
    batch.resume(first)
    assert sum(isinstance(event, Finished) for _, event in run(batch)) == 2


def test_samplers_are_those_of_the_one_that_runs() -> None:
    engine = ScriptedEngine(Script(echo_sampling=True))
    batch = made(engine.script, engine)
    first, second = (batch.submit(request(max_tokens=2)) for _ in range(2))
    batch.set_sampling(second, HOT)
    assert engine.samplings == []
    events = run(batch)
    texts = [text_of([event for number, event in events if number == n]) for n in (first, second)]
    assert texts == ["0.8 0.8 ", "1.5 1.5 "]
    third = batch.submit(request(max_tokens=3))
    for _ in range(3):
        list(batch.step())
    batch.set_sampling(third, HOT)
    batch.set_sampling(first, SamplingParams(temperature=0.1))  # it has ended
    assert text_of([event for _, event in run(batch)]).startswith("1.5 1.5 ")


def test_the_next_token_is_known_of_the_latest() -> None:
    batch = made(Script())
    assert batch.next_token(0, HOT) is None
    first, second = batch.submit(request()), batch.submit(request())
    list(batch.step())
    assert batch.next_token(first, HOT) is not None
    assert batch.next_token(second, HOT) is None
    run(batch)
    assert batch.next_token(first, HOT) is None
    assert batch.next_token(second, HOT) is not None


def test_an_exception_ends_one() -> None:
    fault = Fault(at="decode", how="raise", token=1, generation=0)
    batch = made(Script.saying("one two", faults=(fault,)))
    first, second = batch.submit(request()), batch.submit(request())
    events = run(batch)
    ends = [(number, event) for number, event in events if isinstance(event, Failed | Finished)]
    assert [number for number, _ in ends] == [first, second]
    assert isinstance(ends[0][1], Failed)
    assert ends[0][1].message == "the script says so"
    assert isinstance(ends[1][1], Finished)


class Broken(ScriptedEngine):
    """Ends without an end, and cannot be closed."""

    def generate(self, request: GenerateRequest) -> Generator[Event, None, None]:
        try:
            for event in super().generate(request):
                if isinstance(event, Finished):
                    return
                yield event
        except GeneratorExit:
            raise RuntimeError("cannot be closed") from None


def test_an_engine_that_stops_without_finishing() -> None:
    batch = made(Script(), Broken(Script.saying("one two")))
    batch.submit(request())
    (_, last) = run(batch)[-1]
    assert isinstance(last, Failed)
    assert "without finishing" in last.message


def test_an_engine_that_cannot_be_closed() -> None:
    batch = made(Script(), Broken(Script.saying("one two")))
    first, second = batch.submit(request()), batch.submit(request())
    for _ in range(3):
        list(batch.step())
    batch.cancel(first)
    assert any(isinstance(event, Token) for _, event in run(batch))
    assert batch.idle
    del second
    batch.submit(request())
    list(batch.step())
    list(batch.step())
    batch.close()
    assert batch.idle
