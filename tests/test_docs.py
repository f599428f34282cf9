"""The pages of docs/: their commands run, as far as a machine without GPUs allows.

A scripted server of vLLM's dialect stands in for the cluster; vLLM and Ray are not installed.
"""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from gptterm.models import bundled
from tests.support.llm_server import LlmServer, stream

DOCS = Path(__file__).parent.parent / "docs"
PAGE = (DOCS / "from-laptop-to-cluster.md").read_text("utf-8")
COMMANDS = [
    line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()
]
SCRIPTS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
URL = "http://localhost:8000/v1"
MODELS = [{"id": "Qwen/Qwen3-32B", "owned_by": "vllm", "max_model_len": 40960}]


def run(command: list[str], folder: Path) -> "subprocess.CompletedProcess[str]":
    kept = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    places = {"GPTTERM_HOME": str(folder / "home"), "HF_HOME": str(folder / "hub")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        command, cwd=folder, env={**kept, **places, "HF_HUB_OFFLINE": "1", "PATH": path},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip


def test_the_commands_of_gptterm_run_in_their_order(tmp_path: Path) -> None:
    (tmp_path / "prompts.txt").write_text("The king\nThe queen\n")
    ours = [command for command in COMMANDS if command.startswith("gptterm ")]
    assert len(ours) == 8
    with LlmServer(stream("Hel", "lo"), models=MODELS) as server:
        for command in ours:
            done = run(shlex.split(command.replace(URL, server.url)), tmp_path)
            assert done.returncode == 0, f"{command}: {done.stderr}"
            assert "Traceback" not in done.stderr
        # Two lines, which the runs after the first find done.
        batch = [request for request in server.posts if request.body["max_tokens"] == 256]
    assert len((tmp_path / "results.jsonl").read_text().splitlines()) == 2
    assert len(batch) == 3


def test_the_other_commands_are_those_of_vllm_and_ray() -> None:
    others = [command for command in COMMANDS if not command.startswith("gptterm ")]
    assert [command.split()[:2] for command in others] == [
        ["vllm", "serve"], ["ray", "start"], ["ray", "start"], ["vllm", "serve"],
        ["vllm", "serve"], ["vllm", "serve"],
    ]  # fmt: skip
    for command in others:
        shlex.split(command)


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_runs_with_the_bundled_model(script: str, tmp_path: Path) -> None:
    local = script.replace('"gpt2-xl"', repr(bundled().directory))
    assert local != script
    done = run([sys.executable, "-c", local], tmp_path)
    assert done.returncode == 0, done.stderr
    assert "king" in done.stdout


def test_its_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)", PAGE):
        assert target.startswith("https://") or (DOCS / target).exists(), target
