"""Ends that are part of a text: units, texts and expressions, in a stream however it is cut."""

import pytest

from gptterm.config.value_types import EndList
from gptterm.engine.api import GenerateRequest, TextPrompt
from gptterm.engine.text.text_end import text_end
from gptterm.engine.until import UntilMatcher, pattern
from gptterm.errors import UsageError
from tests.support.scripted import Script, ScriptedEngine

SLOW = r"/(a|aa)+$b/"
"""Exponential in the number of letters."""


def run(
    ends: tuple[str, ...], pieces: list[str], stops: tuple[str, ...] = ()
) -> tuple[str, str | None]:
    end = text_end(stops, ends)
    shown = "".join([end.push(piece) for piece in pieces]) + end.flush()
    return shown, end.matched


@pytest.mark.parametrize(
    ("end", "text", "shown"),
    [
        ("sentence", 'He said "no." Then 3.5 km.', 'He said "no."'),
        ("sentence", "3.5 km to go!? Yes", "3.5 km to go!?"),
        ("sentence", "狐は走った。次の日", "狐は走った。"),
        ("paragraph", "\n\nOne\ntwo.\n\nThree", "\n\nOne\ntwo."),
        ("paragraph", "One. \n \n  Two", "One."),
        ("line", "\n\n one \ntwo", "\n\n one"),
        ("end", "the end of it", "the end"),
        ("/[0-9]{2}/", "a 1 b 234", "a 1 b 23"),
        ("/(?i)THE/", "over the hill", "over the"),
        (".", "a.b", "a."),
        ("/", "a/b", "a/"),
    ],
)
def test_the_text_ends_behind_what_is_found(end: str, text: str, shown: str) -> None:
    assert run((end,), [text]) == (shown, end)
    assert run((end,), list(text)) == (shown, end)


def test_ends_beside_stop_texts_and_each_other() -> None:
    assert run(("line", "sentence"), ["a. b\nc"]) == ("a.", "sentence")
    assert run(("b",), ["a STOP b"], ("STOP",)) == ("a ", "STOP")
    assert run(("b",), ["a b STOP"], ("STOP",)) == ("a b", "b")
    # What was held back may be it, at the end of the stream.
    assert run(("ST",), ["a ", "ST"], ("STOP",)) == ("a ST", "ST")
    assert run(("x",), ["a", " ", "b\n"]) == ("a b\n", None)
    # What is shown already stays, though the expression looks far ahead.
    assert run(("/a(?=bc)/",), ["a", "b", "cd"]) == ("ab", "/a(?=bc)/")


@pytest.mark.parametrize(
    ("end", "why"),
    [
        ("/(/", "is no regular expression"),
        ("/x*/", "finds the empty one"),
        (f"/{'a' * 501}/", "at most 500 characters"),
        ("/(?P<a>x)(?P=b)/", "is no regular expression"),
    ],
)
def test_what_is_no_expression_is_refused(end: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        pattern(end)
    with pytest.raises(ValueError, match=why):
        EndList().validate([end])


def test_an_expression_that_takes_too_long_ends_the_generation_with_a_line() -> None:
    matcher = UntilMatcher((SLOW,))
    with pytest.raises(UsageError, match="takes too long on this text: write it simpler"):
        matcher.push("a" * 60)


def test_a_generation_ends_and_tells_by_what() -> None:
    engine = ScriptedEngine(Script.saying("One fox. Two owls."))
    request = GenerateRequest(prompt=TextPrompt(text="x"), until=("sentence",))
    *tokens, end = engine.generate(request)
    assert "".join(getattr(event, "text", "") for event in tokens) + end.text == "One fox."  # type: ignore[union-attr]
    assert (end.reason, end.stop) == ("stop", "sentence")  # type: ignore[union-attr]
