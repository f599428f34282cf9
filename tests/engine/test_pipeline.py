"""Whole requests on an engine: what is generated, what is said about it, and what may go wrong."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from msgspec.structs import replace
from torch import Tensor

from gptterm.engine.api import (
    ChatPrompt,
    Failed,
    Finished,
    GenerateRequest,
    Message,
    NextToken,
    Prefilled,
    SamplingParams,
    Started,
    TextPrompt,
    Token,
    Transcript,
)
from gptterm.engine.decoders.base import Cache, Decoder
from gptterm.engine.decoders.native import GPT2, KVCache
from gptterm.engine.decoders.transformers import LibraryCache
from gptterm.engine.pipeline import LocalEngine
from gptterm.engine.tokenizer_files import load_tokenizer
from gptterm.errors import OutOfMemoryError
from tests.engine.checkpoints import (
    ARCHITECTURES,
    POSITIONS,
    VOCABULARY,
    draw_ids,
    gpt2,
    load,
    make,
    reference,
    save,
)
from tests.engine.runs import FREE, GREEDY, Run, request, run
from tests.support.gpt2 import END_OF_TEXT, write_gpt2

IDS = draw_ids(60)


@pytest.fixture(scope="module")
def model() -> Any:
    return make(gpt2())


@pytest.fixture(scope="module")
def directory(model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(model, tmp_path_factory.mktemp("pipeline") / "gpt2")


@pytest.fixture
def engine(directory: Path) -> LocalEngine:
    return load(directory)


@pytest.fixture(params=["gpt2", "gpt1", "mistral", "mamba"])
def any_engine(request: pytest.FixtureRequest, tmp_path: Path) -> LocalEngine:
    return load(save(make(ARCHITECTURES[request.param]()), tmp_path))


def says(what: str | bytes, tmp_path: Path, **options: Any) -> LocalEngine:
    """An engine over a model that says the same thing over and over."""
    return load(write_gpt2(tmp_path / "says", says=what, **options))


# ------------------------------------------------------------------------------------ events


def test_the_order_of_events(engine: LocalEngine) -> None:
    found = run(engine, request(IDS[:10], max_tokens=3, samples=2))
    kinds = [type(event).__name__ for event in found.events]
    assert kinds == ["Started", "Prefilled", *["Token"] * 5, "Finished", "Token", "Finished"]
    assert [getattr(event, "sample", None) for event in found.events[2:]] == [
        0,
        1,
        0,
        1,
        0,
        0,
        1,
        1,
    ]


def test_what_is_said_at_the_start_and_at_the_end(engine: LocalEngine) -> None:
    asked = request(IDS[:10], seed=77)
    found = run(engine, asked)
    assert found.started == Started(
        prompt_tokens=10,
        reused_tokens=0,
        dropped_tokens=0,
        context_length=POSITIONS,
        seed=77,
        prompt_ids=tuple(IDS[:10]),
    )
    end = found.finished()
    assert (end.reason, end.stop) == ("length", None)
    assert (end.usage.prompt_tokens, end.usage.completion_tokens) == (10, 12)
    assert 0 < end.timings.first_token_s <= end.timings.total_s
    assert end.timings.tokens_per_s > 0
    assert run(engine, replace(asked, max_tokens=1)).finished().timings.tokens_per_s == 0


def test_the_text_is_the_decoding_of_the_ids(engine: LocalEngine, directory: Path) -> None:
    tokenizer = load_tokenizer(directory)
    for seed in range(5):
        found = run(engine, request(IDS[:10], sampling=FREE, seed=seed, max_tokens=60))
        whole = tokenizer.decode([*IDS[:10], *found.ids()])
        assert whole.endswith(found.text())
        assert b"".join(token.piece for token in found.tokens()) == b"".join(
            tokenizer.piece(i) for i in found.ids()
        )


def test_prefill_goes_by_chunks(engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = run(engine, request(IDS))
    monkeypatch.setattr(GPT2, "prefill_chunk", 16)
    again = run(engine, request([*IDS[:20], *IDS[:40]]))
    assert again.started.reused_tokens == 20
    assert [(p.done, p.total) for p in again.prefilled] == [(16, 40), (32, 40), (40, 40)]
    run(engine, request([5]))
    assert run(engine, request(IDS)).ids() == whole.ids()


# ------------------------------------------------------------------------------ prefix reuse


def test_a_known_beginning_is_reused_and_changes_nothing(
    any_engine: LocalEngine, tmp_path: Path
) -> None:
    first = run(any_engine, request(IDS[:30]))
    written = first.ids()
    longer = request([*IDS[:30], *written, 5, 6, 7])
    found = run(any_engine, longer)
    if any_engine.info.architecture != "MambaForCausalLM":
        # The last id was shown, but nothing needed it fed.
        assert found.started.reused_tokens == 30 + len(written) - 1
    assert found.finished().usage.reused_tokens == found.started.reused_tokens
    assert found.ids() == run(load(tmp_path), longer).ids()
    # Shorter, then another, then the first again.
    for asked in (request(IDS[:20]), request([*IDS[:20], 9, 9]), request(IDS[:30])):
        assert run(any_engine, asked).ids() == run(load(tmp_path), asked).ids()


def test_at_least_one_token_is_fed(engine: LocalEngine) -> None:
    first = run(engine, request(IDS[:30]))
    again = run(engine, request(IDS[:30]))
    assert again.started.reused_tokens == 29
    assert again.ids() == first.ids()


def test_nothing_is_reused_of_another_text(engine: LocalEngine) -> None:
    run(engine, request(IDS[:30]))
    assert run(engine, request([IDS[0] + 1, *IDS[1:30]])).started.reused_tokens == 0


def test_a_chat_goes_on_from_the_cache(tmp_path: Path) -> None:
    engine = says(" so it is.\nUser: x", tmp_path)
    question = Message(role="user", text="hello")
    asked = GenerateRequest(
        prompt=ChatPrompt(messages=(question,), transcript=Transcript(preamble="")),
        sampling=GREEDY,
        max_tokens=40,
    )
    found = run(engine, asked)
    assert found.finished().stop == "\nUser:"
    # The reply's ids without those of the stop text, as a conversation keeps them.
    pieces = [token.piece for token in found.tokens()]
    count = next(n for n in range(99) if b"".join(pieces[:n]).decode().strip() == found.text())
    reply = Message(role="assistant", text=found.text(), ids=tuple(found.ids()[:count]))
    more = (question, reply, Message(role="user", text="and?"))
    again = run(engine, replace(asked, prompt=replace(asked.prompt, messages=more)))
    # The stop text is how the next turn begins.
    assert again.started.reused_tokens == found.started.prompt_tokens + len(pieces) - 1


# ------------------------------------------------------------------------- samples and seeds


def test_samples_together_are_each_alone(any_engine: LocalEngine) -> None:
    asked = request(IDS[:20], sampling=FREE, samples=5, seed=40, max_tokens=25)
    together = run(any_engine, asked)
    assert len({tuple(together.ids(i)) for i in range(5)}) == 5
    for i in range(5):
        alone = run(any_engine, replace(asked, samples=1, seed=40 + i))
        assert alone.ids() == together.ids(i)
        assert alone.text() == together.text(i)
        assert alone.finished().reason == together.finished(i).reason


def test_samples_end_one_by_one(directory: Path) -> None:
    engine = load(directory)
    bias = replace(FREE, logit_bias=((VOCABULARY - 1, 2.0),))
    asked = request(IDS[:20], sampling=bias, samples=6, seed=3, max_tokens=40, ignore_eos=False)
    together = run(engine, asked)
    lengths = [together.finished(i).usage.completion_tokens for i in range(6)]
    assert len(set(lengths)) > 3
    for i in range(6):
        alone = run(engine, replace(asked, samples=1, seed=3 + i))
        assert alone.ids() == together.ids(i)
        assert alone.finished().reason == together.finished(i).reason


def test_a_seed_gives_the_same_again(engine: LocalEngine) -> None:
    asked = request(IDS[:10], sampling=SamplingParams(), seed=5)
    first = run(engine, asked)
    assert run(engine, asked).ids() == first.ids()
    assert run(engine, replace(asked, seed=6)).ids() != first.ids()


def test_a_seed_that_was_drawn_is_told(engine: LocalEngine) -> None:
    asked = request(IDS[:10], sampling=FREE, seed=None)
    first, second = run(engine, asked), run(engine, asked)
    assert first.started.seed != second.started.seed
    assert run(engine, replace(asked, seed=first.started.seed)).ids() == first.ids()


# -------------------------------------------------------------------- samplers in mid-stream


@pytest.mark.parametrize("samples", [1, 3])
def test_samplers_change_from_the_next_token_on(engine: LocalEngine, samples: int) -> None:
    asked = request(IDS[:10], samples=samples)
    usual = run(engine, asked)
    found = Run()
    for event in engine.generate(asked):
        found.events.append(event)
        if len(found.tokens(samples - 1)) == 5:
            engine.set_sampling(SamplingParams(temperature=0.0, logit_bias=((7, 1e4),)))
    for i in range(samples):
        assert found.ids(i) == [*usual.ids(i)[:5], *[7] * 7]
    # The next request has its own.
    assert run(engine, asked).ids() == usual.ids()


def test_penalties_see_prompt_and_output(engine: LocalEngine) -> None:
    asked = request(IDS[:10], max_tokens=60)
    repeated = run(engine, asked).ids()
    assert len(set(repeated)) < 60
    frequency = SamplingParams(temperature=0.0, frequency_penalty=1e4)
    found = run(engine, replace(asked, sampling=frequency)).ids()
    assert len(set(found)) == 60
    repetition = SamplingParams(temperature=0.0, repetition_penalty=1e6)
    found = run(engine, replace(asked, sampling=repetition)).ids()
    assert len(set(found) | set(IDS[:10])) == 60 + len(set(IDS[:10]))


# ------------------------------------------------------------------------------- how it ends


def test_a_stop_text_across_tokens(engine: LocalEngine) -> None:
    asked = request(IDS[:10], max_tokens=40, sampling=FREE)
    whole = run(engine, asked)
    text = whole.text()
    for start in range(0, len(text) - 3, 3):
        stop = text[start : start + 3]
        found = run(engine, replace(asked, stop=(stop, "never")))
        assert found.text() == text[: text.index(stop)]
        assert (found.finished().reason, found.finished().stop) == ("stop", stop)
        assert found.ids() == whole.ids()[: len(found.ids())]


def test_a_stop_text_inside_and_across_characters(tmp_path: Path) -> None:
    engine = says("a人工智能🌶 b".encode(), tmp_path)
    whole = run(engine, request([1, 2], max_tokens=60)).text()
    for stop in ("工", "人工", "🌶 ", "能🌶 b", "\N{REPLACEMENT CHARACTER}"):
        if stop in whole:
            found = run(engine, request([1, 2], max_tokens=60, stop=(stop,)))
            assert found.text() == whole[: whole.index(stop)]
            assert found.finished().stop == stop


def test_a_stop_text_that_is_only_begun_is_printed(tmp_path: Path) -> None:
    engine = says(" the king", tmp_path)
    asked = request([1, 2], max_tokens=20)
    text = run(engine, asked).text()
    found = run(engine, replace(asked, stop=(text[-4:] + "#",)))
    assert found.text() == text
    assert found.finished().text == text[-4:]
    assert found.finished().reason == "length"


def test_an_end_token_ends_the_text_and_is_no_part_of_it(tmp_path: Path) -> None:
    engine = says(f"hello{END_OF_TEXT}", tmp_path)
    found = run(engine, request([1], max_tokens=50, ignore_eos=False))
    end = found.finished()
    assert end.reason == "eos"
    assert end.usage.completion_tokens == len(found.ids())
    assert 383 not in found.ids()
    assert "hello".endswith(found.text())


def test_an_end_token_can_be_ignored(tmp_path: Path) -> None:
    engine = says(f"hello{END_OF_TEXT}", tmp_path)
    found = run(engine, request([1], max_tokens=50))
    assert found.finished().reason == "length"
    assert 383 in found.ids()
    assert len(found.ids()) == 50
    assert END_OF_TEXT not in found.text()
    assert "hellohello" in found.text()


def test_an_unfinished_character_comes_at_the_end(tmp_path: Path) -> None:
    engine = says("人".encode(), tmp_path)
    texts = {run(engine, request([1], max_tokens=n)).finished().text for n in range(2, 8)}
    assert texts == {"", "\N{REPLACEMENT CHARACTER}"}


def test_a_character_begun_in_the_prompt_is_finished(tmp_path: Path) -> None:
    engine = says("é".encode(), tmp_path)
    whole = [piece.id for piece in engine.tokenize("aé")]
    texts = {run(engine, request(whole[:n], max_tokens=3)).text() for n in (2, 3)}
    assert any(text.startswith("é") for text in texts)


def test_the_context_can_be_filled_to_the_last_position(engine: LocalEngine, model: Any) -> None:
    ids = draw_ids(POSITIONS - 12)
    found = run(engine, request(ids, max_tokens=64))
    assert found.started.dropped_tokens == 0 or len(found.started.prompt_ids) == POSITIONS - 64
    found = run(engine, request(ids, max_tokens=12))
    assert (found.started.dropped_tokens, len(found.ids())) == (0, 12)
    assert found.finished().reason == "length"
    # What would come after the last position there is can still be told.
    check_next(engine.next_token(FREE, VOCABULARY), reference(model, [*ids, *found.ids()]))


def test_a_transcripts_space_is_no_part_of_the_reply(tmp_path: Path) -> None:
    engine = says("  \n so", tmp_path)
    held = 0
    for length in range(6):
        messages = (Message(role="user", text="a" * length),)
        asked = GenerateRequest(prompt=ChatPrompt(messages=messages), sampling=GREEDY, max_tokens=9)
        found = run(engine, asked)
        first = found.tokens()[0]
        held += first.piece.isspace() and not first.text
        assert found.text()[0] in "so"
    assert held


# -------------------------------------------------------------------------------- what it saw


@pytest.mark.parametrize("samples", [1, 2])
def test_logprobs_are_the_models(engine: LocalEngine, model: Any, samples: int) -> None:
    asked = request(IDS[:10], sampling=SamplingParams(), logprobs=4, samples=samples)
    found = run(engine, asked)
    for sample in range(samples):
        ids = list(IDS[:10])
        for token in found.tokens(sample):
            expected = torch.log_softmax(reference(model, ids), 0)
            assert token.logprob == pytest.approx(float(expected[token.id]), abs=1e-4)
            best = torch.topk(expected, 4)
            assert [a.id for a in token.alternatives] == best.indices.tolist()
            values = [a.logprob for a in token.alternatives]
            assert values == pytest.approx(best.values.tolist(), abs=1e-4)
            assert values == sorted(values, reverse=True)
            assert token.alternatives[0].piece
            ids.append(token.id)


def test_logprobs_without_alternatives_and_none_at_all(engine: LocalEngine) -> None:
    assert run(engine, request(IDS[:10])).tokens()[0].logprob is None
    token = run(engine, request(IDS[:10], logprobs=0)).tokens()[0]
    assert token.logprob is not None
    assert token.alternatives == ()
    many = run(engine, request(IDS[:10], logprobs=10_000)).tokens()[0]
    assert len(many.alternatives) == VOCABULARY
    assert sum(math.exp(a.logprob) for a in many.alternatives) == pytest.approx(1, abs=1e-5)


# --------------------------------------------------------------------------- the next token


def check_next(found: NextToken | None, logits: Tensor) -> None:
    assert found is not None
    expected = torch.softmax(logits.double(), 0)
    for candidate in found.candidates:
        assert candidate.raw == pytest.approx(float(expected[candidate.id]), abs=1e-5)
    assert [c.raw for c in found.candidates] == sorted(c.raw for c in found.candidates)[::-1]


def test_the_next_token_after_a_generation(any_engine: LocalEngine, model: Any) -> None:
    assert any_engine.next_token(FREE) is None
    found = run(any_engine, request(IDS[:10]))
    if any_engine.info.decoder == "native":
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


# ------------------------------------------------------------------------------------ closing


@pytest.mark.parametrize("samples", [1, 3])
def test_closing_at_any_event_leaves_the_engine_right(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch, samples: int
) -> None:
    monkeypatch.setattr(GPT2, "prefill_chunk", 16)
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


# ------------------------------------------------------------------------------- what fails


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

    def forward(self, ids: Tensor, cache: Cache, *, logits: bool = True) -> Tensor | None:
        self._at -= 1
        if self._at == 0:
            # The layers have stored the tokens; that the pass was complete is not noted.
            length = cache.length
            self._decoder.forward(ids, cache)
            assert isinstance(cache, KVCache | LibraryCache)
            cache.length = length
            raise self._error
        return self._decoder.forward(ids, cache, logits=logits)


def fragile(directory: Path, at: int, error: BaseException) -> LocalEngine:
    sound = load(directory)
    broken: Any = Fragile(sound.decoder, at, error)
    return LocalEngine(broken, load_tokenizer(directory), sound.info)


@pytest.fixture(scope="module", params=["gpt2", "llama"])
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


@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("at", [1, 2, 3, 4, 5, 8])
def test_out_of_memory_is_an_event_and_the_next_request_works(
    either: Path, at: int, samples: int
) -> None:
    engine = fragile(either, at, no_memory())
    asked = request(IDS, samples=samples)
    expected = run(load(either), asked)
    found = run(engine, asked)
    assert found.failed.kind == "out_of_memory"
    assert found.failed.message.startswith("out of memory on cpu; ")
    # What was streamed before is right, and so is all that follows.
    assert found.events[1:-1] == expected.events[1 : len(found.events) - 1]
    again = run(engine, asked)
    for i in range(samples):
        assert again.ids(i) == expected.ids(i)


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
    assert (found.kind, found.message) == ("internal", "the model's logits are not finite numbers")


def test_closing_frees_the_model(engine: LocalEngine) -> None:
    run(engine, request(IDS[:10]))
    engine.close()
    assert engine.next_token(GREEDY) is None


def test_tokenize(engine: LocalEngine) -> None:
    pieces = engine.tokenize(f"the king{END_OF_TEXT}é")
    assert b"".join(piece.piece for piece in pieces) == f"the king{END_OF_TEXT}é".encode()
    assert 383 not in [piece.id for piece in pieces]
