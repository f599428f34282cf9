"""Draw the README's picture: the real app, the bundled model, a chat of one turn.

    python -m tools.pictures [DIRECTORY]

Writes DIRECTORY/chat.svg (by default into assets/). The reply is the same every time, since the
seed is fixed; only the rates in the status line differ.
"""

import asyncio
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from gptterm.config import load_settings
from gptterm.tui.app import GpttermApp

SIZE = (116, 34)
ASKED = "Tell me a story about a fox and a lantern."
PATIENCE_S = 60


async def draw_chat(directory: Path) -> Path:
    """Ask the bundled model for a story and save the screen."""
    # No settings and no chats of whoever draws it.
    with TemporaryDirectory() as home, patch.dict(os.environ, GPTTERM_HOME=home):
        return await _draw(directory)


async def _draw(directory: Path) -> Path:
    settings = load_settings({"model": "tiny", "seed": 7, "offline": True})
    app = GpttermApp(settings, ASKED)
    async with app.run_test(size=SIZE) as pilot, asyncio.timeout(PATIENCE_S):
        while app.controller.reply is None or app.controller.replying is not None:
            await pilot.pause(0.1)
        await pilot.pause(0.5)  # the distribution after the last token
        app.save_screenshot("chat.svg", str(directory))
    return directory / "chat.svg"


def main() -> None:
    """Draw the picture into the directory given on the command line."""
    directory = Path(sys.argv[1] if len(sys.argv) > 1 else "assets")
    directory.mkdir(parents=True, exist_ok=True)
    print(asyncio.run(draw_chat(directory)))


if __name__ == "__main__":
    main()
