"""Imports that must not happen: the static contracts do not see lazy ones."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.llm_server import LlmServer, stream

PROBE = """
import json, os, sys
from gptterm import __main__
def report(code):
    print("\\n" + json.dumps([code, sorted({name.partition(".")[0] for name in sys.modules})]))
    sys.stdout.flush()
    sys.stderr.flush()
    real_exit(0)
real_exit, os._exit = os._exit, report
sys.argv = ["gptterm", *sys.argv[1:]]
__main__.main()
"""
HEAVY = {
    "torch", "transformers", "tokenizers", "safetensors", "accelerate", "numpy", "textual",
    "huggingface_hub", "rich", "httpx", "httpx2",
}  # fmt: skip


def _run(arguments: list[str], home: Path) -> tuple[int, set[str]]:
    """Run the command; return its exit code and the packages that were imported."""
    environment = {"PATH": "", "GPTTERM_HOME": str(home), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *arguments],
        env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=180,
        check=True,
    )  # fmt: skip
    code, modules = json.loads(done.stdout.splitlines()[-1])
    return code, set(modules)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--help"], 0),
        (["-h"], 0),
        (["--version"], 0),
        (["--nosuch"], 2),
        (["--temperature", "hot", "x"], 2),
        (["--top-k"], 2),
        (["nosuch\udcff"], 2),
    ],
)
def test_help_version_and_usage_errors_import_next_to_nothing(
    arguments: list[str], code: int, tmp_path: Path
) -> None:
    exit_code, modules = _run(arguments, tmp_path)
    assert exit_code == code
    assert not modules & (HEAVY | {"msgspec", "tomllib", "platformdirs", "asyncio", "sqlite3"})


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ([], 2),  # stdin is empty
        (["x", "--logprobs", "3"], 2),
        (["--preset", "nosuch", "x"], 2),
        (["config", "path"], 0),
        (["config", "--help"], 0),
        (["models", "--help"], 0),
        (["doctor", "--help"], 0),
    ],
)
def test_what_ends_before_a_model_is_wanted_imports_nothing_heavy(
    arguments: list[str], code: int, tmp_path: Path
) -> None:
    exit_code, modules = _run(arguments, tmp_path)
    assert exit_code == code
    assert not modules & HEAVY


def test_looking_for_a_model_needs_no_torch(tmp_path: Path) -> None:
    exit_code, modules = _run(["-m", "someone/nosuch", "x"], tmp_path)
    assert exit_code == 3
    assert not modules & {"torch", "transformers", "textual"}


def test_a_model_on_a_server_needs_none_here(tmp_path: Path) -> None:
    with LlmServer(stream("Hi"), models=[{"id": "m"}]) as server:
        exit_code, modules = _run(["--server", server.url, "--no-stdin", "x"], tmp_path)
    assert exit_code == 0
    assert not modules & HEAVY


def test_a_prompt_that_is_not_kept_needs_no_database_and_none_needs_torch(tmp_path: Path) -> None:
    prompt = ["-m", "tiny", "-n", "2", "--no-stdin", "a king"]
    unsaved, saved = (
        _run(arguments, tmp_path)[1] for arguments in (["--no-save", *prompt], prompt)
    )
    assert "sqlite3" not in unsaved
    # Else it is on the disk before its reply begins.
    assert "sqlite3" in saved
    for modules in (unsaved, saved):
        assert "tokenizers" in modules
        assert not modules & {"torch", "transformers", "accelerate", "safetensors"}


FIRST_FRAME = """
import asyncio, json, sys
from gptterm.config import load_settings
from gptterm.tui.app import GpttermApp
def begin(app):
    # The first frame is drawn, and nothing behind it has begun.
    with open(sys.argv[1], "w") as file:
        json.dump(sorted({name.partition(".")[0] for name in sys.modules}), file)
    app.exit()
GpttermApp._start = begin
asyncio.run(GpttermApp(load_settings({})).run_async(headless=True))
"""


def test_the_first_frame_needs_no_database_and_no_model(tmp_path: Path) -> None:
    environment = {"PATH": "", "GPTTERM_HOME": str(tmp_path)}
    report = tmp_path / "modules.json"
    subprocess.run(
        [sys.executable, "-c", FIRST_FRAME, str(report)],
        env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=180, check=True,
    )  # fmt: skip
    modules = set(json.loads(report.read_text()))
    assert "textual" in modules
    assert not modules & {"sqlite3", "torch", "transformers", "numpy", "huggingface_hub"}
    assert not modules & {"markdown_it", "pygments", "html", "aiohttp"}
