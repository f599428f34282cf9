"""Scores of texts, held against transformers and lm-evaluation-harness's windows."""

import math
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest
import torch

from gptterm.engine.api import Failed, GenerateRequest, TextPrompt, TokenPrompt
from gptterm.engine.generation.engine import LocalEngine
from gptterm.engine.inspection.answers import (
    Encoded,
    ScoreSummary,
    TokenScores,
)
from gptterm.engine.inspection.requests import EncodeRequest, ScoreRequest
from gptterm.engine.inspection.text_cache import BESIDE_CHUNK
from gptterm.engine.inspection.token_statistics import row_statistics
from gptterm.engine.ipc.inspections import Inspections
from gptterm.engine.ipc.protocol import QueryInspection
from gptterm.engine.sampling.chain import NotFiniteError
from tests.engine.checkpoints import (
    ARCHITECTURES,
    NATIVE,
    POSITIONS,
    VOCABULARY,
    draw_ids,
    load,
    make,
    save,
)
from tests.engine.inspection.looks import (
    events_of,
    failure_of,
    reference_logits,
    reference_rank,
    reference_ranks,
    result_of,
    scores_of,
)

END = VOCABULARY - 1


@pytest.fixture(scope="module", params=[*NATIVE, "gemma3", "mamba", "bloom"])
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Any, LocalEngine]:
    """A model of transformers, and the engine over it."""
    model = make(ARCHITECTURES[request.param]())
    return model, load(save(model, tmp_path_factory.mktemp("scores")))


def test_a_text_that_fits(pair: tuple[Any, LocalEngine]) -> None:
    model, engine = pair
    ids = draw_ids(40)
    events = events_of(engine, ScoreRequest(ids=tuple(ids), alternatives=3, start_token=False))
    found, summary = scores_of(events), events[-1]
    assert isinstance(summary, ScoreSummary)
    assert (found.first, [token.id for token in found.tokens]) == (0, ids)
    first = found.tokens[0]
    assert (first.logprob, first.rank, first.entropy_bits) == (None, None, None)
    logits = reference_logits(model, ids)
    expected = logits.log_softmax(-1)
    for token, row, scores in zip(found.tokens[1:], logits, expected, strict=False):
        assert token.logprob == pytest.approx(float(scores[token.id]), abs=1e-4)
        assert token.rank in reference_ranks(row, token.id)
        entropy = -float((scores.exp() * scores).sum()) / math.log(2)
        assert token.entropy_bits == pytest.approx(entropy, abs=1e-4)
        best = scores.topk(3)
        assert [a.id for a in token.alternatives] == best.indices.tolist()
        assert [a.logprob for a in token.alternatives] == pytest.approx(
            best.values.tolist(), abs=1e-4
        )
    total = float(expected[:-1].gather(1, torch.tensor(ids[1:])[:, None]).sum())
    assert summary.logprob == pytest.approx(total, abs=1e-3)
    assert summary.perplexity == pytest.approx(math.exp(-total / 39), rel=1e-4)
    assert (summary.scored, summary.windows, summary.stride) == (39, 1, 0)
    assert summary.start_ids == ()


def rolling_windows(
    tokens: list[int], prefix: int, longest: int, context: int
) -> Iterator[tuple[list[int], list[int]]]:
    """(read, scored) as lm-evaluation-harness makes them: `get_rolling_token_windows`."""
    scored = min(longest, len(tokens))
    yield [prefix, *tokens[: scored - 1]], tokens[:scored]
    while scored < len(tokens):
        count = min(len(tokens) - scored, longest - context + 1)
        end = scored + count
        yield tokens[end - longest - 1 : end - 1], tokens[end - count : end]
        scored += count


@pytest.mark.parametrize("length", [POSITIONS, POSITIONS + 1, 300])
@pytest.mark.parametrize("stride", [None, POSITIONS, 1 + POSITIONS // 4])
def test_longer_than_the_context(
    model: Any, engine: LocalEngine, length: int, stride: int | None
) -> None:
    ids = draw_ids(length)
    expected = []
    windows = 0
    for read, scored in rolling_windows(
        ids, END, POSITIONS, POSITIONS + 1 - (stride or POSITIONS // 2)
    ):
        logprobs = reference_logits(model, read).log_softmax(-1)[-len(scored) :]
        expected += logprobs.gather(1, torch.tensor(scored)[:, None])[:, 0].tolist()
        windows += 1
    events = events_of(engine, ScoreRequest(ids=tuple(ids), stride=stride))
    tokens, summary = scores_of(events).tokens, events[-1]
    assert isinstance(summary, ScoreSummary)
    assert [token.logprob for token in tokens] == pytest.approx(expected, abs=1e-4)
    assert summary.logprob == pytest.approx(sum(expected), rel=1e-5)
    assert (summary.scored, summary.start_ids) == (length, (END,))
    used = min(POSITIONS, stride or POSITIONS // 2)
    assert (summary.windows, summary.stride) == (windows, used if windows > 1 else 0)


def test_from_a_token_on(engine: LocalEngine) -> None:
    """The same scores as with those before it; what was read is not read again."""
    for length in (100, 300):
        ids = tuple(draw_ids(length))
        whole = scores_of(events_of(engine, ScoreRequest(ids=ids))).tokens
        events = events_of(engine, ScoreRequest(ids=ids, first=90))
        found = scores_of(events)
        assert found.first == 90
        assert [t.id for t in found.tokens] == list(ids[90:])
        assert [t.logprob for t in found.tokens] == pytest.approx(
            [t.logprob for t in whole[90:]], abs=1e-5
        )
        assert [t.rank for t in found.tokens] == [t.rank for t in whole[90:]]
    nothing = result_of(engine, ScoreRequest(ids=ids, first=300), ScoreSummary)
    assert nothing.scored == 0
    assert math.isnan(nothing.perplexity)


def test_texts_of_no_and_one_token(engine: LocalEngine) -> None:
    assert result_of(engine, ScoreRequest(ids=()), ScoreSummary).scored == 0
    for start_token in (True, False):
        for ids in ((5,), (END,)):
            request = ScoreRequest(ids=ids, start_token=start_token)
            events = events_of(engine, request)
            (token,) = scores_of(events).tokens
            assert (token.logprob is not None) == (start_token and ids != (END,))


def test_pieces_and_bits_per_byte(engine: LocalEngine) -> None:
    text = "The moon is round — 月."
    encoded = result_of(engine, EncodeRequest(prompt=TextPrompt(text=text)), Encoded)
    assert b"".join(piece.piece for piece in encoded.pieces) == text.encode()
    assert encoded.start_tokens == 0
    ids = tuple(piece.id for piece in encoded.pieces)
    events = events_of(engine, ScoreRequest(ids=ids))
    assert [t.piece for t in scores_of(events).tokens] == [p.piece for p in encoded.pieces]
    summary = events[-1]
    assert isinstance(summary, ScoreSummary)
    assert summary.piece_bytes == len(text.encode())
    bits = -summary.logprob / math.log(2)
    assert summary.bits_per_byte() == pytest.approx(bits / len(text.encode()))


def test_a_text_that_the_model_cannot_read(engine: LocalEngine) -> None:
    failed = failure_of(engine, ScoreRequest(ids=(1, VOCABULARY)))
    assert (failed.kind, str(VOCABULARY) in failed.message) == ("usage", True)


def test_scoring_can_be_left_and_others_come_between(engine: LocalEngine) -> None:
    ids, other = draw_ids(120), draw_ids(120, seed=1)
    whole = scores_of(events_of(engine, ScoreRequest(ids=tuple(ids))))
    engine.decoder.prefill_chunk = 32  # type: ignore[misc]
    left = engine.inspect(ScoreRequest(ids=tuple(other)))
    assert isinstance(next(left), TokenScores)
    found = []
    for event in engine.inspect(ScoreRequest(ids=tuple(ids))):
        found.append(event)
        next(left, None)
    left.close()
    for one, same in zip(scores_of(found).tokens, whole.tokens, strict=True):
        assert one.logprob == pytest.approx(same.logprob, abs=1e-5)


def test_statistics_of_rows() -> None:
    """Against float64; ties count for lower ids; a logit of -inf is no probability."""
    generator = np.random.default_rng(0)
    logits = (generator.standard_normal((20, 999)) * 8).astype(np.float32)
    logits[1] = 3.0
    logits[2, ::3] = -np.inf
    logits[3] += 1e6
    targets = generator.integers(0, 999, 20)
    for row, target, found in zip(logits, targets, row_statistics(logits, targets), strict=True):
        exact = torch.from_numpy(row).double().log_softmax(0)
        p = exact.exp()
        entropy = -float(torch.where(p > 0, p * exact, 0.0).sum()) / math.log(2)
        assert found.logprob == pytest.approx(float(exact[target]), abs=1e-5)
        assert found.entropy_bits == pytest.approx(entropy, abs=1e-5)
        assert found.rank == reference_rank(torch.from_numpy(row), int(target))
    for value in (np.nan, np.inf):
        logits[0, 5] = value
        with pytest.raises(NotFiniteError):
            row_statistics(logits, targets)


def test_passes_are_short_while_a_reply_is_written(tmp_path: Path) -> None:
    engine = load(save(make(ARCHITECTURES["gpt2"]()), tmp_path))
    ids = tuple(draw_ids(POSITIONS))
    asked = ScoreRequest(ids=ids, start_token=False)
    alone = scores_of(events_of(engine, asked))
    batch = engine.new_batch(1, lambda error: Failed(kind="internal", message=str(error)))
    prompt = TokenPrompt(ids=ids[:4])
    batch.submit(GenerateRequest(prompt=prompt, max_tokens=8, ignore_eos=True))
    list(batch.step())
    events = list(engine.inspect(msgspec.structs.replace(asked, ids=ids[::-1])))
    parts = [event.tokens for event in events if isinstance(event, TokenScores)]
    assert max(map(len, parts)) == BESIDE_CHUNK < POSITIONS - 1
    # One such pass, then generations get as much of the time.
    frames = list[Any]()
    channel: Any = SimpleNamespace(
        closed=False, send_buffer=SimpleNamespace(
            drained=True, has_room=True, post=lambda frame, **_: frames.append(frame.event)
        ),
    )  # fmt: skip
    inspections = Inspections(lambda error: Failed(kind="internal", message=str(error)))
    inspections.begin(engine, channel, QueryInspection(call=1, request=asked))
    inspections._rest_until = math.inf
    inspections.step(is_beside=True)
    assert not frames
    inspections.step(is_beside=False)
    assert frames
    batch.close()
    while inspections.busy:
        inspections.step(is_beside=False)
    found = scores_of(frames)
    assert [t.rank for t in found.tokens] == [t.rank for t in alone.tokens]
    assert found.tokens[-1].logprob == pytest.approx(alone.tokens[-1].logprob, abs=1e-5)
