"""Distributions at any position of a text."""

from typing import Any

import pytest

from gptterm.engine.api import SamplingParams, Token
from gptterm.engine.decoders.base import Cache, Ids, Logits
from gptterm.engine.generation.engine import LocalEngine
from gptterm.engine.inspection.answers import TokenView
from gptterm.engine.inspection.requests import TokenRequest
from tests.engine.checkpoints import POSITIONS, draw_ids
from tests.engine.inspection.looks import (
    events_of,
    failure_of,
    progress_of,
    reference_logits,
    reference_ranks,
    result_of,
)
from tests.engine.runs import FREE, request, run

IDS = draw_ids(60)


def test_raw_used_and_cut(model: Any, engine: LocalEngine) -> None:
    logits = reference_logits(model, IDS)
    for position in (1, 30, 60):
        asked = TokenRequest(ids=tuple(IDS), position=position, sampling=FREE, limit=8)
        view = result_of(engine, asked, TokenView)
        expected = logits[position - 1].softmax(0)
        assert view.distribution is not None
        best = expected.topk(8)
        assert [c.id for c in view.distribution.candidates] == best.indices.tolist()
        assert [c.raw for c in view.distribution.candidates] == pytest.approx(
            best.values.tolist(), abs=1e-5
        )
        if position == 60:
            assert (view.score, view.used, view.cut) == (None, None, None)
            continue
        assert view.score is not None
        own = IDS[position]
        assert view.score.rank in reference_ranks(logits[position - 1], own)
        assert view.score.logprob == pytest.approx(float(expected[own].log()), abs=1e-4)
        assert view.used == pytest.approx(float(expected[own]), abs=1e-5)
        one = TokenRequest(
            ids=tuple(IDS), position=position, sampling=SamplingParams(top_k=1), limit=8
        )
        cut = result_of(engine, one, TokenView)
        assert (cut.used, cut.cut) == (0.0, "top-k")
        assert cut.distribution is not None
        assert (cut.distribution.kept, len(cut.distribution.candidates)) == (1, 8)


def test_penalties_count_as_they_did_in_the_reply(engine: LocalEngine) -> None:
    """The last token's view is what `next_token` showed before it was drawn."""
    sampling = SamplingParams(presence_penalty=1.5, repetition_penalty=1.3)
    reply = run(engine, request(IDS[:20], sampling=sampling, max_tokens=6)).ids()
    shown = engine.next_token(sampling)
    assert shown is not None
    ids = (*IDS[:20], *reply)
    view = result_of(
        engine, TokenRequest(ids=ids, position=26, sampling=sampling, prompt_tokens=20), TokenView
    )
    assert view.distribution is not None
    for one, same in zip(view.distribution.candidates, shown.candidates, strict=True):
        assert (one.id, one.cut) == (same.id, same.cut)
        assert one.used == pytest.approx(same.used, abs=1e-5)
    others = result_of(engine, TokenRequest(ids=ids, position=26, sampling=sampling), TokenView)
    assert others.distribution != view.distribution


def test_beyond_the_context(model: Any, engine: LocalEngine) -> None:
    ids = draw_ids(300)
    for position in (POSITIONS, POSITIONS + 1, 250, 300):
        view = result_of(
            engine, TokenRequest(ids=tuple(ids), position=position, sampling=FREE), TokenView
        )
        read = ids[view.window_start : position]
        assert min(POSITIONS // 2, position) <= len(read) <= POSITIONS
        assert (view.window_start == 0) == (position <= POSITIONS)
        assert view.distribution is not None
        best = view.distribution.candidates[0]
        expected = reference_logits(model, read)[-1].softmax(0)
        assert best.id == int(expected.argmax())
        assert best.raw == pytest.approx(float(expected.max()), abs=1e-5)


def test_the_first_token_follows_nothing(engine: LocalEngine) -> None:
    for ids in ((), (7, 8)):
        view = result_of(engine, TokenRequest(ids=ids, position=0), TokenView)
        assert view.distribution is None
        assert (view.score and view.score.id) == (7 if ids else None)


def test_every_token_is_banned(engine: LocalEngine) -> None:
    banned = tuple((i, -float("inf")) for i in range(engine.decoder.vocab_size))
    sampling = SamplingParams(logit_bias=banned)
    asked = TokenRequest(ids=tuple(IDS), position=4, sampling=sampling)
    assert "banned" in failure_of(engine, asked).message
    with pytest.raises(ValueError, match="position must be from 0 to 60"):
        TokenRequest(ids=tuple(IDS), position=61)


@pytest.fixture
def fed(engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of tokens of the passes to come."""
    passes: list[int] = []
    forward = engine.decoder.forward

    def counted(ids: Ids, cache: Cache, *, last: int = 1) -> Logits | None:
        passes.append(ids.shape[1])
        return forward(ids, cache, last=last)

    monkeypatch.setattr(engine.decoder, "forward", counted)
    return passes


def test_moving_costs_a_step_and_other_samplers_none(engine: LocalEngine, fed: list[int]) -> None:
    ids = tuple(IDS)
    engine.decoder.prefill_chunk = 32  # type: ignore[misc]
    events = events_of(engine, TokenRequest(ids=ids, position=60))
    assert progress_of(events) == [(32, 59), (59, 59)]
    assert fed == [32, 27, 1]
    fed.clear()
    for position in (59, 20, 21, 60):
        result_of(engine, TokenRequest(ids=ids, position=position), TokenView)
    assert fed == [1, 1, 1, 1]
    fed.clear()
    result_of(engine, TokenRequest(ids=ids, position=60, sampling=FREE), TokenView)
    assert fed == []
    changed = (*ids[:40], 5, *ids[41:])
    result_of(engine, TokenRequest(ids=changed, position=60), TokenView)
    assert fed == [19, 1]


def test_what_a_generation_has_read_is_not_read_again(engine: LocalEngine, fed: list[int]) -> None:
    asked = request(IDS[:50], max_tokens=5)
    ids = (*IDS[:50], *run(engine, asked).ids())
    usual = run(engine, request(ids, max_tokens=5)).ids()
    fed.clear()
    view = result_of(engine, TokenRequest(ids=ids, position=55, sampling=FREE), TokenView)
    assert sum(fed) <= 2
    assert view.distribution is not None
    assert view.distribution.candidates[0].id == usual[0]
    fed.clear()
    other = TokenRequest(ids=(*ids[:30], *IDS[30:]), position=40, sampling=FREE)
    result_of(engine, other, TokenView)
    assert run(engine, request(ids, max_tokens=5)).ids() == usual


def test_a_pass_that_fails(engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next request begins anew."""
    asked = TokenRequest(ids=tuple(IDS), position=30)
    usual = result_of(engine, asked, TokenView)

    def fail(*_: object, **__: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(engine.decoder, "forward", fail)
        other = TokenRequest(ids=tuple(IDS), position=40)
        assert failure_of(engine, other).kind == "out_of_memory"
    assert result_of(engine, asked, TokenView) == usual


def test_a_generation_does_not_notice(engine: LocalEngine) -> None:
    asked = request(IDS[:20], sampling=FREE)
    usual = run(engine, asked).ids()
    found = []
    for event in engine.generate(asked):
        if isinstance(event, Token):
            found.append(event.id)
        result_of(engine, TokenRequest(ids=tuple(IDS), position=40), TokenView)
    assert found == usual
