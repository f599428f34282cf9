"""HTML: everything is text, nothing is obeyed, nothing is fetched."""

from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptterm.conversation.export import export
from gptterm.conversation.html import to_html
from gptterm.conversation.nodes import Generation
from gptterm.conversation.tree import Conversation
from gptterm.terminal import printable

ALLOWED = {"html", "head", "meta", "title", "style", "body", "h1", "h2", "article", "div",
           "footer", "time"}  # fmt: skip
ATTRIBUTES = {"lang", "charset", "name", "content", "http-equiv", "class", "dir", "datetime"}
ATTACKS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</div></article><iframe src=//evil.example>",
    "&lt;b&gt; &amp; &#60;",
    "{title} {0} {text.__class__}",
    "</style><style>@import '//evil.example'",
    "]]><!-- --!><svg/onload=x>",
    "\x1b[2J\x00\u202e\r\n\u2028",
]


class Reader(HTMLParser):
    """What a browser would make of it."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.texts: list[str] = []
        self._inside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in ALLOWED
        assert {name for name, _ in attrs} <= ATTRIBUTES
        if dict(attrs).get("class") == "text":
            self.texts.append("")
            self._inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._inside and tag == "div":
            self._inside.pop()

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.texts[-1] += data


def read(page: str) -> list[str]:
    reader = Reader()
    reader.feed(page)
    reader.close()
    return reader.texts


def chat_of(*texts: str) -> Conversation:
    chat = Conversation(texts[-1], clock=lambda: 0.0)
    for text in texts:
        reply = chat.begin_reply(chat.add_user(text), Generation(model=text))
        chat.append(reply, text)
        chat.finish(reply, "eos")
    return chat


@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_of_a_text_is_markup(attack: str) -> None:
    assert read(to_html(chat_of(attack))) == [printable(attack)] * 3


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_any_text_is_shown_as_itself(text: str) -> None:
    assert read(to_html(chat_of(text))) == [printable(text)] * 3


def test_it_is_written_by_its_ending(tmp_path: Path) -> None:
    chat = chat_of("Tell me about the moon")
    export(chat, tmp_path / "moon.html")
    page = (tmp_path / "moon.html").read_text()
    assert "<title>Tell me about the moon</title>" in page
    assert "1970-01-01 00:00 UTC" in page
    assert "http" not in page.replace("http-equiv", "")
    chat.title = "A <given> title"
    assert to_html(chat).count("A &lt;given&gt; title") == 2
