"""Weights that are cut short while an engine of this process reads them."""

import subprocess
import sys
from pathlib import Path

from tests.support.gpt2 import write_gpt2

SCRIPT = """
import os, sys
from gptterm.engine.api import GenerateRequest, LoadRequest, ModelSource, TextPrompt
from gptterm.engine.generation.loader import load_engine
from gptterm.engine.kernels.bus_errors import report_bus_errors

directory = sys.argv[1]
report_bus_errors(os.dup(2), "the files were cut short: " + "é" * 2000, 3)
source = ModelSource(name="m", directory=directory)
engine = load_engine(LoadRequest(source=source, device="cpu", dtype="float32"))
print("loaded", flush=True)
os.truncate(os.path.join(directory, "model.safetensors"), 4096)
for event in engine.generate(GenerateRequest(prompt=TextPrompt(text="Once"), max_tokens=9)):
    pass
load_engine(LoadRequest(source=source, device="cpu", dtype="float32"))
"""


def test_one_line_and_an_exit_code(tmp_path: Path) -> None:
    model = write_gpt2(tmp_path / "m")  # float32, which is computed with where it lies
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(model)], capture_output=True, timeout=120, check=False
    )
    assert done.stdout == b"loaded\n"
    assert done.returncode == 3
    line = done.stderr.decode(errors="ignore")  # cut in the middle of a character
    assert line.startswith("the files were cut short: éé")
    assert line.endswith("\n")
    assert line.count("\n") == 1
    assert len(done.stderr) <= 1024
