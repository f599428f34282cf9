"""Many requests decoded together: each gets what it would get alone."""

import math
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from gptterm.engine.api import (
    ChatPrompt,
    Failed,
    Finished,
    GenerateRequest,
    SamplingParams,
    Started,
    TextPrompt,
    Token,
)
from gptterm.engine.generation.engine import LocalEngine
from gptterm.errors import UsageError
from tests.engine.checkpoints import POSITIONS, VOCABULARY, draw_ids, load
from tests.engine.generation.test_failures import either, fragile, no_memory
from tests.engine.runs import FREE, GREEDY, Run, request, run

__all__ = ["either"]

IDS = draw_ids(60)
SAMPLINGS = (
    GREEDY,
    FREE,
    SamplingParams(),
    SamplingParams(temperature=1.2, top_k=0, min_p=0.02, repetition_penalty=1.2),
    SamplingParams(top_k=20, typical_p=0.9, frequency_penalty=0.5, order="llama"),
)


def run_many(engine: LocalEngine, requests: Iterable[GenerateRequest], rows: int) -> dict[int, Run]:
    """The events of each request."""
    runs: dict[int, Run] = {}
    for number, event in engine.generate_many(requests, rows):
        runs.setdefault(number, Run()).events.append(event)
    return runs


def requests_of_all_kinds(count: int) -> list[GenerateRequest]:
    """Prompts and replies of different lengths, each with its own samplers and seed."""
    return [
        request(
            draw_ids(1 + 7 * i % 50, seed=i),
            sampling=SAMPLINGS[i % len(SAMPLINGS)],
            max_tokens=1 + 11 * i % 40,
            seed=100 + i,
            logprobs=2 if i % 3 == 0 else None,
        )
        for i in range(count)
    ]


def check_as_alone(engine: LocalEngine, asked: GenerateRequest, together: Run) -> None:
    check_same(asked, together, run(engine, asked))


def check_same(asked: GenerateRequest, together: Run, alone: Run) -> None:
    for i in range(asked.samples):
        assert together.ids(i) == alone.ids(i)
        assert together.text(i) == alone.text(i)
        one, other = together.finished(i), alone.finished(i)
        assert (one.reason, one.stop) == (other.reason, other.stop)
        assert one.usage.completion_tokens == other.usage.completion_tokens
        scores = [token.logprob for token in together.tokens(i)]
        assert scores == pytest.approx([token.logprob for token in alone.tokens(i)], abs=1e-4)


@pytest.mark.parametrize("rows", [1, 3, 8])
def test_each_request_is_what_it_is_alone(engine: LocalEngine, rows: int) -> None:
    asked = requests_of_all_kinds(14)
    found = run_many(engine, asked, rows)
    assert sorted(found) == list(range(14))
    for number, one in enumerate(asked):
        kinds = [type(event) for event in found[number].events]
        assert kinds[0] is Started
        assert kinds.count(Finished) == 1
        assert kinds[-1] is Finished
        check_as_alone(engine, one, found[number])


def test_any_kind_of_decoder_takes_part(any_engine: LocalEngine) -> None:
    asked = requests_of_all_kinds(5)
    asked[2] = replace(asked[2], samples=3)
    found = run_many(any_engine, asked, 4)
    for number, one in enumerate(asked):
        check_as_alone(any_engine, one, found[number])


def test_a_row_that_is_free_is_taken_at_once(engine: LocalEngine) -> None:
    """And a request is asked for only when there is room for it."""
    lengths, rows, running, found = [9, 2, 30, 4, 4, 11, 1], 3, 0, []

    def incoming() -> Iterator[GenerateRequest]:
        for i, length in enumerate(lengths):
            found.append(running)
            yield request(draw_ids(3 + i, seed=i), max_tokens=length)

    for _, event in engine.generate_many(incoming(), rows):
        running += isinstance(event, Started)
        running -= isinstance(event, Finished)
    assert found == [0, 1, 2, 2, 2, 2, 2]
    assert running == 0


def test_more_samples_than_rows(engine: LocalEngine) -> None:
    asked = request(IDS[:20], sampling=FREE, samples=7, max_tokens=9, seed=4)
    found = run_many(engine, [asked, request(IDS[:5])], 3)
    check_as_alone(engine, asked, found[0])
    check_as_alone(engine, request(IDS[:5]), found[1])
    # Its prompt is prefilled, and said to be, once.
    assert len(found[0].prefilled) == 1


def test_prompts_share_what_they_begin_with(engine: LocalEngine) -> None:
    asked = [request([*IDS[:40], i]) for i in range(4)]
    found = run_many(engine, asked, 4)
    assert [found[i].started.reused_tokens for i in range(4)] == [0, 40, 40, 40]


def test_rows_stop_at_stop_texts_and_end_tokens(saved: Path) -> None:
    engine = load(saved)
    bias = replace(FREE, logit_bias=((VOCABULARY - 1, 2.0),))
    asked = [
        request(IDS[:20], sampling=bias, seed=i, max_tokens=40, ignore_eos=False, stop=("e",))
        for i in range(12)
    ]
    found = run_many(engine, asked, 5)
    assert {found[i].finished().reason for i in range(12)} >= {"eos", "stop"}
    for number, one in enumerate(asked):
        check_as_alone(engine, one, found[number])


def test_a_request_that_fails_ends_alone(engine: LocalEngine) -> None:
    banned = SamplingParams(logit_bias=tuple((i, -math.inf) for i in range(VOCABULARY)))
    asked = [
        request(IDS[:10]),
        request([VOCABULARY]),
        request(IDS[:12], sampling=banned, samples=2),
        replace(request([]), prompt=TextPrompt(text="")),
        replace(request(draw_ids(POSITIONS)), overflow="error"),
        replace(request([]), prompt=ChatPrompt(messages=())),
        request(IDS[:9], sampling=FREE),
    ]
    found = run_many(engine, asked, 4)
    kinds = {i: r.failed.kind for i, r in found.items() if isinstance(r.events[-1], Failed)}
    assert kinds == {1: "usage", 2: "internal", 3: "usage", 4: "prompt_too_long", 5: "usage"}
    for number in (0, 6):
        check_as_alone(engine, asked[number], found[number])


class Sound(dict[tuple[Path, GenerateRequest], Run]):
    """Runs of a model without faults, by its folder and the request; each is made once."""

    def __missing__(self, key: tuple[Path, GenerateRequest]) -> Run:
        folder, asked = key
        self[key] = run(load(folder), asked)
        return self[key]


sound = Sound()


@pytest.mark.parametrize("rows", [1, 4])
@pytest.mark.parametrize("at", [1, 2, 4, 7, 12])
def test_out_of_memory_means_fewer_rows(either: Path, at: int, rows: int) -> None:
    asked = [request(draw_ids(5 + 3 * i, seed=i), sampling=FREE, seed=i) for i in range(6)]
    found = run_many(fragile(either, at, no_memory()), asked, rows)
    failed = [i for i, one in found.items() if isinstance(one.events[-1], Failed)]
    # One pass has failed: the request that was alone in it, or none.
    assert len(failed) == (1 if rows == 1 or at == 1 else 0)
    for number, one in enumerate(asked):
        if number in failed:
            assert found[number].failed.kind == "out_of_memory"
        else:
            check_same(one, found[number], sound[either, one])


@pytest.mark.parametrize("at", [2, 3, 5])
def test_out_of_memory_in_the_midst_of_several_samples(either: Path, at: int) -> None:
    asked = request(IDS, samples=3, sampling=FREE)
    found = run(fragile(either, at, no_memory()), asked)
    check_as_alone(load(either), asked, found)
    assert len(found.prefilled) == 1


def test_a_batch_ends_when_something_else_is_asked_for(engine: LocalEngine) -> None:
    events = engine.generate_many([request(IDS[:10])] * 3, 2)
    begun = [next(events) for _ in range(6)]
    assert any(isinstance(event, Token) for _, event in begun)
    usual = run(engine, request(IDS[:20]))
    with pytest.raises(UsageError, match="asked for something else"):
        list(events)
    assert run(engine, request(IDS[:20])).ids() == usual.ids()


def test_a_batch_that_is_closed_leaves_the_engine_right(engine: LocalEngine) -> None:
    usual = run(engine, request(IDS[:20]))
    whole = len(list(engine.generate_many(requests_of_all_kinds(4), 2)))
    for count in range(1, whole, 7):
        events = engine.generate_many(requests_of_all_kinds(4), 2)
        for _ in range(count):
            next(events)
        events.close()
        assert run(engine, request(IDS[:20])).ids() == usual.ids()


def test_no_requests(engine: LocalEngine) -> None:
    assert list(engine.generate_many([], 4)) == []


@given(
    shapes=st.lists(
        st.tuples(st.integers(1, 100), st.integers(1, 30), st.integers(1, 3)),
        min_size=1,
        max_size=8,
    ),
    rows=st.integers(1, 6),
)
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_requests_in_any_number_of_rows(
    engine: LocalEngine, shapes: list[tuple[int, int, int]], rows: int
) -> None:
    asked = [
        request(
            draw_ids(length, seed=i),
            sampling=SAMPLINGS[i % len(SAMPLINGS)],
            max_tokens=tokens,
            samples=samples,
            seed=i,
        )
        for i, (length, tokens, samples) in enumerate(shapes)
    ]
    found = run_many(engine, asked, rows)
    for number, one in enumerate(asked):
        check_as_alone(engine, one, found[number])
