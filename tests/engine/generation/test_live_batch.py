"""Requests that come, go and are cancelled while others are decoded."""

import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from torch import Tensor

from gptterm.engine.api import (
    Event,
    Failed,
    Finished,
    GenerateRequest,
    Prefilled,
    SamplingParams,
    Started,
    TextPrompt,
    Token,
)
from gptterm.engine.decoders.base import Ids, Logits
from gptterm.engine.generation.batch import Batch
from gptterm.engine.generation.cuda_graph.decoding import StaticDecoding
from gptterm.engine.generation.engine import LocalEngine
from gptterm.engine.text.tokenizer_files import load_tokenizer
from tests.engine.checkpoints import VOCABULARY, draw_ids, gpt2, load, make, save
from tests.engine.generation.test_batch import SAMPLINGS, check_as_alone
from tests.engine.generation.test_failures import either, fragile, no_memory
from tests.engine.runs import FREE, GREEDY, Run, request, run, says

__all__ = ["either"]

IDS = draw_ids(60)
POSITIONS = 1024


def raised(error: BaseException) -> Failed:
    return Failed(kind="internal", message=str(error))


class Live:
    """A batch, and the events of its requests so far."""

    def __init__(self, engine: LocalEngine, rows: int = 8, *, steady: bool = True) -> None:
        self.batch: Batch = engine.new_batch(rows, raised, steady=steady)
        self.runs: dict[int, Run] = {}

    def submit(self, asked: GenerateRequest) -> int:
        number = self.batch.submit(asked)
        self.runs[number] = Run()
        return number

    def step(self, count: int = 1) -> list[tuple[int, Event]]:
        """Step so many times; the events of the last."""
        events: list[tuple[int, Event]] = []
        for _ in range(count):
            events = list(self.batch.step())
            for number, event in events:
                self.runs[number].events.append(event)
        return events

    def step_until(self, number: int, tokens: int) -> None:
        while len(self.runs[number].ids()) < tokens:
            self.step()

    def finish(self) -> dict[int, Run]:
        while not self.batch.idle:
            assert self.batch.ready
            self.step()
        return self.runs

    def has_room(self) -> bool:
        return self.batch.has_room

    def running(self) -> int:
        """Rows that are in use."""
        return self.batch._sequences.decoding


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(make(gpt2(n_positions=POSITIONS)), tmp_path_factory.mktemp("live") / "gpt2")


@pytest.fixture
def engine(directory: Path) -> LocalEngine:
    return load(directory)


@pytest.fixture(scope="module")
def solo(directory: Path) -> LocalEngine:
    """An engine that runs requests alone, for comparison."""
    return load(directory)


def six(**changes: Any) -> list[GenerateRequest]:
    return [
        request(
            draw_ids(5 + 9 * i, seed=i),
            **{"sampling": SAMPLINGS[i % 5], "seed": i, "max_tokens": 40, "logprobs": 2} | changes,
        )
        for i in range(6)
    ]


def check_bits(one: Run, other: Run) -> None:
    """The same tokens, and the same bits of what is said of each."""
    assert one.tokens() == other.tokens()
    assert one.text() == other.text()
    assert one.finished().reason == other.finished().reason


# ------------------------------------------------------------------------- coming and going


@pytest.mark.parametrize("apart", [0, 1, 7])
def test_who_joins_gets_what_it_would_get_alone(
    engine: LocalEngine, solo: LocalEngine, apart: int
) -> None:
    """To the last bit: the CPU kernels give a row the same bits alone and among others."""
    live = Live(engine)
    numbers = []
    for asked in six():
        numbers.append(live.submit(asked))
        live.step(apart)
    live.finish()
    for number, asked in zip(numbers, six(), strict=True):
        check_bits(live.runs[number], run(solo, asked))


def test_six_requests_share_their_steps(engine: LocalEngine, monkeypatch: Any) -> None:
    passes: Counter[int] = Counter()
    forward: Any = engine.decoder.forward

    def counted(ids: Tensor, *arguments: Any, **options: Any) -> Any:
        passes[ids.shape[0]] += 1
        return forward(ids, *arguments, **options)

    monkeypatch.setattr(engine.decoder, "forward", counted)
    live = Live(engine)
    for asked in six():
        live.submit(asked)
    live.finish()
    # A prompt each, or two where it was cut; from then on a pass is for all.
    assert passes[6] >= 35
    assert sum(passes.values()) <= 60


def test_a_row_of_any_decoder(any_engine: LocalEngine, solo: LocalEngine) -> None:
    del solo
    asked = [replace(one, logprobs=None, max_tokens=12) for one in six()[:3]]
    alone = [run(any_engine, one) for one in asked]
    live = Live(any_engine)
    for one in asked:
        live.submit(one)
        live.step(2)
    live.finish()
    assert [live.runs[i].ids() for i in range(3)] == [one.ids() for one in alone]
    # A text that was written in a row is found again like any other.
    ids = [*asked[1].prompt.ids, *live.runs[1].ids()]  # type: ignore[union-attr]
    follow = live.submit(request([*ids, 3, 4]))
    live.finish()
    started = live.runs[follow].started
    assert started.reused_tokens in (0, len(ids) - 1)  # some caches cannot be cut
    assert live.runs[follow].ids() == run(any_engine, request([*ids, 3, 4])).ids()


def test_a_repeating_text_is_speculated_on_before_and_after_company(tmp_path: Path) -> None:
    engine = says("so it is and so it will be. ", tmp_path, positions=512)
    repeating = request(IDS[:5], max_tokens=300, logprobs=1)
    expected = run(engine, repeating)
    passes = 0
    forward: Any = engine.decoder.forward

    def counted(*arguments: Any, **options: Any) -> Any:
        nonlocal passes
        passes += 1
        return forward(*arguments, **options)

    engine.decoder.forward = counted  # type: ignore[method-assign]
    live = Live(engine)
    number = live.submit(repeating)
    live.step_until(number, 100)
    assert passes < 60
    guest = live.submit(request(IDS[:9], max_tokens=10))
    live.step_until(guest, 10)
    before = passes
    live.finish()
    assert passes - before < 80
    check_bits(live.runs[number], expected)


@pytest.mark.parametrize("samples", [1, 3])
def test_in_fixed_buffers_while_it_is_alone(
    directory: Path, samples: int, without_kernels: Callable[[], None]
) -> None:
    """As on a GPU; random numbers that were sent ahead are not lost."""
    without_kernels()
    engine, solo = load(directory), load(directory)
    engine.static = StaticDecoding(engine.decoder)  # type: ignore[arg-type]
    asked = request(IDS[:20], sampling=SAMPLINGS[3], max_tokens=300, seed=3, samples=samples)
    guest = request(IDS[20:40], sampling=FREE, max_tokens=20)
    live = Live(engine)
    number, others = live.submit(asked), []
    for steps in (50, 64, 30):
        live.step(steps)
        others.append(live.submit(guest))
        live.step(25)
    live.finish()
    expected = run(solo, asked)
    for i in range(samples):
        assert live.runs[number].ids(i) == expected.ids(i)
    assert {tuple(live.runs[i].ids()) for i in others} == {tuple(run(solo, guest).ids())}


def test_a_long_prompt_holds_nobody_up(engine: LocalEngine, solo: LocalEngine) -> None:
    live = Live(engine)
    first = live.submit(request(IDS[:10], max_tokens=200))
    second = live.submit(request(IDS[10:30], max_tokens=200))
    live.step_until(second, 3)
    long = live.submit(request(draw_ids(900, seed=9), max_tokens=5))
    done = steps = 0
    while not live.runs[long].ids():
        events = live.step()
        steps += 1
        fed = [e.done for number, e in events if number == long and isinstance(e, Prefilled)]
        assert len(fed) == 1
        assert fed[0] - done <= 64
        done = fed[0]
        tokens = [number for number, event in events if isinstance(event, Token)]
        assert {first, second} <= set(tokens)
    assert steps == -(-900 // 64)
    live.finish()
    assert live.runs[long].ids() == run(solo, request(draw_ids(900, seed=9), max_tokens=5)).ids()


def test_without_readers_rows_that_are_free_are_filled_at_once(engine: LocalEngine) -> None:
    live = Live(engine, steady=False)
    for seed in range(2):
        live.submit(request(IDS[seed : seed + 10], max_tokens=200))
    live.step()
    for seed in range(3):
        live.submit(request(draw_ids(80, seed=seed), max_tokens=5))
    live.step()
    assert live.running() == 5


def test_a_long_prompt_beside_one_that_is_alone(engine: LocalEngine) -> None:
    live = Live(engine)
    first = live.submit(request(IDS[:10], max_tokens=200))
    live.step_until(first, 3)
    long = live.submit(request(draw_ids(900, seed=9), max_tokens=5))
    while not live.runs[long].ids():
        assert first in [number for number, event in live.step() if isinstance(event, Token)]


@pytest.mark.parametrize("moment", ["waiting", "prefill", "alone", "row"])
def test_what_is_cancelled_is_gone_within_a_step(
    engine: LocalEngine, solo: LocalEngine, moment: str
) -> None:
    live = Live(engine, rows=2)
    stays = request(IDS[:10], max_tokens=60)
    number = live.submit(stays) if moment != "alone" else -1
    live.step(moment != "alone")
    gone = live.submit(request(draw_ids(700, seed=9), max_tokens=90, sampling=FREE))
    live.step({"waiting": 0, "prefill": 3, "alone": 20, "row": 20}[moment])
    waits = live.submit(request(IDS[30:], max_tokens=20))
    assert not live.has_room()
    live.batch.cancel(gone)
    count = len(live.runs[gone].events)
    live.step()
    assert live.runs[waits].started
    live.finish()
    assert len(live.runs[gone].events) == count
    assert live.runs[waits].ids() == run(solo, request(IDS[30:], max_tokens=20)).ids()
    if moment != "alone":
        assert live.runs[number].ids() == run(solo, stays).ids()
    live.batch.cancel(gone)  # once more, and who has ended
    live.batch.cancel(waits)
    assert live.batch.idle
    assert live.has_room()


def test_there_is_room_until_all_rows_are_taken(engine: LocalEngine) -> None:
    live = Live(engine, rows=3)
    asked = request(IDS[:10], max_tokens=30)
    live.submit(asked)
    assert live.has_room()
    live.submit(replace(asked, samples=2))
    assert not live.has_room()
    live.step(3)
    assert not live.has_room()
    later = live.submit(asked)
    live.finish()
    assert live.running() == 0
    assert live.has_room()
    assert len(live.runs[later].ids()) == 30


def test_who_is_alone_gets_a_row_for_each_sample(engine: LocalEngine, solo: LocalEngine) -> None:
    live = Live(engine, rows=2)
    asked = request(IDS[:10], samples=5, sampling=FREE)
    number = live.submit(asked)
    live.step(4)
    assert live.running() == 5
    assert not live.has_room()
    later = live.submit(replace(asked, samples=3))
    live.finish()
    check_as_alone(solo, asked, live.runs[number])
    check_as_alone(solo, replace(asked, samples=3), live.runs[later])


# ------------------------------------------------------------------------------- the cache


def test_every_chat_finds_its_own_past(engine: LocalEngine, solo: LocalEngine) -> None:
    live = Live(engine)
    texts = [draw_ids(10 + 20 * i, seed=i) for i in range(4)]
    for turn in range(3):
        asked = [request(ids, max_tokens=9, seed=turn, sampling=FREE) for ids in texts]
        numbers = [live.submit(one) for one in asked]
        live.finish()
        for i, number in enumerate(numbers):
            found = live.runs[number]
            assert found.started.reused_tokens == (len(texts[i]) - 3 if turn else 0)
            assert found.ids() == run(solo, asked[i]).ids()
            texts[i] += [*found.ids(), 7, 8]


def test_a_beginning_is_shared_with_those_that_run(engine: LocalEngine) -> None:
    live = Live(engine)
    numbers = [live.submit(request([*IDS[:40], i], max_tokens=20)) for i in range(4)]
    live.finish()
    reused = [live.runs[number].started.reused_tokens for number in numbers]
    assert reused == [0, 40, 40, 40]


def test_a_cancelled_text_is_found_again(engine: LocalEngine) -> None:
    live = Live(engine)
    other = live.submit(request(IDS[:9], max_tokens=90))
    number = live.submit(request(IDS[20:50], max_tokens=50))
    live.step_until(number, 20)
    written = [*IDS[20:50], *live.runs[number].ids()]
    live.batch.cancel(number)
    follow = live.submit(request([*written, 5]))
    live.finish()
    assert live.runs[follow].started.reused_tokens == len(written) - 1
    assert len(live.runs[other].ids()) == 90


def test_more_chats_than_caches(engine: LocalEngine, solo: LocalEngine) -> None:
    """The least recently used text is forgotten first."""
    live = Live(engine, rows=2)
    texts = [draw_ids(30, seed=i) for i in range(3)]
    for ids in texts:
        live.submit(request(ids, max_tokens=5))
        live.finish()
    reused = []
    for ids in reversed(texts):
        live.submit(request(ids, max_tokens=5))
        live.finish()
        reused.append(live.runs[max(live.runs)].started.reused_tokens)
    assert reused == [29, 29, 0]
    assert live.runs[5].ids() == run(solo, request(texts[0], max_tokens=5)).ids()


# --------------------------------------------------------------------- looking, and samplers


def test_the_next_token_of_each(engine: LocalEngine, solo: LocalEngine) -> None:
    live = Live(engine)
    asked = six()
    for one in asked:
        live.submit(one)
    for _ in range(12):
        live.step(3)
        for number, found in live.runs.items():
            seen = live.batch.next_token(number, FREE, 5)
            if not found.ids():
                assert seen is None
                continue
            past = [*asked[number].prompt.ids, *found.ids()]  # type: ignore[union-attr]
            assert seen is not None
            assert seen.candidates == _next(solo, past).candidates
    live.finish()
    for number, one in enumerate(asked):
        check_bits(live.runs[number], run(solo, one))
        assert live.batch.next_token(number, GREEDY, 1) is not None
    assert live.batch.next_token(99, GREEDY, 1) is None


def _next(solo: LocalEngine, past: list[int]) -> Any:
    events = solo.generate(request(past, max_tokens=1))
    for event in events:
        if isinstance(event, Prefilled) and event.done == event.total:
            return solo.next_token(FREE, 5)
    raise AssertionError


def test_samplers_change_for_one_and_not_for_others(engine: LocalEngine, solo: LocalEngine) -> None:
    live = Live(engine)
    favour = replace(GREEDY, logit_bias=((77, 1000.0),))
    asked = request(IDS[:10], max_tokens=30)
    before, within, never = (live.submit(asked) for _ in range(3))
    live.batch.set_sampling(before, favour)
    live.step_until(within, 10)
    count = len(live.runs[within].ids())
    live.batch.set_sampling(within, favour)
    live.finish()
    assert live.runs[before].ids() == [77] * 30
    assert live.runs[within].ids()[count:] == [77] * (30 - count)
    usual = run(solo, asked).ids()
    assert live.runs[within].ids()[:count] == usual[:count]
    assert live.runs[never].ids() == usual
    live.batch.set_sampling(never, favour)  # it has ended
    live.batch.set_sampling(99, favour)


# ------------------------------------------------------------------------------------ pauses


@pytest.mark.parametrize("company", [True, False])
@pytest.mark.parametrize("steps", [0, 2, 15])
def test_a_pause_frees_the_row_and_changes_no_text(
    engine: LocalEngine, solo: LocalEngine, company: bool, steps: int
) -> None:
    live = Live(engine, rows=2)
    asked = request(draw_ids(400, seed=9), max_tokens=50, sampling=FREE, logprobs=1)
    others = [request(IDS[: 10 + i], max_tokens=120) for i in range(2)]
    if company:
        live.submit(others[0])
        live.step(2)
    number = live.submit(asked)
    live.step(1 + steps)
    live.batch.pause(number)
    assert live.batch.ready == company
    assert not live.batch.idle
    count = len(live.runs[number].events)
    assert live.has_room()
    later = live.submit(others[1])
    live.step(30)
    assert len(live.runs[number].events) == count
    assert live.runs[later].ids()
    live.batch.resume(number)
    live.finish()
    check_bits(live.runs[number], run(solo, asked))
    assert live.runs[later].ids() == run(solo, others[1]).ids()
    if company:
        assert live.runs[0].ids() == run(solo, others[0]).ids()


def test_a_paused_request_can_be_cancelled(engine: LocalEngine) -> None:
    live = Live(engine)
    number = live.submit(request(IDS[:10]))
    live.step(3)
    live.batch.pause(number)
    live.batch.pause(number)
    live.batch.cancel(number)
    live.batch.resume(number)
    assert live.batch.idle


# ----------------------------------------------------------------------------------- failures


def test_a_failure_ends_one_request(engine: LocalEngine, solo: LocalEngine) -> None:
    banned = SamplingParams(logit_bias=tuple((i, -math.inf) for i in range(VOCABULARY)))
    live = Live(engine)
    good = six()
    numbers = [live.submit(one) for one in good[:3]]
    live.step(5)
    bad = [
        live.submit(request([VOCABULARY])),
        live.submit(replace(request([]), prompt=TextPrompt(text=""))),
        live.submit(request(IDS[:9], sampling=banned, samples=3)),
    ]
    late = live.submit(request(IDS[:9], samples=2, sampling=FREE))
    live.step_until(late, 3)
    live.batch.set_sampling(late, banned)
    live.finish()
    kinds = [live.runs[number].failed.kind for number in (*bad, late)]
    assert kinds == ["usage", "usage", "internal", "internal"]
    for number, one in zip(numbers, good, strict=False):
        check_bits(live.runs[number], run(solo, one))


class Haunted:
    """A decoder that cannot feed one token id."""

    def __init__(self, decoder: Any, id_: int) -> None:
        self._decoder = decoder
        self._id = id_

    def __getattr__(self, name: str) -> Any:
        return getattr(self._decoder, name)

    def forward(self, ids: Ids, cache: Any, *, last: int = 1) -> Logits | None:
        logits: Logits | None = self._decoder.forward(ids, cache, last=last)
        if bool((ids == self._id).any()):
            raise RuntimeError("a bug")
        return logits


@pytest.mark.parametrize("when", ["prompt", "reply"])
def test_a_bug_in_one_request_is_not_the_others(
    directory: Path, solo: LocalEngine, when: str
) -> None:
    sound = load(directory)
    haunted: Any = Haunted(sound.decoder, 99)
    live = Live(LocalEngine(haunted, load_tokenizer(directory), sound.info))
    no_99 = ((99, -math.inf),)
    good = [
        replace(one, sampling=replace(one.sampling, logit_bias=no_99), max_tokens=40)
        for one in six()[:4]
    ]
    numbers = [live.submit(one) for one in good]
    live.step(4)
    write_99 = replace(GREEDY, logit_bias=((99, 1000.0),))
    bad = live.submit(
        request([3, 99, 4]) if when == "prompt" else request([3, 4], sampling=write_99)
    )
    live.finish()
    assert live.runs[bad].failed.message == "a bug"
    for number, one in zip(numbers, good, strict=True):
        check_bits(live.runs[number], run(solo, one))


@pytest.mark.parametrize("at", [1, 2, 4, 9, 20])
def test_out_of_memory_with_requests_that_come_and_go(either: Path, at: int) -> None:
    """The one that was alone in the pass, or none, fails; and rows come back."""
    sound = load(either)
    asked = [request(draw_ids(5 + 3 * i, seed=i), sampling=FREE, seed=i) for i in range(6)]
    live = Live(fragile(either, at, no_memory()), rows=4)
    for one in asked:
        live.submit(one)
        live.step()
    live.finish()
    failed = [i for i, one in live.runs.items() if isinstance(one.events[-1], Failed)]
    assert len(failed) <= 1
    for number, one in enumerate(asked):
        if number in failed:
            assert live.runs[number].failed.kind == "out_of_memory"
        else:
            assert live.runs[number].ids() == run(sound, one).ids()
    assert live.batch._limit == 4


def test_out_of_memory_costs_cached_texts_first(directory: Path, solo: LocalEngine) -> None:
    engine = fragile(directory, 13, no_memory())
    live = Live(engine, rows=2)
    live.submit(request(IDS[:10], max_tokens=5))
    live.finish()
    number = live.submit(request(IDS[20:40], max_tokens=20))
    live.finish()
    assert live.runs[number].ids() == run(solo, request(IDS[20:40], max_tokens=20)).ids()


# ------------------------------------------------------------------------------- any schedule


DEEDS = st.lists(
    st.sampled_from(["submit", "submit", "step", "step", "step", "cancel", "pause", "resume"]),
    min_size=5,
    max_size=60,
)


def follow(live: Live, solo: LocalEngine, seed: int, deeds: list[str], longest: int) -> None:
    """Do some deeds in turn; each text must be that of the request alone.

    Args:
        longest: prompt, in tokens.
    """
    chance = torch.Generator().manual_seed(seed)

    def pick(count: int) -> int:
        return int(torch.randint(0, count, (), generator=chance))

    asked: dict[int, GenerateRequest] = {}
    texts: list[list[int]] = []
    cancelled, paused = set(), set()
    for deed in deeds:
        if deed == "submit":
            text = draw_ids(longest, seed=pick(5))
            if asked and pick(3) == 0:  # as what was written, or a part of it, goes on
                earlier = pick(len(asked))
                text = [*texts[earlier], *live.runs[earlier].ids(), *text][:longest]
            texts.append(text[: 1 + pick(longest)])
            one = request(
                texts[-1],
                max_tokens=1 + pick(40),
                sampling=SAMPLINGS[pick(5)],
                samples=1 + pick(2),
                seed=pick(100),
            )
            asked[live.submit(one)] = one
        elif deed == "step":
            live.step(1 + pick(6))
        elif asked:
            number = pick(len(asked))
            if deed == "cancel":
                live.batch.cancel(number)
                cancelled.add(number)
            elif deed == "pause":
                live.batch.pause(number)
                paused.add(number)
            else:
                live.batch.resume(number)
                paused.discard(number)
    for number in paused:
        live.batch.resume(number)
    live.finish()
    for number, one in asked.items():
        if number not in cancelled:
            kinds = [type(event) for event in live.runs[number].events]
            assert kinds[0] is Started
            assert kinds.count(Finished) == one.samples
            run(solo, request([1], max_tokens=1))  # nothing is held of the text
            alone = run(solo, one)
            for i in range(one.samples):
                assert live.runs[number].ids(i) == alone.ids(i)


@given(seed=st.integers(0, 2**16), rows=st.integers(1, 5), deeds=DEEDS)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_schedule(
    engine: LocalEngine, solo: LocalEngine, seed: int, rows: int, deeds: list[str]
) -> None:
    follow(Live(engine, rows), solo, seed, deeds, longest=150)
