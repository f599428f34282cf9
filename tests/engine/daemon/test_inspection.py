"""Looking into the model of a warm engine, from the command line's client."""

import contextlib
import os
import signal
from pathlib import Path

import pytest

from gptterm.engine.api import (
    Failed,
    GenerateRequest,
    LoadRequest,
    ModelSource,
    SamplingParams,
    TextPrompt,
    Token,
    TokenPrompt,
)
from gptterm.engine.daemon.sync_client import DaemonEngine
from gptterm.engine.generation.loader import load_engine
from gptterm.engine.inspection.answers import (
    ScoreSummary,
    TokenScores,
    TokenView,
)
from gptterm.engine.inspection.requests import (
    EncodeRequest,
    InspectableEngine,
    InspectionRequest,
    ScoreRequest,
    TokenRequest,
)
from gptterm.engine.ipc import LOCAL_ENGINE
from tests.support.daemon import opened
from tests.support.gpt2 import write_gpt2
from tests.support.waiting import gone, wait_until

IDS = tuple(range(40, 100))
REQUESTS: list[InspectionRequest] = [
    EncodeRequest(prompt=TextPrompt(text="Once upon a time ☾")),
    ScoreRequest(ids=IDS, alternatives=2),
    TokenRequest(ids=IDS, position=30),
    TokenRequest(ids=(400,), position=0),
]


@pytest.fixture
def asked(tmp_path: Path, folder: Path) -> LoadRequest:
    del folder
    directory = write_gpt2(tmp_path / "model", positions=128)
    return LoadRequest(source=ModelSource(name="small", directory=str(directory)), device="cpu")


@pytest.fixture
def engine(asked: LoadRequest) -> DaemonEngine:
    return opened(asked, factory=LOCAL_ENGINE)


def test_the_same_answers_as_in_this_process(asked: LoadRequest, engine: DaemonEngine) -> None:
    assert isinstance(engine, InspectableEngine)
    local = load_engine(asked)
    for request in REQUESTS:
        assert list(engine.inspect(request)) == list(local.inspect(request))


def test_while_a_reply_streams_and_after_its_stop(engine: DaemonEngine) -> None:
    """It goes on as if nobody had looked."""
    request = GenerateRequest(
        prompt=TokenPrompt(ids=IDS[:20]), sampling=SamplingParams(), seed=1,
        max_tokens=40, ignore_eos=True,
    )  # fmt: skip
    usual = [event.id for event in engine.generate(request) if isinstance(event, Token)]
    found = []
    for event in engine.generate(request):
        if isinstance(event, Token):
            found.append(event.id)
            ids = (*IDS[:20], *found)
            *_, view = engine.inspect(TokenRequest(ids=ids, position=len(ids) - 1))
            assert isinstance(view, TokenView)
            assert view.score is not None
            assert view.score.id == event.id
    assert found == usual
    look = TokenRequest(ids=(*IDS[:20], *usual), position=30)
    seen = list(engine.inspect(look))
    with contextlib.closing(engine.generate(request)) as events:
        assert any(isinstance(event, Token) for event in events)
    assert list(engine.inspect(look))[-1] == seen[-1]


def test_an_inspection_is_left(engine: DaemonEngine) -> None:
    long = ScoreRequest(ids=IDS * 2000)
    for _ in range(2):
        with contextlib.closing(engine.inspect(long)) as events:
            assert isinstance(next(events), TokenScores)
        *_, summary = engine.inspect(ScoreRequest(ids=IDS))
        assert isinstance(summary, ScoreSummary)
        assert summary.scored == len(IDS)


def test_several_at_once(engine: DaemonEngine) -> None:
    """A long one is no obstacle, and is not disturbed."""
    request = ScoreRequest(ids=IDS * 10)
    usual = list(engine.inspect(request))
    long = engine.inspect(request)
    found = [next(long)]
    for i in range(10):
        *_, view = engine.inspect(TokenRequest(ids=IDS, position=i + 1))
        assert isinstance(view, TokenView)
        assert view.score is not None
        assert view.score.id == IDS[i + 1]
    assert [*found, *long] == usual


def test_an_engine_that_dies(engine: DaemonEngine) -> None:
    events = engine.inspect(ScoreRequest(ids=IDS * 2000))
    assert isinstance(next(events), TokenScores)
    pid = engine.info.warm_pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: gone(pid))
    assert isinstance(list(events)[-1], Failed)
    # Another one is started for the next request.
    *_, summary = engine.inspect(ScoreRequest(ids=IDS))
    assert isinstance(summary, ScoreSummary)
