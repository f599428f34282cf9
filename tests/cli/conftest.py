"""Fixtures: models and an environment for tests of the command."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.command import environment
from tests.support.daemon import private_runtime_directory
from tests.support.gpt2 import write_gpt2

GREETING = " Hello world, 人工智能科学家 and שלום, e\u0301 👩‍🔬."
ESCAPES = "red \x1b[31m bell \x07 back \x08 csi \x9b2J rtl \u202e."
TEMPLATE = (
    "{% for m in messages %}[{{ m.role }}] {{ m.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}[assistant]{% endif %}"
)


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory of models: `random`, `chat`, and rigged ones that say their names."""
    directory = tmp_path_factory.mktemp("models")
    write_gpt2(directory / "random")
    write_gpt2(directory / "greeting", says=GREETING)
    write_gpt2(directory / "escapes", says=ESCAPES)
    write_gpt2(directory / "halves", says="é".encode()[:1] + "人".encode()[:2])
    write_gpt2(directory / "chat", says=GREETING, chat_template=TEMPLATE)
    # Some 50 tokens a second, and seconds for a prompt that fills it.
    write_gpt2(
        directory / "slow", says=GREETING, layers=8, width=512, heads=8, positions=8192
    )  # fmt: skip
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """An environment with a home of its own."""
    home = tmp_path / "home"
    home.mkdir()
    return environment(home)


@pytest.fixture
def warm(
    env: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dict[str, str]]:
    """An environment with engines of its own, which are gone afterwards."""
    with private_runtime_directory(monkeypatch, tmp_path / "home"):
        yield env | {"XDG_RUNTIME_DIR": os.environ["XDG_RUNTIME_DIR"]}
