"""The pictures of the app in README and docs can be drawn again."""

from pathlib import Path

import pytest

from tools.pictures import draw_app, draw_writing


async def test_the_pictures_show_a_chat_with_the_bundled_model(tmp_path: Path) -> None:
    pictures = {
        path.name: path.read_text("utf-8").replace("&#160;", " ")
        for path in await draw_app(tmp_path)
    }
    svg, tints, inspect = (pictures[f"{name}.svg"] for name in ("chat", "tints", "inspect"))
    for shown in ("tiny", "temperature", "next token", "lantern"):
        assert shown in svg
    for shown in ("surprisal, bits", "·strong rank 3", "cut top-p"):
        assert shown in tints
    for shown in ("most attended", "induction"):
        assert shown in inspect
    assert "0.20" in svg, "the panel shows the model's own temperature, which it is sampled with"


@pytest.mark.slow
async def test_the_picture_of_write_mode_shows_its_parts(tmp_path: Path) -> None:
    (path,) = await draw_writing(tmp_path)
    svg = path.read_text("utf-8").replace("&#160;", " ")
    for shown in ("4 continuations", "surprisal, bits", "ppl", "H model"):
        assert shown in svg
