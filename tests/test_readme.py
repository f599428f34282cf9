"""Every command of the README does what it says, as written."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.store.imports.exports import EXPORTS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
COMMANDS = [
    line.split("  #")[0].strip() for block in BLOCKS for line in block.splitlines() if line.strip()
]
NEEDS = {
    "make": "sets up an environment of its own; CI runs it",
    "gptterm models pull": "needs the Hub",
    "gptterm --server": "needs a server",
    "gptterm doctor --server": "needs a server",
    "gptterm batch --server": "needs a server",
    "gptterm -m openai/": "needs a key",
}


def _runs_here(command: str) -> bool:
    return not any(command.startswith(start) or f"| {start}" in command for start in NEEDS)


@pytest.mark.parametrize("command", [command for command in COMMANDS if _runs_here(command)])
def test_a_command_of_the_readme_works(command: str, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("The fox found a lantern.\n")
    (tmp_path / "prompts.txt").write_text("The king\nThe queen\n")
    (tmp_path / "chats").mkdir()
    for exported in ("conversations.json", "chats/conversations.json"):
        (tmp_path / exported).write_text(json.dumps(EXPORTS["chatgpt"]))
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    places = {
        "HF_HOME": str(tmp_path / "hub"),
        "HF_HUB_OFFLINE": "1",
        "GPTTERM_HOME": str(tmp_path / "home"),
    }
    done = subprocess.run(
        ["sh", "-euc", command],
        cwd=tmp_path,
        env={**os.environ, "PATH": path, **places},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (done.stdout + done.stderr).strip()
    assert "Traceback" not in done.stderr


def test_the_readme_shows_commands_that_are_run() -> None:
    assert sum(map(_runs_here, COMMANDS)) >= 12


def test_the_files_that_the_readme_names_are_there() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target
