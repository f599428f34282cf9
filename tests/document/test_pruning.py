"""Pruning and merging of branches: what is passed over, and that it comes back as it was."""

from hypothesis import given
from hypothesis import strategies as st

from gptterm.document.branches import BranchMap
from gptterm.document.pruning import Pruning
from gptterm.document.tree import Document
from tests.document.test_tree import written


def typed(document: Document, at: str | None, *texts: str) -> str:
    """Write a branch from a version on, an insertion at the end each; its last version."""
    document.go(at)
    for text in texts:
        document.replace(len(document.text), len(document.text), text)
    assert document.current is not None
    return document.current


def shown(document: Document) -> list[str]:
    return [each.text for each in BranchMap().branches(document)]


def texts(document: Document, *, only_ends: bool = False) -> set[str]:
    """The text of every version that is not pruned, or of every one that nothing follows."""
    found, waiting = {""}, list(document.children(None))
    while waiting:
        document.go(waiting.pop())
        children = document.children(document.current)
        if not (only_ends and children):
            found.add(document.text)
        waiting += children
    return found


def test_a_pruned_branch_is_passed_over_until_it_is_restored() -> None:
    document = Document()
    fork = typed(document, None, "Once")
    first = typed(document, fork, " upon", " a time")
    other = typed(document, fork, " more")
    pruning = Pruning(document)
    pruning.prune(document.path()[-1])
    assert document.current == fork
    assert shown(document) == ["Once upon a time"]
    assert document.redo()
    assert document.redo()
    assert (document.current, document.redo()) == (first, False)
    pruning.prune(fork)
    assert (document.text, shown(document), document.redo()) == ("", [], False)
    assert len(document) == 4
    assert pruning.restore() == (fork,)
    assert document.text == "Once upon a time"
    assert pruning.restore() == (other,)
    assert document.text == "Once more"
    assert pruning.restore() == ()
    assert shown(document) == ["Once", " upon a time", " more"]


def test_equal_branches_become_one_and_go_on_together() -> None:
    document = Document()
    fork = typed(document, None, "So ")
    one = typed(document, fork, "it", " was")
    typed(document, fork, "it was", " said")
    in_view = typed(document, fork, "i", "t", " is")
    document.names[in_view] = "present"
    before = texts(document)
    document.go(in_view)
    pruning = Pruning(document)
    assert pruning.merge() == 2
    assert document.text == "So it is"
    assert shown(document) == ["So it", " was said", " is"]
    assert texts(document) == before - {"So i"}
    document.go(one)
    assert document.redo()
    assert document.text == "So it was said"
    assert len(pruning.restore()) == 2
    assert texts(document) == before
    assert pruning.merge() == 2


def test_a_branch_that_ends_within_a_version_of_another_stays() -> None:
    document = Document()
    typed(document, None, "Yes.")
    typed(document, None, "Yes. But no.")
    typed(document, None, "Yes")
    assert Pruning(document).merge() == 0
    assert shown(document) == ["Yes.", "Yes. But no.", "Yes"]


def test_other_tokens_and_what_is_marked_are_not_merged() -> None:
    document = Document()
    typed(document, None, "a b")
    document.go(None)
    written(document, 0, [0, 1])
    marked = typed(document, None, "a")
    typed(document, marked, " b")
    document.bookmarks[marked] = 1
    pruning = Pruning(document)
    assert pruning.merge() == 0
    document.bookmarks[marked] = None
    assert pruning.merge() == 1
    document.go(None)
    written(document, 0, [0, 1])
    assert pruning.merge() == 1
    assert [bool(document.edit(v).ids) for v in document.children(None)] == [False, True]


def test_a_mark_goes_to_the_version_that_stays() -> None:
    document = Document()
    kept = typed(document, None, "a")
    gone = typed(document, None, "a")
    document.names[gone] = "name"
    document.bookmarks[gone] = 1
    Pruning(document).merge()
    assert document.current == kept
    assert (document.names[kept], document.bookmarks[kept]) == ("name", 1)


@given(st.lists(st.tuples(st.integers(0, 30), st.sampled_from(["a", "b", "ab"])), max_size=30))
def test_a_merge_loses_no_text_but_beginnings_and_no_end(steps: list[tuple[int, str]]) -> None:
    document = Document()
    versions: list[str | None] = [None]
    for at, text in steps:
        versions.append(typed(document, versions[at % len(versions)], text))
    before, ends = texts(document), texts(document, only_ends=True)
    pruning = Pruning(document)
    document.go(versions[-1])
    view = document.text
    merged = pruning.merge()
    assert document.text == view
    assert ends <= texts(document)
    for text in before - texts(document):
        assert any(other.startswith(text) for other in texts(document))
    again = Document(edits=document.edits())
    for version in versions:
        document.go(version)
        again.go(version)
        assert again.text == document.text
    if merged:
        pruning.restore()
        assert texts(document) == before
