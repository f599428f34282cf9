"""Branches of a document: what the map of its versions shows."""

import math
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptterm.document.branches import branches, rename, standing
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


def test_words_and_label_are_those_that_stand() -> None:
    document = Document()
    document.replace(0, 0, "Hello there")
    document.replace(0, 11, "changed outside")
    (branch,) = branches(document)
    assert (branch.text, branch.words) == ("changed outside", 2)
    # A word that goes on, and one that is changed within, are no new ones.
    document.replace(15, 15, "rs and in")
    document.replace(2, 2, "XY")
    (branch,) = branches(document)
    assert (branch.text, branch.words) == ("chXYanged outsiders and in", 4)
    fork = document.current
    document.replace(26, 26, " the rain")
    document.go(fork)
    document.replace(0, 0, "It ")
    document.replace(29, 29, ".")
    assert [(each.text, each.words) for each in branches(document)][1:] == [
        (" the rain", 2),
        ("It  … .", 2),
    ]


@given(st.data())
def test_what_stands_is_what_the_text_has_of_the_edits(data: st.DataObject) -> None:
    before = data.draw(st.text(string.ascii_uppercase, max_size=6))
    document = Document()
    document.replace(0, 0, before)
    edits = []
    for _ in range(data.draw(st.integers(1, 8))):
        length = len(document.text)
        start = data.draw(st.integers(0, length))
        end = data.draw(st.integers(start, length))
        text = data.draw(st.text(string.ascii_lowercase, max_size=4))
        edits.append(document.edit(document.replace(start, end, text)))
    found = standing(edits)
    lower = [c for c in document.text if c.islower()]
    assert list("".join(found)) == lower
    # Capitals are those of the text before: what is between them touches.
    between = "".join(c if c.islower() else " " for c in document.text).split()
    assert sorted(found) == sorted(between)
