"""The README's picture can be drawn again."""

from pathlib import Path

from tools.pictures import draw_chat


async def test_the_picture_shows_a_chat_with_the_bundled_model(tmp_path: Path) -> None:
    svg = (await draw_chat(tmp_path)).read_text("utf-8").replace("&#160;", " ")
    for shown in ("tiny", "temperature", "next token", "lantern"):
        assert shown in svg
    assert "0.20" in svg, "the panel shows the model's own temperature, which it is sampled with"
