"""docs/models.md: what its tables say of models and types, held against the code and its tests."""

import re
from pathlib import Path

from gptterm.engine.decoders.config_parsers.registry import NATIVE_TYPES
from gptterm.engine.gguf.families import FAMILIES as READ
from gptterm.engine.kernels.blocks import FORMATS
from tests.engine.checkpoints import ARCHITECTURES, NATIVE
from tests.engine.gguf.test_native import FAMILIES as TESTED
from tests.engine.gguf.test_native import RARER

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "models.md").read_text("utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.splitlines()
    if line.startswith("| `")
]


def names(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_every_architecture_has_its_row_its_page_and_its_test_models() -> None:
    assert {names(row[0])[0] for row in ROWS} == NATIVE_TYPES
    assert len(ROWS) == len(NATIVE_TYPES)
    for model_type, _, page, tested, _ in ROWS:
        assert (ROOT / "gptterm" / "engine" / "decoders" / names(page)[0]).exists()
        for name in names(tested):
            assert ARCHITECTURES[name]().model_type == names(model_type)[0]
    assert sorted(name for row in ROWS for name in names(row[3])) == sorted(NATIVE)


def test_every_gguf_architecture_is_named_and_tested() -> None:
    named = {name for row in ROWS for name in names(row[4])}
    assert named == READ.keys() == {*TESTED.values(), "qwen2"}


def test_every_type_of_weights_is_named() -> None:
    kernels, rarer = re.findall(r"^\| (Q\d_\S, .*?) \|", PAGE, re.MULTILINE)
    assert set(kernels.split(", ")) == set(FORMATS)
    assert rarer.split(", ") == list(RARER)
