"""Running requests on an engine and looking at what came out."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from gptterm.engine.api import (
    Engine,
    Event,
    Failed,
    Finished,
    GenerateRequest,
    Prefilled,
    SamplingParams,
    Started,
    Token,
    TokenPrompt,
)
from gptterm.engine.generation.engine import LocalEngine
from tests.engine.checkpoints import load
from tests.support.gpt2 import write_gpt2

GREEDY = SamplingParams(temperature=0.0)
FREE = SamplingParams(temperature=1.0, top_k=0, top_p=1.0)


@dataclass
class Run:
    """The events of one generation, sorted out."""

    events: list[Event] = field(default_factory=list)

    @property
    def started(self) -> Started:
        return next(event for event in self.events if isinstance(event, Started))

    @property
    def prefilled(self) -> list[Prefilled]:
        return [event for event in self.events if isinstance(event, Prefilled)]

    @property
    def failed(self) -> Failed:
        assert isinstance(self.events[-1], Failed)
        return self.events[-1]

    def tokens(self, sample: int = 0) -> list[Token]:
        return [e for e in self.events if isinstance(e, Token) and e.sample == sample]

    def ids(self, sample: int = 0) -> list[int]:
        return [token.id for token in self.tokens(sample)]

    def finished(self, sample: int = 0) -> Finished:
        (end,) = (e for e in self.events if isinstance(e, Finished) and e.sample == sample)
        return end

    def text(self, sample: int = 0) -> str:
        streamed = "".join(token.text for token in self.tokens(sample))
        return streamed + self.finished(sample).text


def request(ids: Iterable[int], **changes: Any) -> GenerateRequest:
    """A greedy request of 12 tokens after `ids`, unless changed."""
    plain = GenerateRequest(
        prompt=TokenPrompt(ids=tuple(ids)), sampling=GREEDY, max_tokens=12, ignore_eos=True, seed=1
    )
    return replace(plain, **changes)


def run(engine: Engine, asked: GenerateRequest) -> Run:
    return Run(list(engine.generate(asked)))


def says(what: str | bytes, tmp_path: Path, **options: Any) -> LocalEngine:
    """An engine over a model that says the same thing over and over."""
    return load(write_gpt2(tmp_path / "says", says=what, **options))
