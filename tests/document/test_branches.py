"""Branches of a document: what the map of its versions shows."""

import math

import pytest

from gptterm.document.branches import branches, rename
from gptterm.document.tree import Document
from tests.document.test_tree import written


def test_a_branch_goes_from_fork_to_fork() -> None:
    document = Document()
    assert branches(document) == []
    document.replace(0, 0, "Once upon")
    document.replace(9, 9, " a time")
    fork = document.current
    first = written(document, 16, [1, 6])
    document.go(fork)
    other = document.replace(0, 4, "")
    found = branches(document)
    assert [(each.text, each.depth, each.words) for each in found] == [
        ("Once upon a time", 0, 4),
        (" bcd ef", 1, 2),
        ("", 1, 0),
    ]
    assert [each.last for each in found] == [fork, first, other]
    assert [each.is_selected for each in found] == [True, False, True]
    assert [each.is_current for each in found] == [False, False, True]
    # Log probabilities of -1/2 and -3: see `write`.
    assert [each.tokens for each in found] == [0, 2, 0]
    assert found[0].bits is found[0].perplexity is None
    assert found[1].bits == pytest.approx(1.75 / math.log(2))
    assert found[1].perplexity == pytest.approx(math.exp(1.75))
    document.undo()
    assert [each.is_current for each in branches(document)] == [True, False, False]


def test_a_name_stays_with_its_version() -> None:
    document = Document()
    middle = document.replace(0, 0, "a")
    document.replace(1, 1, "b")
    (branch,) = branches(document)
    rename(document, branch._replace(last=middle), "draft")
    (branch,) = branches(document)
    assert branch.name == "draft"
    rename(document, branch, "later")
    document.go(middle)
    document.replace(1, 1, "c")
    assert [each.name for each in branches(document)] == ["", "later", ""]
    rename(document, branches(document)[1], "")
    assert [each.name for each in branches(document)] == ["", "", ""]
