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
           "footer", "time", "details", "summary"}  # fmt: skip
OF_MARKDOWN = {"p", "h3", "h4", "h5", "h6", "ul", "ol", "li", "blockquote", "hr", "table", "thead",
               "tbody", "tr", "th", "td", "strong", "em", "s", "a", "br", "code", "pre", "figure",
               "figcaption", "span"}  # fmt: skip
ATTRIBUTES = {"lang", "charset", "name", "content", "http-equiv", "class", "dir", "datetime",
              "href", "rel", "title", "start"}  # fmt: skip
ATTACKS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</div></article><iframe src=//evil.example>",
    "&lt;b&gt; &amp; &#60;",
    "{title} {0} {text.__class__}",
    "</style><style>@import '//evil.example'",
    "]]><!-- --!><svg/onload=x>",
    "\x1b[2J\x00\u202e\r\n\u2028",
    "[a](javascript:alert(1)) <javascript:x> ![b](data:image/svg+xml,x) [c](//evil.example 'o\"x')",
    '```"><script>\n</code></pre><b>\n```',
    "- <img src=x>\n\n|a|<b>|\n|-|-|\n|`<i>`|**<u>**|",
]


class Reader(HTMLParser):
    """Parser of the page, as a browser has one."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.texts: list[str] = []
        self._inside: list[str] = []
        self._in_markdown = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in (ALLOWED | OF_MARKDOWN if self._in_markdown else ALLOWED)
        assert {name for name, _ in attrs} <= ATTRIBUTES
        assert (dict(attrs).get("href") or "https://").startswith(("http://", "https://"))
        if dict(attrs).get("class") == "md":
            self._in_markdown = True
        if dict(attrs).get("class") == "text":
            self.texts.append("")
            self._inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag == "div":
            self._in_markdown = False
            if self._inside:
                self._inside.pop()

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.texts[-1] += data


def read(page: str) -> list[str]:
    reader = Reader()
    reader.feed(page)
    reader.close()
    return reader.texts


def chat_of(*texts: str, raw: bool = True) -> Conversation:
    """Each text said, and given as the reply to itself; the last one is the system text too."""
    chat = Conversation(texts[-1], clock=lambda: 0.0)
    for text in texts:
        reply = chat.begin_reply(chat.add_user(text), Generation(model=text, raw=raw))
        chat.append(reply, text)
        chat.finish(reply, "eos")
    return chat


@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_of_a_text_is_markup(attack: str) -> None:
    assert read(to_html(chat_of(attack))) == [printable(attack)] * 3


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_any_text_is_shown_as_itself(text: str) -> None:
    assert read(to_html(chat_of(text))) == [printable(text)] * 3


@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_of_markdown_is_markup_but_its_own(attack: str) -> None:
    assert read(to_html(chat_of(attack, raw=False))) == [printable(attack)] * 2


@given(st.text("ab <&>*_`~[]()!\n#|-+1.>:/\\\"'x", min_size=1, max_size=60))
def test_any_markdown_is_harmless(text: str) -> None:
    assert len(read(to_html(chat_of(text, raw=False)))) == 2


def test_markdown_is_drawn() -> None:
    reply = (
        "# Plan\n1. a **b**, `c`\n2. - [x] d\n\n```python\nx = 1 # <y>\n```\n"
        "[web](https://example.org/?a=1&b) ![pic](http://x)\n\n|a|\n|-:|\n|1|\n"
    )
    page = to_html(chat_of(reply, raw=False))
    for part in (
        '<h3 class="h1">Plan</h3>', "a <strong>b</strong>, <code>c</code>", "☑ </span>d",
        "<figcaption>python</figcaption>", '<span class="c-comment"># &lt;y&gt;</span>',
        '<a href="https://example.org/?a=1&amp;b" rel="noopener noreferrer">web</a>',
        '<a href="http://x" rel="noopener noreferrer">pic</a>', '<td class="right">1</td>',
    ):  # fmt: skip
        assert part in page


def test_other_versions_unfold_with_what_follows_them() -> None:
    chat = Conversation(clock=lambda: 0.0)
    first = chat.add_user("first")
    for text in ("one", "two"):
        reply = chat.begin_reply(first, Generation(model="some", raw=True))
        chat.append(reply, text)
        chat.finish(reply, "eos")
        chat.add_user(f"after {text}")
    page = to_html(chat)
    assert read(page) == ["first", "two", "one", "after one", "after two"]
    assert page.count("<details") == page.count("</details>") == 1
    assert page.index("after one") < page.index("</details>") < page.index("after two")
    # Versions of versions of versions.
    for number in range(1200):
        chat.select(chat.edit(first, str(number)))
        first = chat.add_user("deeper")
    assert to_html(chat).count("<article") == len(chat)


def test_it_is_written_by_its_ending(tmp_path: Path) -> None:
    chat = chat_of("Tell me about the moon")
    export(chat, tmp_path / "moon.html")
    page = (tmp_path / "moon.html").read_text()
    assert "<title>Tell me about the moon</title>" in page
    assert "1970-01-01 00:00 UTC" in page
    assert "http" not in page.replace("http-equiv", "")
    chat.title = "A <given> title"
    assert to_html(chat).count("A &lt;given&gt; title") == 2
