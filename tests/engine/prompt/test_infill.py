"""Fill in the middle: the prompt of models that have the tokens, its budget, and a generation."""

import math
from pathlib import Path

import msgspec
import pytest
from tokenizers import Tokenizer as Backend

from gptterm.engine.api import (
    Finished,
    GenerateRequest,
    MixedPrompt,
    SamplingParams,
    Started,
    TextPrompt,
    Token,
    TokenPrompt,
)
from gptterm.engine.prompt.context_budget import fit
from gptterm.engine.text.tokenizer import Tokenizer
from gptterm.engine.text.word_bias import for_next_token
from gptterm.errors import PromptTooLongError
from tests.engine import checkpoints
from tests.engine.text.vocabularies import backend
from tests.support.gpt2 import END_OF_TEXT

BEFORE, AFTER = "The king said", " and the queen laughed."
PROMPT = MixedPrompt(parts=(TextPrompt(text=BEFORE),), after=AFTER)


def with_tokens(*names: str, family: str = "byte-level", special: bool = True) -> Tokenizer:
    made = Backend.from_str(backend(family).to_str())
    (made.add_special_tokens if special else made.add_tokens)(list(names))
    end = made.token_to_id(END_OF_TEXT)
    return Tokenizer(made, frozenset() if end is None else frozenset([end]))


def request(**changes: object) -> GenerateRequest:
    return GenerateRequest(**{"prompt": PROMPT, "max_tokens": 8, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("names", "family", "special"),
    [
        (("<fim_prefix>", "<fim_suffix>", "<fim_middle>"), "byte-level", True),
        (("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"), "byte-level", False),
        (("▁<PRE>", "▁<SUF>", "▁<MID>", "▁<EOT>"), "llama", True),
        (("<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"), "llama", True),
    ],
)
def test_both_texts_stand_behind_their_tokens(
    names: tuple[str, ...], family: str, special: bool
) -> None:
    made = with_tokens(*names, family=family, special=special)
    prefix, suffix, middle = (made.token_id(name) for name in names[:3])
    fitted = fit(request(), made, 256, made.vocab_size)
    start = list(made.start_ids)
    before = made.encode(BEFORE)
    assert fitted.prompt.ids == [
        *start, prefix, *before, suffix, *made.encode(AFTER, "inside"), middle,
    ]  # fmt: skip
    assert fitted.notices == ()
    assert {prefix, suffix, middle} <= fitted.prompt.ends
    assert made.token_id(names[-1]) in fitted.prompt.ends
    # The prompt of another continuation begins the same: it is in the cache.
    longer = MixedPrompt(parts=(TextPrompt(text=f"{BEFORE} so"),), after=AFTER)
    other = fit(GenerateRequest(prompt=longer), made, 256, made.vocab_size)
    assert other.prompt.ids[: len(start) + 1 + len(before)] == [*start, prefix, *before]


def test_without_the_tokens_only_what_is_before_is_read() -> None:
    made = with_tokens("<fim_prefix>", "<fim_suffix>")
    assert made.infill is None
    assert fit(request(), made, 256, made.vocab_size).prompt.ids == made.encode(BEFORE)


def test_a_word_that_is_begun_before_the_middle_is_banned_there() -> None:
    made = with_tokens("<fim_prefix>", "<fim_suffix>", "<fim_middle>")
    banning = SamplingParams(word_bias=(("king", -math.inf), ("said so", -math.inf)))
    ids = fit(request(), made, 256, made.vocab_size).prompt.ids
    for drawn in ("", " so", " s"):
        more = made.encode(drawn, "inside") if drawn else []
        plain = [*made.encode(BEFORE), *more]
        in_middle = for_next_token(banning, [*ids, *more], made)
        assert in_middle == for_next_token(banning, plain, made)
    assert in_middle.logit_bias


def test_a_note_of_more_than_half_the_context_is_told() -> None:
    made = with_tokens("<fim_prefix>", "<fim_suffix>", "<fim_middle>")
    noted = msgspec.structs.replace(PROMPT, note="so " * 70)
    (notice,) = fit(request(prompt=noted), made, 256, made.vocab_size).notices
    assert "more than half" in notice


def test_what_is_far_from_the_place_is_dropped_and_told() -> None:
    made = with_tokens("<fim_prefix>", "<fim_suffix>", "<fim_middle>")
    before, after = made.encode(BEFORE), made.encode(AFTER, "inside")
    for context in range(12, len(before) + len(after) + 12):
        fitted = fit(request(), made, context, made.vocab_size)
        ids, reserve = fitted.prompt.ids, min(8, context // 2)
        assert len(ids) <= context - reserve
        at = ids.index(made.token_id("<fim_suffix>") or 0)
        head, tail = ids[1:at], ids[at + 1 : -1]
        assert before[len(before) - len(head) :] == head
        assert after[: len(tail)] == tail
        assert fitted.dropped_tokens == len(before) + len(after) - len(head) - len(tail)
        told = [notice for notice in fitted.notices if "before and after the place" in notice]
        assert bool(told) == bool(fitted.dropped_tokens)
        seen = f"the {len(head) + len(tail)} tokens nearest to it"
        assert all(notice.endswith(seen) for notice in told)
    with pytest.raises(PromptTooLongError, match="before and after the place"):
        fit(request(overflow="error"), made, 24, made.vocab_size)


def test_a_checkpoint_fills_the_middle(tmp_path: Path) -> None:
    names = ["<fim_prefix>", "<fim_suffix>", "<fim_middle>"]
    config = checkpoints.ARCHITECTURES["starcoder2"]()
    config.vocab_size += len(names)
    directory = checkpoints.save(checkpoints.make(config), tmp_path / "fim")
    file = str(directory / "tokenizer.json")
    made = Backend.from_file(file)
    made.add_special_tokens(names)
    made.save(file)
    engine = checkpoints.load(directory)
    assert engine.info.fills_middle
    greedy = SamplingParams(temperature=0)
    events = list(engine.generate(request(sampling=greedy, ignore_eos=True, seed=1)))
    started = events[0]
    assert isinstance(started, Started), events
    same = TokenPrompt(ids=started.prompt_ids)
    again = engine.generate(
        GenerateRequest(prompt=same, sampling=greedy, max_tokens=8, ignore_eos=True, seed=1)
    )
    drawn = [event.id for event in again if isinstance(event, Token)]
    assert [event.id for event in events if isinstance(event, Token)] == drawn
    # One of the tokens ends the middle, and is not shown.
    sign = started.prompt_ids[0]
    forced = SamplingParams(temperature=0, logit_bias=((sign, 100.0),))
    *_, end = engine.generate(request(sampling=forced))
    assert isinstance(end, Finished)
    assert (end.reason, end.text) == ("eos", "")
