"""Branches of a document: what the map of its versions shows."""

import math
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptterm.document.branches import BranchMap, rename
from gptterm.document.standing import Written
from gptterm.document.tree import Document
from tests.document.test_tree import written


def test_a_branch_goes_from_fork_to_fork() -> None:
    document = Document()
    assert BranchMap().branches(document) == []
    document.replace(0, 0, "Once upon")
    document.replace(9, 9, " a time")
    fork = document.current
    first = written(document, 16, [1, 6])
    document.go(fork)
    other = document.replace(0, 4, "")
    found = BranchMap().branches(document)
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
    assert [each.is_current for each in BranchMap().branches(document)] == [True, False, False]


def test_a_name_stays_with_its_version() -> None:
    document = Document()
    middle = document.replace(0, 0, "a")
    document.replace(1, 1, "b")
    (branch,) = BranchMap().branches(document)
    rename(document, branch._replace(last=middle), "draft")
    (branch,) = BranchMap().branches(document)
    assert branch.name == "draft"
    rename(document, branch, "later")
    document.go(middle)
    document.replace(1, 1, "c")
    assert [each.name for each in BranchMap().branches(document)] == ["", "later", ""]
    rename(document, BranchMap().branches(document)[1], "")
    assert [each.name for each in BranchMap().branches(document)] == ["", "", ""]


def test_words_and_label_are_those_that_stand() -> None:
    document = Document()
    document.replace(0, 0, "Hello there")
    document.replace(0, 11, "changed outside")
    (branch,) = BranchMap().branches(document)
    assert (branch.text, branch.words) == ("changed outside", 2)
    # A word that goes on, and one that is changed within, are no new ones.
    document.replace(15, 15, "rs and in")
    document.replace(2, 2, "XY")
    (branch,) = BranchMap().branches(document)
    assert (branch.text, branch.words) == ("chXYanged outsiders and in", 4)
    fork = document.current
    document.replace(26, 26, " the rain")
    document.go(fork)
    document.replace(0, 0, "It ")
    document.replace(29, 29, ".")
    assert [(each.text, each.words) for each in BranchMap().branches(document)][1:] == [
        (" the rain", 2),
        ("It  … .", 2),
    ]


def test_deleted_tokens_are_not_counted() -> None:
    document = Document()
    document.replace(0, 0, "ab ")
    written(document, 3, [1, 6])
    (branch,) = BranchMap().branches(document)
    assert (branch.text, branch.tokens) == ("ab  bcd ef", 2)
    # Within the last token: it is cut in two, and no longer one of the model's.
    document.replace(7, 8, "")
    (branch,) = BranchMap().branches(document)
    assert branch.tokens == 1
    assert branch.bits == pytest.approx(0.5 / math.log(2))
    document.replace(0, 9, "all new")
    (branch,) = BranchMap().branches(document)
    assert (branch.text, branch.tokens, branch.bits) == ("all new", 0, None)


def test_what_was_read_in_view_is_known_of_a_branch_that_is_not() -> None:
    document = Document()
    document.replace(0, 0, "Once upon")
    fork = document.current
    assert fork is not None
    first = document.replace(9, 9, " a time")
    document.go(fork)
    document.replace(4, 4, ",")
    asked = list[str]()

    def bits(start: int, end: int) -> tuple[float, int]:
        asked.append(document.text[start:end])
        return 2.0 * (end - start), end - start

    known = BranchMap(bits)
    assert [each.tokens for each in known.branches(document)] == [9, 0, 1]
    assert asked == ["Once", ",", " upon"]
    document.go(first)
    found = known.branches(document)
    assert [each.tokens for each in found] == [9, 7, 1]
    assert {each.bits for each in found} == {2.0}
    # A version before the branch's end is not the branch.
    document.replace(16, 16, " there")
    document.undo()
    assert [each.tokens for each in known.branches(document)] == [9, 0, 1]


@st.composite
def edited(draw: st.DrawFn) -> tuple[Document, list[str]]:
    """A text of capitals that was edited: versions, which have small letters."""
    document = Document()
    document.replace(0, 0, draw(st.text(string.ascii_uppercase, max_size=6)))
    versions = []
    for _ in range(draw(st.integers(1, 8))):
        length = len(document.text)
        start = draw(st.integers(0, length))
        end = draw(st.integers(start, length))
        text = draw(st.text(string.ascii_lowercase, max_size=4))
        versions.append(document.replace(start, end, text))
    return document, versions


@given(edited())
def test_what_stands_is_what_the_text_has_of_the_edits(case: tuple[Document, list[str]]) -> None:
    document, versions = case
    found = Written()
    found.update(document, versions)
    lower = [c for c in document.text if c.islower()]
    assert list("".join(found.texts)) == lower
    assert all(document.text[p.start : p.stop] == p.text for p in found.pieces)
    # Capitals are those of the text before: what is between them touches.
    between = "".join(c if c.islower() else " " for c in document.text).split()
    assert sorted(found.texts) == sorted(between)


@given(edited(), st.data())
def test_what_is_kept_is_what_is_found_anew(
    case: tuple[Document, list[str]], data: st.DataObject
) -> None:
    document, _ = case
    known = BranchMap()
    for _ in range(4):
        versions = [edit.id for edit in document.edits()]
        document.go(data.draw(st.sampled_from(versions)))
        assert known.branches(document) == BranchMap().branches(document)
        length = len(document.text)
        start = data.draw(st.integers(0, length))
        document.replace(start, data.draw(st.integers(start, length)), " new words")
        assert known.branches(document) == BranchMap().branches(document)
