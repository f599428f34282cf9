"""CONTRIBUTING.md's map leads to files that are there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
NAMED = sorted(set(re.findall(r"`((?:gptterm|tests)/[\w/.]+)`", TEXT)))
MAP = TEXT.partition("## The map")[2].partition("## Glossary")[0]


@pytest.mark.parametrize("name", NAMED)
def test_a_file_that_is_named_is_there(name: str) -> None:
    assert (ROOT / name).exists()


def test_the_map_answers_what_newcomers_look_for() -> None:
    rows = [row for row in MAP.splitlines() if row.startswith("| ")][1:]
    assert len(rows) >= 21


def test_pre_commit_runs_what_check_runs() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    match = re.search(r"^check: ([\w -]+?)\s*##", makefile, re.MULTILINE)
    assert match is not None
    hooks = (ROOT / ".pre-commit-config.yaml").read_text("utf-8")
    assert re.findall(r"entry: make ([\w-]+)", hooks) == match.group(1).split()


def test_a_docstring_begins_with_the_term() -> None:
    opening = re.compile(r'^\s*"""(What|Whoever|So |How often|How long)', re.MULTILINE)
    files = (ROOT / "gptterm").rglob("*.py")
    assert not [str(file) for file in files if opening.search(file.read_text("utf-8"))]
