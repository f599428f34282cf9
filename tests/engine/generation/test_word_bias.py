"""Words of any number of tokens, banned and biased: alone, in batches, while a text is written."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

import gptterm
from gptterm.engine.api import GenerateRequest, SamplingParams, TextPrompt
from gptterm.engine.decoders.torch_backend.decoder import TorchDecoder
from gptterm.engine.generation.cuda_graph.decoding import StaticDecoding
from gptterm.engine.generation.engine import LocalEngine
from gptterm.engine.inspection.answers import TokenView
from gptterm.engine.inspection.requests import TokenRequest
from tests.engine.checkpoints import load
from tests.engine.generation.test_live_batch import Live
from tests.engine.runs import GREEDY, run

TINY = Path(gptterm.__file__).parent / "models" / "tiny"
START = "Once upon a time there was a little fox. The"


@pytest.fixture(scope="module")
def tiny() -> LocalEngine:
    return load(TINY)


def asked(text: str = START, **changes: object) -> GenerateRequest:
    sampling = SamplingParams(temperature=0.9, top_k=40)
    request = GenerateRequest(
        prompt=TextPrompt(text=text), sampling=sampling, max_tokens=48, seed=5
    )
    return replace(request, **changes)


def banning(*words: str) -> SamplingParams:
    banned = tuple((word, -math.inf) for word in words)
    return SamplingParams(temperature=0.9, top_k=40, word_bias=banned)


def words_of(text: str) -> list[str]:
    return "".join(c.lower() if c.isalnum() else " " for c in text).split()


def test_a_banned_word_appears_in_no_sample_of_no_batch(tiny: LocalEngine) -> None:
    free = run(tiny, asked(samples=8))
    said = [words_of(free.text(i)) for i in range(8)]
    common = {word for words in said for word in words}
    longest = sorted(common, key=len)[-6:]
    assert any(len(tiny._tokenizer.encode(f" {word}")) > 1 for word in longest)
    sampling = banning("the", *longest)
    alone = [run(tiny, asked(sampling=sampling, seed=5 + i)) for i in range(2)]
    live = Live(tiny)
    many = live.submit(asked(sampling=sampling, samples=6))
    other = live.submit(asked())
    live.finish()
    for text in (*(one.text() for one in alone), *(live.runs[many].text(i) for i in range(6))):
        assert not {"the", *longest} & set(words_of(text))
    assert [live.runs[many].ids(i) for i in range(2)] == [one.ids() for one in alone]
    # A row beside it is as it was.
    assert live.runs[other].ids() == free.ids()


def test_a_word_that_the_prompt_has_begun(tiny: LocalEngine) -> None:
    word = "forest"
    for cut in range(1, len(word)):
        text = f"The fox ran into the {word[:cut]}"
        found = run(tiny, asked(text, sampling=replace(GREEDY, word_bias=((word, -math.inf),))))
        assert word not in words_of(text + found.text())


def test_from_the_next_token_on_and_likelier(tiny: LocalEngine) -> None:
    live = Live(tiny)
    number = live.submit(asked())
    live.step_until(number, 10)
    # Of several tokens: only the bias of those that begin it brings it about.
    word = "hippopotamus"
    assert len(tiny._tokenizer.encode(f" {word}")) > 2
    live.batch.set_sampling(number, replace(GREEDY, word_bias=((word, 60.0),)))
    live.finish()
    text = "".join(token.piece.decode() for token in live.runs[number].tokens()[10:])
    assert words_of(text).count(word) > 1
    live.batch.close()


def test_alternatives_say_that_a_word_is_banned(tiny: LocalEngine) -> None:
    ids = tuple(tiny._tokenizer.encode("The little fox ran into the"))
    request = TokenRequest(ids=ids, position=len(ids) - 1, sampling=banning("the"), limit=5)
    view = [event for event in tiny.inspect(request) if isinstance(event, TokenView)][-1]
    assert (view.used, view.cut) == (0, "ban")


def test_steps_that_run_ahead_of_the_host_give_way_to_it(
    without_kernels: Callable[[], None],
) -> None:
    without_kernels()
    engine = load(TINY)
    assert isinstance(engine.decoder, TorchDecoder)
    engine.static = StaticDecoding(engine.decoder)
    live = Live(engine)
    number = live.submit(asked(samples=2))
    live.step_until(number, 6)
    counts = [len(live.runs[number].ids(i)) for i in range(2)]
    live.batch.set_sampling(number, banning("the", "and", "a", "forest"))
    live.finish()
    for sample, count in enumerate(counts):
        # Two steps were on their way.
        text = b"".join(token.piece for token in live.runs[number].tokens(sample)[count + 2 :])
        assert not {"the", "and", "forest"} & set(words_of(text.decode())[1:])
