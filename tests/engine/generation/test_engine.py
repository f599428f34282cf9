"""Whole requests on an engine: what is generated, and what is said about it."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from msgspec.structs import replace

from gptterm.engine.api import (
    ChatPrompt,
    Finished,
    GenerateRequest,
    Message,
    SamplingParams,
    Started,
    Token,
    Transcript,
)
from gptterm.engine.decoders.native_decoder import NativeDecoder
from gptterm.engine.generation.engine import LocalEngine
from gptterm.engine.text.tokenizer_files import load_tokenizer
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


# ------------------------------------------------------------------------------------ events


def test_the_order_of_events(engine: LocalEngine) -> None:
    found = run(engine, request(IDS[:10], max_tokens=3, samples=2))
    kinds = [type(event).__name__ for event in found.events]
    assert kinds == ["Started", "Prefilled", *["Token"] * 5, "Finished", "Token", "Finished"]
    samples = [event.sample for event in found.events if isinstance(event, Token | Finished)]
    assert samples == [0, 1, 0, 1, 0, 0, 1, 1]


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


def test_the_text_is_the_decoding_of_the_ids(engine: LocalEngine, saved: Path) -> None:
    tokenizer = load_tokenizer(saved)
    for seed in range(5):
        found = run(engine, request(IDS[:10], sampling=FREE, seed=seed, max_tokens=60))
        whole = tokenizer.decode([*IDS[:10], *found.ids()])
        assert whole.endswith(found.text())
        assert b"".join(token.piece for token in found.tokens()) == b"".join(
            tokenizer.piece(i) for i in found.ids()
        )


def test_prefill_goes_by_chunks(engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = run(engine, request(IDS))
    monkeypatch.setattr(NativeDecoder, "prefill_chunk", 16)
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


def test_samples_end_one_by_one(saved: Path) -> None:
    engine = load(saved)
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
            assert token.rank == 1 + int((expected > expected[token.id]).sum())
            entropy = float(-(expected.exp() * expected).sum()) / math.log(2)
            assert token.entropy_bits == pytest.approx(entropy, abs=1e-4)
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


def test_tokenize(engine: LocalEngine) -> None:
    pieces = engine.tokenize(f"the king{END_OF_TEXT}é")
    assert b"".join(piece.piece for piece in pieces) == f"the king{END_OF_TEXT}é".encode()
    assert 383 not in [piece.id for piece in pieces]
