"""Styles: each widget's are computed once at a start."""

from collections import Counter

import pytest
from textual.css.stylesheet import Stylesheet
from textual.dom import DOMNode
from textual.widget import Widget

from tests.tui.conftest import Open


async def test_a_start_styles_each_widget_once(
    open_tui: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    styled: Counter[DOMNode] = Counter()
    apply = Stylesheet.apply

    def count(self: Stylesheet, node: DOMNode, **options: object) -> None:
        styled[node] += isinstance(node, Widget)
        apply(self, node, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Stylesheet, "apply", count)
    async with open_tui(size=(90, 24)) as desk:
        await desk.until(lambda: "gptterm" in desk.text)
        screen = desk.app.screen
        assert screen.has_class("-narrow")
        assert screen.has_class("-high")
        for widget in (desk.screen.transcript, desk.screen.status, desk.screen.sampling):
            assert styled[widget] == 1, widget
        await desk.pilot.resize_terminal(140, 40)
        await desk.until(lambda: screen.has_class("-wide") and screen.has_class("-tall"))
        assert not screen.has_class("-narrow")
