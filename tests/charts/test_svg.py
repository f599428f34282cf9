"""SVG: well-formed, self-contained, within its frame."""

import re
from xml.etree import ElementTree

import pytest

from gptterm.charts.svg import figure_svg
from tests.charts.figures import MARKUP, figure

SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("width", [20, 60, 80, 200])
@pytest.mark.parametrize(("side", "numbers"), [(1, True), (5, True), (9, False), (64, False)])
def test_it_is_xml_in_which_everything_is_inside_the_frame(
    width: int, side: int, numbers: bool
) -> None:
    root = ElementTree.fromstring(figure_svg(figure(width, side, numbers=numbers), width))
    right, bottom = float(root.attrib["width"]), float(root.attrib["height"])
    for group in root.findall(f"{SVG}g"):
        for element in group.iter(f"{SVG}text"):
            assert float(element.attrib["textLength"]) > 0
            assert float(element.attrib["x"]) + float(element.attrib["textLength"]) <= right
            assert float(element.attrib["y"]) <= bottom


def test_texts_are_texts_whatever_is_in_them() -> None:
    drawn = figure_svg(figure())
    root = ElementTree.fromstring(drawn)
    assert {element.tag.removeprefix(SVG) for element in root.iter()} <= {
        "svg", "g", "title", "style", "rect", "text", "path",
    }  # fmt: skip
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e\ufffe\uffff]", drawn)
    said = "".join(element.text or "" for element in root.iter(f"{SVG}title"))
    assert MARKUP.decode() in said


def test_nothing_is_loaded_and_nothing_runs() -> None:
    drawn = figure_svg(figure())
    for root in ElementTree.fromstring(drawn).iter():
        assert not any("href" in name or name.startswith("on") for name in root.attrib)
    assert "url(" not in drawn
    assert "@import" not in drawn


def test_it_is_light_or_dark_by_the_readers_preference() -> None:
    style = ElementTree.fromstring(figure_svg(figure())).find(f"{SVG}style")
    assert style is not None
    assert "@media(prefers-color-scheme:dark)" in (style.text or "")


def test_a_large_matrix_is_a_path_a_step() -> None:
    assert len(figure_svg(figure(0, 300))) < 1_500_000
    assert figure_svg(figure(0, 300)).count("<path") <= 7
