"""The ends of generations that were cut short."""

from hypothesis import given
from hypothesis import strategies as st

from gptterm.engine.api import Failed, Finished, GenerateRequest, TextPrompt, Token
from gptterm.engine.generation.event_tally import Tally
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
    tally = Tally(asked)
    shown, made = "", b""
    for event in ScriptedEngine(Script.saying(pieces)).generate(asked):
        if isinstance(event, Token):
            if shown_tokens == 0:
                break
            shown_tokens -= 1
            shown, made = shown + event.text, made + event.piece
        if isinstance(event, Finished):
            return
        tally.note(event)
    (end,) = tally.cancelled()
    assert not tally.cancelled()
    assert shown + end.text == made.decode(errors="replace")
    assert end.usage.prompt_tokens == 2


def test_pieces_that_do_not_spell_the_text_give_no_tail() -> None:
    tally = Tally(ask())
    tally.note(Token(sample=0, id=1, text="word", piece=b"_word"))
    tally.note(Token(sample=0, id=2, text="", piece=b"_more"))
    assert tally.cancelled()[0].text == ""


def test_only_unfinished_samples_get_an_end() -> None:
    tally = Tally(ask(samples=3))
    for event in ScriptedEngine(Script.saying("a")).generate(ask(samples=3)):
        tally.note(event)
        if isinstance(event, Finished) and event.sample == 1:
            break
    assert [end.sample for end in tally.cancelled()] == [2]


def test_a_failure_is_an_end() -> None:
    tally = Tally(ask())
    tally.note(Failed(kind="internal", message=""))
    assert not tally.cancelled()
