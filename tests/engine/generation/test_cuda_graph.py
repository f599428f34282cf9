"""Decoding in fixed buffers against decoding as usual: the same logits, ids and events.

On the CPU, where the step that a GPU would replay runs as it is.
"""

import math
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from gptterm.engine.api import Dtype, Event, GenerateRequest, SamplingParams, Token
from gptterm.engine.decoders.torch_backend.decoder import TorchDecoder
from gptterm.engine.decoders.torch_backend.static_kv_cache import StaticKVCache
from gptterm.engine.generation.cuda_graph.decoding import StaticDecoding
from gptterm.engine.generation.cuda_graph.step import UNIFORMS, DecodeStep
from gptterm.engine.generation.engine import LocalEngine
from gptterm.engine.sampling.chain import NotFiniteError, TokenCounts
from tests.engine.checkpoints import (
    ARCHITECTURES,
    NATIVE,
    POSITIONS,
    VOCABULARY,
    draw_ids,
    feed,
    load,
    make,
    save,
    spread,
)
from tests.engine.runs import FREE, GREEDY, request, run, says
from tests.support.gpt2 import END_OF_TEXT

IDS = draw_ids(POSITIONS)
SAMPLED = SamplingParams(temperature=1.1, top_k=50, top_p=0.9)
NARROWEST = "gptterm.engine.decoders.torch_backend.static_kv_cache._NARROWEST"
"""Columns of the smallest bucket."""


@pytest.fixture(autouse=True)
def _(without_kernels: Callable[[], None]) -> None:
    without_kernels()


def static(engine: LocalEngine) -> LocalEngine:
    """The engine made to decode as it would on a GPU."""
    assert isinstance(engine.decoder, TorchDecoder)
    engine.static = StaticDecoding(engine.decoder)
    return engine


@pytest.fixture(params=NATIVE)
def directory(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return save(make(ARCHITECTURES[request.param]()), tmp_path)


@pytest.fixture
def pair(saved: Path) -> tuple[LocalEngine, LocalEngine]:
    """An engine as usual, and one in fixed buffers."""
    return load(saved), static(load(saved))


# ------------------------------------------------------------------------------ the model


@pytest.mark.parametrize(("name", "rows", "dtype"), spread([1, 3], ["float32", "bfloat16"]))
def test_the_logits_are_those_of_the_growing_cache(
    name: str,
    rows: int,
    dtype: Dtype,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """At every length: across buckets, and up to the last position."""
    monkeypatch.setattr(NARROWEST, 32)
    slack = 1e-4 if dtype == "float32" else 0.1
    decoder = load(save(make(ARCHITECTURES[name]()), tmp_path), dtype).decoder
    assert isinstance(decoder, TorchDecoder)
    past, usual = decoder.new_cache(), decoder.new_cache()
    for cache in (past, usual):
        feed(decoder, cache, IDS[:20])
    keys, values = (x.expand(-1, rows, -1, -1, -1).clone() for x in (past.keys, past.values))
    keys[:, :, :, 20:] = math.nan  # what memory may hold that was never written
    static_cache = StaticKVCache(keys, values)
    static_cache.rewind(20)
    buckets = set()
    expected = feed(decoder, usual, IDS[20:], last=len(IDS) - 20)
    for token_id, wanted in zip(IDS[20:], expected, strict=True):
        buckets.add(static_cache.bucket)
        logits = decoder.step(torch.full((rows,), token_id), static_cache)
        static_cache.length += 1
        assert torch.allclose(logits, wanted.expand(rows, -1), atol=slack, rtol=slack)
    assert buckets == {32, 64, 128}


def test_a_step_feeds_what_the_last_one_drew_and_counts_it(engine: LocalEngine) -> None:
    decoder = engine.decoder
    assert isinstance(decoder, TorchDecoder)
    past = decoder.new_cache()
    feed(decoder, past, IDS[:9])
    step = DecodeStep(decoder, StaticKVCache(past.keys, past.values))
    history = TokenCounts(IDS[:9])
    history.add(IDS[9])
    step.start(9, [IDS[9]], [history])
    step.set_sampling(SamplingParams(temperature=0, frequency_penalty=0.5))
    drawn = [IDS[9]]
    for _ in range(20):
        step.launch()
        drawn += step.ids.tolist()
    counts = step._past.counts[0]
    assert counts.sum() == 21
    assert all(counts[i] == drawn.count(i) for i in drawn)
    assert int(step.cache.position) == step.cache.length == 29


# ----------------------------------------------------------------------------- the engine


@pytest.mark.parametrize(
    "sampling",
    [
        GREEDY,
        FREE,
        SAMPLED,
        SamplingParams(temperature=0.9, top_k=0, top_p=1.0, min_p=0.05),
        SamplingParams(temperature=1.3, top_k=0, top_p=0.8, typical_p=0.9, order="llama"),
        SamplingParams(
            temperature=1.2,
            repetition_penalty=1.3,
            presence_penalty=0.4,
            frequency_penalty=0.3,
            logit_bias=((5, 3.0), (6, -math.inf)),
        ),
    ],
    ids=["greedy", "free", "sampled", "min-p", "llama", "penalised"],
)
@pytest.mark.parametrize("samples", [1, 4])
def test_the_same_events(
    pair: tuple[LocalEngine, LocalEngine], sampling: SamplingParams, samples: int
) -> None:
    asked = request(IDS[:20], sampling=sampling, samples=samples, max_tokens=80)
    usual, fixed = (run(engine, asked) for engine in pair)
    for i in range(samples):
        assert fixed.ids(i) == usual.ids(i)
        assert fixed.text(i) == usual.text(i)
        assert fixed.finished(i).usage == usual.finished(i).usage
    assert fixed.started == usual.started


def test_every_native_model_says_the_same(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over two buckets of the cache."""
    monkeypatch.setattr(NARROWEST, 32)
    asked = request(IDS[:20], sampling=SAMPLED, max_tokens=40, samples=2)
    usual, fixed = run(load(directory), asked), run(static(load(directory)), asked)
    assert [fixed.ids(0), fixed.ids(1)] == [usual.ids(0), usual.ids(1)]


def test_to_the_last_position(pair: tuple[LocalEngine, LocalEngine]) -> None:
    for sampling in (GREEDY, SAMPLED):
        asked = request(IDS[:20], max_tokens=POSITIONS, sampling=sampling)
        usual, fixed = (run(engine, asked) for engine in pair)
        assert fixed.ids() == usual.ids()
        assert len(fixed.ids()) == POSITIONS - 20


def test_the_next_turn_goes_on_from_what_is_cached(pair: tuple[LocalEngine, LocalEngine]) -> None:
    known = IDS[:20]
    for turn in range(3):
        asked = request(known, max_tokens=15, seed=turn, sampling=SAMPLED)
        usual, fixed = (run(engine, asked) for engine in pair)
        assert fixed.started == usual.started
        assert fixed.ids() == usual.ids()
        known = [*known, *fixed.ids(), IDS[turn]]
    assert fixed.started.reused_tokens > 40


@pytest.mark.parametrize("changes", [{"ignore_eos": False}, {"stop": ("lo, wor",)}])
def test_ends_are_found_behind_the_device(tmp_path: Path, changes: dict[str, Any]) -> None:
    """Tokens drawn after an end or a stop text are thrown away."""
    engines = [says(f"Hello, world.{END_OF_TEXT}", tmp_path / name) for name in ("usual", "static")]
    static(engines[1])
    asked = request([1, 2], max_tokens=40, samples=2, **changes)
    usual, fixed = (run(engine, asked) for engine in engines)
    for i in range(2):
        assert fixed.ids(i) == usual.ids(i)
        assert fixed.text(i) == usual.text(i)
        assert fixed.finished(i).reason == usual.finished(i).reason
        assert fixed.finished(i).reason in ("eos", "stop")


def test_sampling_changes_within_a_few_tokens(engine: LocalEngine) -> None:
    """The steps in flight are drawn as before; what is launched afterwards is not."""
    tokens = []
    for event in static(engine).generate(request(IDS[:20], max_tokens=60)):
        if isinstance(event, Token):
            tokens.append(event.id)
            if len(tokens) == 10:
                engine.set_sampling(SamplingParams(temperature=0, logit_bias=((77, 1000.0),)))
            elif len(tokens) == 30:
                engine.set_sampling(SAMPLED)
    assert 77 not in tokens[:10]
    assert set(tokens[13:30]) == {77}
    assert len(set(tokens[33:])) > 5


def test_greedy_steps_use_up_no_random_number(engine: LocalEngine) -> None:
    asked, tokens = request(IDS[:20], max_tokens=100, sampling=SAMPLED), 0
    for event in static(engine).generate(asked):
        if isinstance(event, Token):
            tokens += 1
            engine.set_sampling(GREEDY if 20 < tokens < 50 else SAMPLED)
    step = engine.static and engine.static._single
    assert step
    used = int(step._next_uniform)
    assert 64 < used < 80
    generator = random.Random(asked.seed)
    numbers = [generator.random() for _ in range(1 + 2 * UNIFORMS)]
    # The first was for the prompt's logits; of the rest, the second block is there.
    assert step._uniforms[0].tolist() == numbers[1 + UNIFORMS :]


def test_the_distribution_in_mid_flight(pair: tuple[LocalEngine, LocalEngine]) -> None:
    """Asked for after each token; what is generated afterwards does not notice."""
    asked = request(IDS[:20], max_tokens=30, sampling=SAMPLED)
    seen: list[list[tuple[int, float]]] = []
    for engine in pair:
        found = []
        for event in engine.generate(asked):
            if isinstance(event, Token):
                shown = engine.next_token(SAMPLED, limit=5)
                assert shown is not None
                found += [(c.id, round(c.used, 4)) for c in shown.candidates]
        seen.append(found)
    assert seen[0] == seen[1]
    assert run(pair[1], asked).ids() == run(pair[0], asked).ids()


def test_a_cancelled_generation_leaves_a_cache_of_use(
    pair: tuple[LocalEngine, LocalEngine],
) -> None:
    usual, fixed = pair
    asked = request(IDS[:20], max_tokens=60)
    events = fixed.generate(asked)
    kept = [event.id for event in _until(events, 25)]
    events.close()
    following = request([*IDS[:20], *kept, 3], max_tokens=20)
    found = run(fixed, following)
    assert found.started.reused_tokens >= 20 + 25 - 2
    assert found.ids() == run(usual, following).ids()


def _until(events: Iterator[Event], count: int) -> list[Token]:
    tokens: list[Token] = []
    while len(tokens) < count:
        if isinstance(event := next(events), Token):
            tokens.append(event)
    return tokens


def test_scores_are_left_to_the_usual_way(pair: tuple[LocalEngine, LocalEngine]) -> None:
    asked = request(IDS[:20], logprobs=3)
    usual, fixed = (run(engine, asked) for engine in pair)
    assert [t.alternatives for t in fixed.tokens()] == [t.alternatives for t in usual.tokens()]


@pytest.mark.parametrize(
    "number", [math.nan, math.inf, -math.inf], ids=["NaN", "infinity", "nothing"]
)
def test_unusable_logits_end_the_generation(
    engine: LocalEngine, number: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoder = static(engine).decoder
    assert isinstance(decoder, TorchDecoder)
    step: Any = decoder.step
    calls = 0

    def failing(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        logits: Tensor = step(*arguments, **options)
        return logits.fill_(number) if calls == 4 else logits

    monkeypatch.setattr(decoder, "step", failing)
    found = run(engine, request(IDS[:20], sampling=SAMPLED))
    assert found.failed.message == str(NotFiniteError())
    assert len(found.ids()) == 4


def test_every_token_banned(engine: LocalEngine) -> None:
    def asked(sampling: SamplingParams) -> GenerateRequest:
        return request(IDS[:20], sampling=sampling, max_tokens=30)

    banned = SamplingParams(logit_bias=tuple((i, -math.inf) for i in range(VOCABULARY)))
    tokens = 0
    for event in static(engine).generate(asked(SAMPLED)):
        tokens += isinstance(event, Token)
        if tokens == 5:
            engine.set_sampling(banned)
        last = event
    assert getattr(last, "message", "") == "every token is banned"
    assert tokens < 10


def test_on_a_cpu_nothing_is_gained_by_it(engine: LocalEngine) -> None:
    assert engine.static is None
