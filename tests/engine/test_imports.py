"""Imports of an engine, and when: a front end is on the screen before torch is there."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.engine.prompt.templates import CHATML
from tests.support.gpt2 import write_gpt2

HEAVY = ("torch", "transformers", "accelerate", "safetensors", "tokenizers", "numpy", "jinja2")


def imported(code: str) -> set[str]:
    """Which of the heavy packages a new interpreter has imported after `code`."""
    report = f"import sys, json; print(json.dumps([n for n in {HEAVY!r} if n in sys.modules]))"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{report}"], capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stdout))


@pytest.mark.parametrize(
    "module", ["api", "ipc.client", "generation.loader", "runtime.model_files"]
)
def test_what_a_front_end_imports_is_light(module: str) -> None:
    assert not imported(f"import gptterm.engine.{module}")


@pytest.mark.parametrize("chat_model", [False, True])
def test_gpt2_never_needs_transformers(chat_model: bool, tmp_path: Path) -> None:
    directory = write_gpt2(tmp_path / "model", chat_template=CHATML if chat_model else None)
    code = f"""
from gptterm.engine.api import ChatPrompt, GenerateRequest, LoadRequest, Message, ModelSource
from gptterm.engine.generation.loader import load_engine
engine = load_engine(LoadRequest(source=ModelSource(name="x", directory={str(directory)!r})))
prompt = ChatPrompt(messages=(Message(role="user", text="hello"),))
request = GenerateRequest(prompt=prompt, max_tokens=3, samples=2, ignore_eos=True)
events = list(engine.generate(request))
assert len(events) == 10, events
assert engine.info.decoder == "native"
"""
    found = imported(code)
    assert found - {"jinja2"} == {"tokenizers", "numpy"}
    assert ("jinja2" in found) == chat_model
