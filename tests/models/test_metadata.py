"""The sampling a model recommends."""

import json
from pathlib import Path

import pytest

from gptterm.engine.api import ModelSource
from gptterm.models import generation_defaults


def defaults(folder: Path, content: str) -> dict[str, float | int]:
    (folder / "generation_config.json").write_text(content)
    return generation_defaults(ModelSource(name="m", directory=str(folder)))


def test_the_known_ones_are_taken(tmp_path: Path) -> None:
    recommended: dict[str, float | int] = {
        "temperature": 0.6,
        "top_k": 20,
        "top_p": 0.9,
        "min_p": 0.05,
        "typical_p": 0.95,
        "repetition_penalty": 1.1,
    }
    others = {"do_sample": True, "eos_token_id": 50256, "max_new_tokens": 9, "num_beams": 4}
    assert defaults(tmp_path, json.dumps(recommended | others)) == recommended


def test_whole_numbers_are_fine(tmp_path: Path) -> None:
    found = defaults(tmp_path, '{"temperature": 1, "top_k": 50.0}')
    assert found == {"temperature": 1.0, "top_k": 50}
    assert [type(value) for value in found.values()] == [float, int]


@pytest.mark.parametrize(
    "value",
    ["null", "true", '"0.5"', "[0.5]", "NaN", "Infinity", "-1", "1e400", "1" + "0" * 400, "{}"],
)
@pytest.mark.parametrize("field", ["temperature", "top_k", "top_p"])
def test_values_that_make_no_sense_are_left_out(tmp_path: Path, field: str, value: str) -> None:
    assert defaults(tmp_path, f'{{"{field}": {value}}}') == {}


@pytest.mark.parametrize("content", ["", "[]", "{", "\x00"])
def test_a_file_that_makes_no_sense_is_none(tmp_path: Path, content: str) -> None:
    assert defaults(tmp_path, content) == {}


def test_no_file(tmp_path: Path) -> None:
    assert generation_defaults(ModelSource(name="m", directory=str(tmp_path))) == {}
