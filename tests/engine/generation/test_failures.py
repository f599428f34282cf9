"""Requests that cannot be met, and engines that break down in the middle of one."""

import copy
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from msgspec.structs import replace

from gptterm.engine.api import (
    ChatPrompt,
    Failed,
    Finished,
    GenerateRequest,
    SamplingParams,
    TextPrompt,
    Token,
)
from gptterm.engine.decoders.base import BatchedCache, Cache, Decoder, Ids, Logits
from gptterm.engine.generation.engine import LocalEngine
from gptterm.engine.sampling.chain import NotFiniteError
from gptterm.engine.text.tokenizer_files import load_tokenizer
from gptterm.errors import OutOfMemoryError
from tests.engine.checkpoints import (
    ARCHITECTURES,
    POSITIONS,
    VOCABULARY,
    draw_ids,
    gpt2,
    load,
    make,
    save,
)
from tests.engine.runs import GREEDY, request, run

IDS = draw_ids(60)


def failure(engine: LocalEngine, asked: GenerateRequest) -> Failed:
    found = run(engine, asked)
    assert not any(isinstance(event, Finished) for event in found.events)
    assert "\n" not in found.failed.message
    return found.failed


def test_requests_that_cannot_be_met(engine: LocalEngine) -> None:
    long = replace(request(draw_ids(POSITIONS)), overflow="error")
    banned = SamplingParams(logit_bias=tuple((i, -math.inf) for i in range(VOCABULARY)))
    for asked, kind, words in [
        (request([5, VOCABULARY]), "usage", f"token id {VOCABULARY} is not in [0, {VOCABULARY})"),
        (request([-1]), "usage", "token id -1"),
        (request([]), "usage", "empty"),
        (replace(request([]), prompt=TextPrompt(text="")), "usage", "empty"),
        (replace(request([]), prompt=ChatPrompt(messages=())), "usage", "at least one message"),
        (long, "prompt_too_long", "--overflow truncate"),
        (request([5], sampling=banned), "internal", "every token is banned"),
    ]:
        found = failure(engine, asked)
        assert found.kind == kind
        assert words in found.message
    assert run(engine, request(IDS[:10])).finished()


class Fragile:
    """A decoder that breaks down in the middle of one of its passes."""

    def __init__(self, decoder: Decoder, at: int, error: BaseException) -> None:
        self._decoder = decoder
        self._at = at
        self._error = error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._decoder, name)

    def forward(self, ids: Ids, cache: Cache | BatchedCache, *, last: int = 1) -> Logits | None:
        self._at -= 1
        if self._at == 0:
            # The layers have stored the tokens; that the pass was complete is not noted.
            before = copy.copy(vars(cache))
            self._decoder.forward(ids, cache)
            vars(cache).update(before)
            raise self._error
        return self._decoder.forward(ids, cache, last=last)


def fragile(saved: Path, at: int, error: BaseException) -> LocalEngine:
    sound = load(saved)
    broken: Any = Fragile(sound.decoder, at, error)
    return LocalEngine(broken, load_tokenizer(saved), sound.info)


@pytest.fixture(scope="module", params=["gpt2", "olmo"])
def either(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model for the native decoder, and one for the library's."""
    model = make(ARCHITECTURES[request.param]())
    return save(model, tmp_path_factory.mktemp("pipeline") / request.param)


def no_memory() -> RuntimeError:
    """As the CPU's allocator says it."""
    try:
        torch.empty(1 << 62, dtype=torch.uint8)
    except RuntimeError as error:
        return error
    raise AssertionError("four exabytes")


@pytest.mark.parametrize("at", [1, 2, 3, 4, 5, 8])
def test_out_of_memory_is_an_event_and_the_next_request_works(either: Path, at: int) -> None:
    engine = fragile(either, at, no_memory())
    asked = request(IDS)
    expected = run(load(either), asked)
    found = run(engine, asked)
    assert found.failed.kind == "out_of_memory"
    assert found.failed.message.startswith("out of memory on cpu; ")
    # What was streamed before is right, and so is all that follows.
    assert found.events[1:-1] == expected.events[1 : len(found.events) - 1]
    assert run(engine, asked).ids() == expected.ids()


def test_out_of_memory_while_looking_at_the_next_token(either: Path) -> None:
    engine = fragile(either, 3, no_memory())
    events = engine.generate(request(IDS[:10]))
    begun = [next(events) for _ in range(4)]
    assert isinstance(begun[-1], Token)
    with pytest.raises(OutOfMemoryError, match="out of memory on cpu"):
        engine.next_token(GREEDY)
    assert [type(event) for event in events] == [Failed]
    assert engine.next_token(GREEDY) is None
    assert run(engine, request(IDS[:10])).ids() == run(load(either), request(IDS[:10])).ids()


class Panic(BaseException):
    """As pyo3's PanicException, no Exception."""


@pytest.mark.parametrize("at", [1, 3])
def test_a_panic_of_a_native_library_ends_no_batch(either: Path, at: int) -> None:
    engine = fragile(either, at, Panic("called unwrap"))
    caught: list[BaseException] = []

    def on_error(error: BaseException) -> Failed:
        caught.append(error)
        return Failed(kind="internal", message=str(error))

    batch = engine.new_batch(4, on_error)
    for start in (0, 20):
        batch.submit(request(IDS[start : start + 20], max_tokens=4))
    events = list(iter(lambda: None if batch.idle else list(batch.step()), None))
    ends = [event for step in events for _, event in step if isinstance(event, Finished | Failed)]
    assert [type(error) for error in caught] == [Panic]
    assert len(ends) == 2
    assert any(isinstance(end, Finished) for end in ends)


@pytest.mark.parametrize("error", [RuntimeError("a bug"), KeyboardInterrupt()])
@pytest.mark.parametrize("at", [1, 4])
def test_any_other_error_is_not_hidden_and_does_no_harm(
    either: Path, error: BaseException, at: int
) -> None:
    engine = fragile(either, at, error)
    with pytest.raises(type(error)):
        run(engine, request(IDS[:10]))
    assert run(engine, request(IDS[:10])).ids() == run(load(either), request(IDS[:10])).ids()


def test_a_model_that_gives_no_numbers(tmp_path: Path) -> None:
    broken = make(gpt2())
    with torch.no_grad():
        broken.transformer.ln_f.weight[3] = math.nan
    found = failure(load(save(broken, tmp_path)), request(IDS[:10]))
    assert (found.kind, found.message) == ("model", str(NotFiniteError()))


def test_closing_frees_the_model(engine: LocalEngine) -> None:
    run(engine, request(IDS[:10]))
    engine.close()
    assert engine.next_token(GREEDY) is None
