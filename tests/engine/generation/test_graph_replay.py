"""Decoding by replays of a captured step says what eager decoding says, or falls back to it.

What is captured is recorded from the very operations of the step and replayed over the same memory,
on the CPU; the faults are put into such recordings.
"""

import random
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from gptterm.engine.api import SamplingParams
from gptterm.engine.decoders.torch_backend.decoder import TorchDecoder
from gptterm.engine.generation.cuda_graph.decoding import StaticDecoding
from gptterm.engine.generation.cuda_graph.graph import CHECKED_REPLAYS, Graph
from gptterm.engine.generation.cuda_graph.step import DecodeStep
from gptterm.engine.generation.engine import LocalEngine
from gptterm.engine.sampling.chain import NotFiniteError
from tests.engine.checkpoints import ARCHITECTURES, POSITIONS, draw_ids, load, make, save, spread
from tests.engine.runs import GREEDY, Run, request, run
from tests.support.recorded_graph import RecordedGraph

IDS = draw_ids(POSITIONS)
SAMPLED = SamplingParams(temperature=1.1, top_k=50, top_p=0.9)
PENALISED = SamplingParams(
    temperature=1.2, repetition_penalty=1.3, frequency_penalty=0.3, logit_bias=((5, 3.0),)
)
Step = Callable[[], None]


@pytest.fixture(autouse=True)
def _(without_kernels: Callable[[], None]) -> None:
    """The kernels' work is none of torch's operations."""
    without_kernels()


def replaying(engine: LocalEngine, capture: Callable[[Step], Graph]) -> LocalEngine:
    assert isinstance(engine.decoder, TorchDecoder)
    engine.static = StaticDecoding(engine.decoder, capture)
    return engine


class Replays:
    """Captures, and counts the replays."""

    def __init__(self) -> None:
        self.captured = self.replayed = 0

    def __call__(self, step: Step) -> Graph:
        self.captured += 1
        return Counted(RecordedGraph(step), self)


class Counted:
    def __init__(self, graph: Graph, counts: Replays) -> None:
        self._graph, self._counts = graph, counts

    def replay(self) -> None:
        self._counts.replayed += 1
        self._graph.replay()


@pytest.mark.parametrize(
    ("name", "sampling", "samples"), spread([GREEDY, SAMPLED, PENALISED], [1, 3])
)
def test_replays_say_what_steps_say(
    name: str,
    sampling: SamplingParams,
    samples: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Over three buckets of the cache, with one graph for each."""
    monkeypatch.setattr("gptterm.engine.decoders.torch_backend.static_kv_cache._NARROWEST", 16)
    directory, replays = save(make(ARCHITECTURES[name]()), tmp_path), Replays()
    usual, fixed = load(directory), replaying(load(directory), replays)
    asked = request(IDS[:9], sampling=sampling, samples=samples, max_tokens=40)
    expected, found = run(usual, asked), run(fixed, asked)
    for i in range(samples):
        assert found.ids(i) == expected.ids(i)
    assert not caplog.records
    assert replays.captured == 3
    assert replays.replayed == 39 - 3  # the first of each runs eagerly


def test_a_request_after_another_replays_the_same_graph(saved: Path) -> None:
    replays = Replays()
    usual, fixed = load(saved), replaying(load(saved), replays)
    for seed in range(3):
        asked = request(IDS[:20], sampling=SAMPLED, seed=seed, max_tokens=30)
        assert run(fixed, asked).ids() == run(usual, asked).ids()
    assert replays.captured == 1


# ------------------------------------------------------------------------------------ faults


class Faulty:
    """A recording that goes wrong from its n-th replay on."""

    def __init__(self, step: Step, fault: Callable[[DecodeStep, Graph], None], after: int) -> None:
        self.owner: Any = getattr(step, "__self__", None)
        assert isinstance(self.owner, DecodeStep)
        self._graph, self._fault, self._left = RecordedGraph(step), fault, after

    def replay(self) -> None:
        if self._left:
            self._left -= 1
            self._graph.replay()
        else:
            self._fault(self.owner, self._graph)


def another_token(step: DecodeStep, graph: Graph) -> None:
    graph.replay()
    step.ids.add_(1).remainder_(step.logits.shape[1])


def another_input(step: DecodeStep, graph: Graph) -> None:
    step.ids.zero_()
    graph.replay()


def stale_logits(step: DecodeStep, graph: Graph) -> None:
    logits = step.logits.clone()
    graph.replay()
    step.logits.copy_(logits)


def no_keys(step: DecodeStep, graph: Graph) -> None:
    position = int(step.cache.position)
    graph.replay()
    step.cache.keys[:, :, :, position] = 0


def no_values_of_a_layer(step: DecodeStep, graph: Graph) -> None:
    position = int(step.cache.position)
    graph.replay()
    step.cache.values[1, :, :, position] = 0


def another_column(step: DecodeStep, graph: Graph) -> None:
    step.cache.position.sub_(1)
    graph.replay()
    step.cache.position.add_(1)


def a_column_too_many(step: DecodeStep, graph: Graph) -> None:
    graph.replay()
    step.cache.keys[:, :, :, int(step.cache.position) + 3] = torch.nan
    step.ids.zero_()


def no_progress(step: DecodeStep, graph: Graph) -> None:
    graph.replay()
    step.cache.position.sub_(1)


def not_counted(step: DecodeStep, graph: Graph) -> None:
    seen, counts = (x.clone() for x in step._past)
    graph.replay()
    step._past.seen.copy_(seen)
    step._past.counts.copy_(counts)


def the_same_random_number_again(step: DecodeStep, graph: Graph) -> None:
    graph.replay()
    step._next_uniform.sub_(1)


def nothing_at_all(_step: DecodeStep, _graph: Graph) -> None:
    pass


def not_a_number(step: DecodeStep, graph: Graph) -> None:
    graph.replay()
    step.logits[0, 7] = torch.nan


def failing(_step: DecodeStep, _graph: Graph) -> None:
    raise RuntimeError("CUDA error: operation not permitted")


FAULTS = [
    another_token,
    another_input,
    stale_logits,
    no_keys,
    no_values_of_a_layer,
    another_column,
    a_column_too_many,
    no_progress,
    not_counted,
    the_same_random_number_again,
    nothing_at_all,
    not_a_number,
    failing,
]


@pytest.fixture(scope="module")
def expected(saved: Path) -> Callable[[int], Run]:
    """Runs of a number of samples without a graph: the same for every fault."""

    @cache
    def expect(samples: int) -> Run:
        return run(load(saved), request(IDS[:20], sampling=SAMPLED, samples=samples, max_tokens=40))

    return expect


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("after", range(CHECKED_REPLAYS))
@pytest.mark.parametrize("samples", [1, 2])
def test_a_graph_that_goes_wrong_is_not_used(
    saved: Path,
    fault: Callable[[DecodeStep, Graph], None],
    after: int,
    samples: int,
    expected: Callable[[int], Run],
    caplog: pytest.LogCaptureFixture,
) -> None:
    fixed = replaying(load(saved), lambda step: Faulty(step, fault, after))
    asked = request(IDS[:20], sampling=SAMPLED, samples=samples, max_tokens=40)
    found = run(fixed, asked)
    for i in range(samples):
        assert found.ids(i) == expected(samples).ids(i)
        assert found.finished(i).usage == expected(samples).finished(i).usage
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "steps are launched one by one" in caplog.text


def test_a_number_baked_into_a_graph_is_noticed(
    saved: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A position read from the host is right where it was captured, and nowhere else."""
    monkeypatch.setattr(
        "gptterm.engine.decoders.torch_backend.static_kv_cache.StaticStep.positions",
        property(lambda step: torch.full((1,), step._cache.length)),
    )
    usual, fixed = load(saved), replaying(load(saved), RecordedGraph)
    asked = request(IDS[:20], sampling=SAMPLED, max_tokens=40)
    assert run(fixed, asked).ids() == run(usual, asked).ids()
    assert "does not compute what its step computes" in caplog.text


def test_a_step_that_waits_for_the_device_is_not_captured(
    saved: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    step = DecodeStep._step

    def waiting(self: DecodeStep) -> None:
        step(self)
        self.ids[0].item()

    monkeypatch.setattr(DecodeStep, "_step", waiting)
    usual, fixed = load(saved), replaying(load(saved), RecordedGraph)
    asked = request(IDS[:20], sampling=SAMPLED, max_tokens=40)
    assert run(fixed, asked).ids() == run(usual, asked).ids()
    assert "cannot be captured" in caplog.text


def test_where_cuda_makes_no_graph_steps_go_on(
    saved: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As on a CPU, where none can be made."""
    from gptterm.engine.generation.cuda_graph.graph import CudaCapture

    usual, fixed = load(saved), replaying(load(saved), CudaCapture())
    asked = request(IDS[:20], sampling=SAMPLED, max_tokens=50)
    assert run(fixed, asked).ids() == run(usual, asked).ids()
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "cannot be captured as a CUDA graph" in caplog.text


def test_logits_of_no_use_are_none_to_compare(
    saved: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The engine says so itself, by the id that stands for it."""
    fixed = replaying(load(saved), RecordedGraph)
    decoder = fixed.decoder
    assert isinstance(decoder, TorchDecoder)
    step: Any = decoder.step
    after = random.Random(0).randint(2, 4)
    calls = 0

    def failing_later(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        logits = step(*arguments, **options)
        return logits.fill_(torch.nan) if calls > after else logits

    monkeypatch.setattr(decoder, "step", failing_later)
    found = run(fixed, request(IDS[:20], sampling=SAMPLED, max_tokens=20))
    assert found.failed.message == str(NotFiniteError())
    assert not caplog.records
