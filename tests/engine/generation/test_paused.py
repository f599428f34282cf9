"""A generation that is paused: looked at, closed, or left for another."""

from pathlib import Path
from typing import Any

import pytest
import torch
from msgspec.structs import replace
from torch import Tensor

from gptterm.engine.api import (
    Failed,
    NextToken,
    Prefilled,
    SamplingParams,
    Started,
    Token,
)
from gptterm.engine.decoders.native_decoder import NativeDecoder
from gptterm.engine.generation.engine import LocalEngine
from tests.engine.checkpoints import (
    POSITIONS,
    VOCABULARY,
    draw_ids,
    load,
    reference,
)
from tests.engine.runs import FREE, GREEDY, Run, request, run, says
from tests.support.gpt2 import END_OF_TEXT

IDS = draw_ids(60)


def check_next(found: NextToken | None, logits: Tensor) -> None:
    assert found is not None
    expected = torch.softmax(logits.double(), 0)
    for candidate in found.candidates:
        assert candidate.raw == pytest.approx(float(expected[candidate.id]), abs=1e-5)
    assert [c.raw for c in found.candidates] == sorted(c.raw for c in found.candidates)[::-1]


def test_the_next_token_after_a_generation(any_engine: LocalEngine, model: Any) -> None:
    assert any_engine.next_token(FREE) is None
    found = run(any_engine, request(IDS[:10]))
    if any_engine.info.architecture == type(model).__name__:
        check_next(any_engine.next_token(FREE), reference(model, [*IDS[:10], *found.ids()]))
    # It is what a request for the token after that text would draw from.
    again = any_engine.next_token(FREE, 1)
    assert again is not None
    following = run(any_engine, request([*IDS[:10], *found.ids()], max_tokens=1))
    assert again.candidates[0].id == following.ids()[0]


def test_the_next_token_can_be_asked_at_any_time(any_engine: LocalEngine, tmp_path: Path) -> None:
    for samples in (1, 3):
        asked = request(IDS[:10], samples=samples, sampling=FREE)
        usual = run(any_engine, asked)
        found, guesses = Run(), []
        for event in any_engine.generate(asked):
            found.events.append(event)
            guess = any_engine.next_token(GREEDY, 1)
            if guess is not None and isinstance(event, Token) and event.sample == 0:
                guesses.append(guess.candidates[0].id)
        # Looking changes nothing.
        for i in range(samples):
            assert found.ids(i) == usual.ids(i)
        other = load(tmp_path)
        for n, guess_id in enumerate(guesses, 1):
            past = [*IDS[:10], *found.ids(0)[:n]]
            assert run(other, request(past, max_tokens=1)).ids() == [guess_id]
        assert len(guesses) == 12


def test_the_next_token_after_the_prompt(engine: LocalEngine, model: Any) -> None:
    events = engine.generate(request(IDS[:10]))
    assert isinstance(next(events), Started)
    assert engine.next_token(FREE) is None
    assert isinstance(next(events), Prefilled)
    check_next(engine.next_token(FREE), reference(model, IDS[:10]))
    events.close()
    check_next(engine.next_token(FREE), reference(model, IDS[:10]))


def test_the_next_token_after_a_cancel(engine: LocalEngine, model: Any) -> None:
    events = engine.generate(request(IDS[:10]))
    begun = [next(events) for _ in range(6)]
    written = [event.id for event in begun if isinstance(event, Token)]
    events.close()
    assert len(written) == 4
    check_next(engine.next_token(FREE), reference(model, [*IDS[:10], *written]))
    # And after it the cache knows those ids.
    following = run(engine, request([*IDS[:10], *written, 3]))
    assert following.started.reused_tokens == 10 + len(written)


def test_the_context_can_be_filled_to_the_last_position(engine: LocalEngine, model: Any) -> None:
    ids = draw_ids(POSITIONS - 12)
    found = run(engine, request(ids, max_tokens=12))
    assert (found.started.dropped_tokens, len(found.ids())) == (0, 12)
    assert found.finished().reason == "length"
    # What would come after the last position there is can still be told.
    check_next(engine.next_token(FREE, VOCABULARY), reference(model, [*ids, *found.ids()]))


def test_the_next_token_where_the_text_ended_itself(tmp_path: Path) -> None:
    engine = says(f"hello{END_OF_TEXT}", tmp_path)
    run(engine, request([1], ignore_eos=False))
    found = engine.next_token(FREE, 1)
    assert found is not None
    assert found.candidates[0].piece == END_OF_TEXT.encode()


def test_the_next_token_after_the_first_of_several_samples(engine: LocalEngine, model: Any) -> None:
    bias = replace(FREE, logit_bias=((VOCABULARY - 1, 2.0),))
    asked = request(IDS[:20], sampling=bias, samples=6, max_tokens=40, ignore_eos=False)
    orders = set()
    for seed in range(4):
        found = run(engine, replace(asked, seed=seed))
        lengths = [len(found.ids(i)) for i in range(6)]
        orders.add(lengths[0] == max(lengths))
        check_next(engine.next_token(FREE), reference(model, [*IDS[:20], *found.ids(0)]))
    assert False in orders  # the first was not always the last to end


def test_the_next_token_knows_what_the_penalties_know(engine: LocalEngine) -> None:
    found = run(engine, request(IDS[:10]))
    penalised = SamplingParams(temperature=1.0, top_k=0, top_p=1.0, presence_penalty=1e4)
    seen = engine.next_token(penalised, VOCABULARY)
    assert seen is not None
    assert {c.id for c in seen.candidates if c.used == 0} == set(found.ids())


@pytest.mark.parametrize("samples", [1, 3])
def test_closing_at_any_event_leaves_the_engine_right(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch, samples: int
) -> None:
    monkeypatch.setattr(NativeDecoder, "prefill_chunk", 16)
    asked = request(IDS, samples=samples, sampling=FREE)
    usual = run(engine, asked)
    assert len(usual.prefilled) == 4
    for count in range(len(usual.events)):
        run(engine, request([IDS[0], *IDS[5:25]], max_tokens=2))
        events = engine.generate(asked)
        for _ in range(count):
            next(events)
        events.close()
        found = run(engine, asked)
        assert [found.ids(i) for i in range(samples)] == [usual.ids(i) for i in range(samples)]


def test_a_second_generation_ends_the_first(engine: LocalEngine) -> None:
    one, other = request(IDS[:10]), request(IDS[10:30])
    usual = run(engine, other)
    first = engine.generate(one)
    begun = [next(first) for _ in range(4)]
    assert isinstance(begun[-1], Token)
    second = engine.generate(other)
    found = Run([next(second)])
    assert list(first) == [
        Failed(kind="usage", message="the engine was asked for something else in the meantime")
    ]
    found.events += second
    assert found.ids() == usual.ids()


def test_a_generation_that_was_never_begun_ends_nothing(engine: LocalEngine) -> None:
    usual = run(engine, request(IDS[:10]))
    first = engine.generate(request(IDS[:10]))
    next(first)
    engine.generate(request(IDS[10:30])).close()
    assert [e.id for e in first if isinstance(e, Token)] == usual.ids()
