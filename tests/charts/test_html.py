"""HTML: every text escaped, nothing loaded, tags balanced."""

from html.parser import HTMLParser

import pytest

from gptterm.charts.html import figure_html
from tests.charts.figures import MARKUP, figure

VOID = {"meta", "br"}


class Page(HTMLParser):
    """Holds the tags balanced, and collects what a browser would see."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def parsed(side: int = 5) -> Page:
    page = Page()
    page.feed("".join(figure_html(figure(side, side))))
    page.close()
    return page


@pytest.mark.parametrize("side", [1, 5, 64])
def test_tags_are_balanced_and_none_is_the_models(side: int) -> None:
    page = parsed(side)
    assert page.open == []
    assert "script" not in page.tags
    assert MARKUP.decode() in page.text


def test_nothing_is_loaded_and_nothing_runs() -> None:
    page = parsed()
    names = {name for name, _ in page.attributes}
    assert not names & {"href", "src", "srcset", "action", "background"}
    assert not any(name.startswith("on") for name in names)
    policy = [value for name, value in page.attributes if name == "content"]
    assert "default-src 'none'; style-src 'unsafe-inline'" in policy


def test_control_characters_are_drawn_as_signs() -> None:
    text = parsed().text
    assert "␛]0;title␇" in text
    assert not set(text) & {"\x1b", "\x07", "\x00", "\u202e"}


def test_it_is_light_or_dark_by_the_readers_preference() -> None:
    assert "@media(prefers-color-scheme:dark)" in "".join(figure_html(figure()))
