"""Single prompts that are killed at any moment."""

import os
import random
import time
from pathlib import Path

import pytest

from gptterm.store import ConversationSummary, History
from tests.cli.command import start
from tests.store.chats import check_integrity, texts
from tests.store.test_processes import LOST_S


@pytest.mark.slow
def test_killed_at_forty_moments(
    models: Path, env: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """While it starts, loads or writes: its prompt is kept once anything was shown."""
    path = Path(env["GPTTERM_HOME"], "history.db")
    dice, losses = random.Random(1), []
    for number in range(40):
        process = start(["-m", models / "slow", "-n", "500", "--no-stdin", f"king {number}"], env)
        assert process.stdout is not None
        shown: list[tuple[float, int]] = []
        for _ in range(dice.randrange(25)):
            data = os.read(process.stdout.fileno(), 1000)
            shown.append((time.monotonic(), (shown[-1][1] if shown else 0) + len(data)))
        process.kill()
        killed = time.monotonic()
        process.communicate()
        if shown:
            (summary,) = [each for each in summaries(path) if each.title == f"king {number}"]
            with History.open(path) as history:
                turns = texts(history.load(summary.id))
            kept_bytes = len(turns[1].encode()) if len(turns) > 1 else 0
            lost = [at for at, size in shown if size > kept_bytes]
            losses.append(killed - lost[0] if lost else 0.0)
    check_integrity(path)
    with capsys.disabled():
        print(f"\none-shots: lost of a reply: {1000 * max(losses):.0f} ms at most")  # noqa: T201
    assert max(losses) <= LOST_S


def summaries(path: Path) -> list[ConversationSummary]:
    with History.open(path) as history:
        return history.conversations()
