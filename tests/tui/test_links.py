"""Links that a terminal can open."""

import pytest

from gptterm.tui.widgets.transcript.markdown import parse_markdown
from tests.support.scripted import Script
from tests.tui.conftest import Open


@pytest.mark.parametrize(
    ("source", "styles"),
    [
        ("[a](https://example.org/x?y=1)", ["link https://example.org/x?y=1"]),
        ("<http://example.org>", ["link http://example.org"]),
        ("![picture](https://example.org/p.png)", ["link https://example.org/p.png"]),
        ("[a](ftp://example.org)", ["link"]),
        ("[a](/etc/passwd)", ["link"]),
        ("[a](https://example.org/\x1b]8;;x)", []),
    ],
)
def test_only_web_addresses_can_be_opened(source: str, styles: list[str]) -> None:
    spans = [span for line in parse_markdown(source) for span in line.spans]  # type: ignore[union-attr]
    found = [span.style for span in spans if span.style.startswith("link")]
    assert not [style for style in found if "\x1b" in style]
    assert found == styles or not styles


async def test_a_link_is_drawn_with_its_address(open_tui: Open) -> None:
    async with open_tui(Script.saying("See [the page](https://example.org/p).")) as desk:
        await desk.ready()
        await desk.say("hi")
        await desk.until(lambda: "the page (https://example.org/p)" in desk.text)
        links = [
            (segment.text, segment.style.link)
            for strip in desk.app.screen._compositor.render_strips()
            for segment in strip
            if segment.style is not None and segment.style.link
        ]
        assert links == [("the page", "https://example.org/p")]
