"""Torch is imported without some of its parts, and is whole where they are needed."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.engine.checkpoints import ARCHITECTURES, make, save

GENERATE = """
import sys
from gptterm.engine.api import GenerateRequest, LoadRequest, ModelSource, TokenPrompt
from gptterm.engine.generation.loader import load_engine
source = ModelSource(name="x", directory=sys.argv[1])
engine = load_engine(LoadRequest(source=source, device="cpu", dtype=sys.argv[2]))
*_, last = engine.generate(GenerateRequest(prompt=TokenPrompt(ids=(1, 2, 3)), max_tokens=3))
assert type(last).__name__ == "Finished", last
print("torch._meta_registrations" in sys.modules, "transformers" in sys.modules)
"""
META = """
import sys
from gptterm.engine.runtime.torch_import import complete_torch, import_torch
import_torch()
import torch
assert "torch._meta_registrations" not in sys.modules
{}
x = torch.ones(2, 3, 8, 8, device="meta")
assert torch.nn.functional.avg_pool2d(x, 2).shape == (2, 3, 4, 4)
assert torch.linalg.cholesky_ex(x)[0].shape == (2, 3, 8, 8)
assert "torch._meta_registrations" in sys.modules
"""


def said(script: str, *arguments: str) -> str:
    command = [sys.executable, "-c", script, *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("architecture", "dtype", "loaded"),
    [
        ("gpt2", "float32", "False False"),
        ("gpt2", "bfloat16", "False False"),
        ("gpt2", "int8", "False False"),
        ("llama", "float32", "True True"),
    ],
)
def test_what_a_generation_imports(
    architecture: str, dtype: str, loaded: str, tmp_path: Path
) -> None:
    directory = save(make(ARCHITECTURES[architecture]()), tmp_path)
    assert said(GENERATE, str(directory), dtype) == loaded


@pytest.mark.parametrize(
    "made_whole",
    [
        "complete_torch()",
        "import torch._meta_registrations",
        "from torch._meta_registrations import meta_index_Tensor",
        "torch._meta_registrations.meta_index_Tensor",
    ],
)
def test_torch_is_whole_once_that_part_is_asked_for(made_whole: str) -> None:
    said(META.format(made_whole))


LATER = """
import sys
from gptterm.engine.runtime.torch_import import complete_torch, import_torch
import_torch()
import torch
for part, name in {
    "torch.distributions": "Normal",
    "torch.export": "export",
    "torch.masked": "masked_tensor",
    "torch.quantization": "QuantStub",
    "torch.utils.data": "DataLoader",
}.items():
    assert part not in sys.modules, part
    held = eval(part)
    exec(f'''{}''')
    exec(f"import {part}")
    whole = eval(part)
    assert whole is sys.modules[part] and whole is not held, part
    # Imported once, whoever holds what.
    assert getattr(held, name) is getattr(whole, name), part
"""


@pytest.mark.parametrize("asked", ["", "from {part} import {name}", "{part}.{name}"])
def test_a_part_is_there_for_whoever_asks_for_it(asked: str) -> None:
    said(LATER.replace("{}", asked))


def test_torch_is_completed_with_all_parts() -> None:
    said(
        "from gptterm.engine.runtime import torch_import; torch_import.import_torch();"
        "torch_import.complete_torch();"
        "import sys; assert set(torch_import._DEFERRED) <= sys.modules.keys()"
    )


def test_a_module_below_such_a_part_is_imported() -> None:
    said(
        "from gptterm.engine.runtime.torch_import import import_torch; import_torch();"
        "import torch.distributions.normal, torch.utils.data.sampler;"
        "assert torch.distributions.Normal is torch.distributions.normal.Normal"
    )


def test_another_version_is_imported_whole() -> None:
    """Its modules may import each other in an order that does not go on without these."""
    said(
        "from gptterm.engine.runtime import torch_import; torch_import._KNOWN = '0.1.';"
        "torch_import.import_torch();"
        "import sys; assert set(torch_import._DEFERRED) <= sys.modules.keys()"
    )


def test_torch_that_is_there_already_is_left_alone() -> None:
    said(
        "import sys, torch; from gptterm.engine.runtime.torch_import import import_torch;"
        "import_torch(); assert 'torch._meta_registrations' in sys.modules"
    )
