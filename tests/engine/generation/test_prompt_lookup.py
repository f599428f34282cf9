"""Tokens fed on a guess: what is guessed, and that no text depends on it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gptterm.engine.api import NextToken, SamplingParams, Started, Token
from gptterm.engine.generation.engine import LocalEngine
from gptterm.engine.generation.prompt_lookup import MAX_DRAFT, PromptLookup
from tests.engine.checkpoints import VOCABULARY, draw_ids, gpt2, load, make, save
from tests.engine.runs import FREE, GREEDY, Run, request, run
from tests.support.gpt2 import END_OF_TEXT, write_gpt2

IDS = draw_ids(20)

# --------------------------------------------------------------------------- what is guessed


def test_nothing_is_guessed_where_nothing_repeats() -> None:
    lookup = PromptLookup()
    for length in range(1, 300):
        assert lookup.draft(range(length), 1000) == []


def test_a_repetition_is_followed_further_the_longer_it_goes_on() -> None:
    lookup, text = PromptLookup(), [*range(50), *range(50)]
    drafts = [lookup.draft(text[:length], 1000) for length in range(1, 81)]
    assert drafts[:53] == [[]] * 53
    for length, draft in enumerate(drafts[53:], 54):
        assert draft == text[length : length + min(length - 53, MAX_DRAFT)]


def test_a_circle_is_gone_round_and_round() -> None:
    text = [1, 2, 3] * 10
    assert PromptLookup().draft(text, 1000) == [1, 2, 3, 1, 2, 3, 1]
    assert PromptLookup().draft([5] * 30, 1000) == [5] * MAX_DRAFT


def test_wrong_guesses_make_drafts_shorter_and_end_them() -> None:
    text = [*range(40), *range(30)]  # 27 were right
    lengths = []
    for i in range(6):
        lengths.append(len(PromptLookup().draft(text, 1000)))
        text += [1000 + i, 0, 1, 2]
    assert lengths == [MAX_DRAFT, MAX_DRAFT, 6, 3, 1, 0]


@given(st.lists(st.integers(0, 2), max_size=80), st.integers(0, 12))
def test_drafts_do_not_depend_on_when_they_were_asked_for(ids: list[int], room: int) -> None:
    watching = PromptLookup()
    for length in range(len(ids) + 1):
        draft = watching.draft(ids[:length], len(ids) + room)
        assert len(draft) <= min(MAX_DRAFT, len(ids) + room - length)
    assert PromptLookup().draft(ids, len(ids) + room) == draft


# -------------------------------------------------------------------- that it changes nothing


class Both:
    """Two int8 engines over one model, of which one feeds no drafts."""

    def __init__(self, directory: Path) -> None:
        self.drafting, self.plain = load(directory, "int8"), load(directory, "int8")
        assert self.drafting.decoder.supports_speculation
        self.plain.decoder.supports_speculation = False  # type: ignore[misc]
        self.passes = 0
        forward = self.drafting.decoder.forward

        def counted(*args: object, **options: object) -> object:
            self.passes += 1
            return forward(*args, **options)  # type: ignore[arg-type]

        self.drafting.decoder.forward = counted  # type: ignore[method-assign,assignment]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(make(gpt2(n_positions=512)), tmp_path_factory.mktemp("drafting") / "gpt2")


@pytest.fixture
def both(directory: Path) -> Both:
    return Both(directory)


def same(one: Run, other: Run) -> bool:
    """Token for token, and bit for bit what is said of each."""
    return (one.tokens(), one.finished().reason, one.finished().stop) == (
        other.tokens(),
        other.finished().reason,
        other.finished().stop,
    )


REPEATING = request([*IDS, *IDS, *IDS], max_tokens=150, logprobs=3)


@pytest.mark.parametrize(
    "sampling",
    [
        GREEDY,
        FREE,
        SamplingParams(temperature=0.3, top_k=0, min_p=0.1),
        SamplingParams(temperature=0.2, top_k=5),
        SamplingParams(temperature=0.0, repetition_penalty=1.02),
        SamplingParams(temperature=0.3, top_k=8, typical_p=0.8, presence_penalty=0.1),
    ],
)
def test_the_text_is_the_same_bit_for_bit(both: Both, sampling: SamplingParams) -> None:
    for seed in range(3):
        asked = replace(REPEATING, sampling=sampling, seed=seed)
        assert same(run(both.drafting, asked), run(both.plain, asked))


def test_repeating_text_takes_fewer_passes(tmp_path: Path) -> None:
    engines = Both(write_gpt2(tmp_path, says="so it is and so it will be. "))
    asked = request(IDS[:5], max_tokens=100)
    assert same(run(engines.drafting, asked), run(engines.plain, asked))
    assert engines.passes < 65


def test_samplers_change_and_the_next_token_is_looked_at_in_between(both: Both) -> None:
    def looked_at(engine: LocalEngine) -> tuple[list[int], list[NextToken | None]]:
        ids: list[int] = []
        seen = []
        for event in engine.generate(replace(REPEATING, max_tokens=60)):
            if isinstance(event, Token):
                ids.append(event.id)
                if len(ids) % 7 == 0:
                    seen.append(engine.next_token(GREEDY, 3))
                if len(ids) == 30:
                    engine.set_sampling(SamplingParams(temperature=0.5))
                if len(ids) == 45:
                    engine.set_sampling(GREEDY)
        return ids, [*seen, engine.next_token(FREE, VOCABULARY)]

    assert looked_at(both.drafting) == looked_at(both.plain)


def test_it_ends_where_it_would_end(both: Both) -> None:
    whole = run(both.plain, REPEATING).text()
    for at in range(5, len(whole) - 8, 23):
        asked = replace(REPEATING, stop=(whole[at : at + 4],))
        assert same(run(both.drafting, asked), run(both.plain, asked))
    for count in range(1, 40):
        asked = replace(REPEATING, max_tokens=count)
        assert same(run(both.drafting, asked), run(both.plain, asked))
    # To the last position that there is.
    long = request((IDS * 30)[:500], max_tokens=100)
    found = run(both.drafting, long)
    assert same(found, run(both.plain, long))
    assert found.started.prompt_tokens + len(found.ids()) == 512


def test_closing_anywhere_leaves_the_cache_right(both: Both) -> None:
    for count in range(1, 60, 4):
        events = both.drafting.generate(REPEATING)
        begun = [next(events) for _ in range(count)]
        events.close()
        written = [event.id for event in begun if isinstance(event, Token)]
        prompt = [*IDS, *IDS, *IDS, *written, 7]
        found = run(both.drafting, request(prompt, max_tokens=20))
        assert found.ids() == run(both.plain, request(prompt, max_tokens=20)).ids()
        if written:
            assert found.started.reused_tokens >= len(prompt) - 2
        assert isinstance(found.events[0], Started)


def test_an_end_token_among_what_repeats(tmp_path: Path) -> None:
    engines = Both(write_gpt2(tmp_path, says=f"{'abc' * 20}{END_OF_TEXT}"))
    asked = request(IDS[:1], max_tokens=120, ignore_eos=False)
    found = run(engines.drafting, asked)
    assert found.finished().reason == "eos"
    assert same(found, run(engines.plain, asked))
