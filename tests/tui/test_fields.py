"""The stop texts of the sampling panel: read as `/stop` reads them, shown as they are typed."""

import pytest

from gptterm.conversation import commands
from gptterm.tui.fields import FIELDS, quote

STOP = next(field for field in FIELDS if field.name == "stop")


@pytest.mark.parametrize(
    ("typed", "texts"),
    [
        ("###", ("###",)),
        ('"né\\n"', ("né\n",)),
        ('"a" "b"', ("a", "b")),
        ('"\\t\\\\\\"" " "', ('\t\\"', " ")),
        ("né\\n", ("né\\n",)),
        ("bad\\x", ("bad\\x",)),
        ("off", ()),
    ],
)
def test_stop_texts_are_read_as_the_command_reads_them(typed: str, texts: tuple[str, ...]) -> None:
    assert STOP.parse(typed) == texts
    assert commands.parse_line(f"/stop {typed}") == commands.ChangeSetting("stop", texts)


@pytest.mark.parametrize(
    ("typed", "reason"),
    [('"a" ""', "must not be an empty text"), ("  ", "needs a text; off for none")],
)
def test_what_is_no_stop_text_is_refused_in_a_sentence(typed: str, reason: str) -> None:
    with pytest.raises(ValueError, match=f"^{reason}$"):
        STOP.parse(typed)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        (" ", '" "'),
        ("a  b", '"a  b"'),
        ("\n\t", '"\\n\\t"'),
        ("né\\n", '"né\\\\n"'),
        ('"漢"', '"\\"漢\\""'),
        ("\x1b[0m\u202e\u2028\xa0", '"\\u001b[0m\\u202e\\u2028\\u00a0"'),
        ("\U000e0001", '"\\udb40\\udc01"'),
    ],
)
def test_a_stop_text_is_shown_so_that_it_can_be_typed(text: str, written: str) -> None:
    assert quote(text) == written
    assert STOP.parse(written) == (text,)


def test_what_is_shown_for_no_stop_text_can_be_typed() -> None:
    assert STOP.parse(STOP.format(())) == ()
