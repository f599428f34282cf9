"""The ends of generations that were cut short."""

from hypothesis import given
from hypothesis import strategies as st

from gptterm.engine.api import Failed, Finished, GenerateRequest, TextPrompt, Token
from gptterm.engine.generation.event_tally import EventTally
from tests.support.scripted import Script, ScriptedEngine


def ask(samples: int = 1, stop: tuple[str, ...] = ()) -> GenerateRequest:
    return GenerateRequest(prompt=TextPrompt(text="x y"), samples=samples, stop=stop)


@given(st.text(st.sampled_from("ab🦊é\n"), min_size=1), st.integers(1, 3), st.data())
def test_text_shown_and_text_held_back_are_all_there_is(
    text: str, width: int, data: st.DataObject
) -> None:
    raw = text.encode()
    pieces: list[str | bytes] = [raw[i : i + width] for i in range(0, len(raw), width)]
    shown_tokens = data.draw(st.integers(0, len(pieces)))
    asked = ask(stop=("ab\nab\nab\n🦊",))
    tally = EventTally(asked)
    shown, made = "", b""
    for event in ScriptedEngine(Script.saying(pieces)).generate(asked):
        if isinstance(event, Token):
            if shown_tokens == 0:
                break
            shown_tokens -= 1
            shown, made = shown + event.text, made + event.piece
        if isinstance(event, Finished):
            return
        tally.add(event)
    (end,) = tally.cancel()
    assert not tally.cancel()
    assert shown + end.text == made.decode(errors="replace")
    assert end.usage.prompt_tokens == 2


def test_pieces_that_do_not_spell_the_text_give_no_tail() -> None:
    tally = EventTally(ask())
    tally.add(Token(sample=0, id=1, text="word", piece=b"_word"))
    tally.add(Token(sample=0, id=2, text="", piece=b"_more"))
    assert tally.cancel()[0].text == ""


def test_only_unfinished_samples_get_an_end() -> None:
    tally = EventTally(ask(samples=3))
    for event in ScriptedEngine(Script.saying("a")).generate(ask(samples=3)):
        tally.add(event)
        if isinstance(event, Finished) and event.sample == 1:
            break
    assert [end.sample for end in tally.cancel()] == [2]


def test_a_failure_is_an_end() -> None:
    tally = EventTally(ask())
    tally.add(Failed(kind="internal", message=""))
    assert not tally.cancel()
