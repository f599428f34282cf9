"""Readers of foreign data over mutants of good and of once dangerous inputs.

Each target takes any bytes: it may refuse them with its own error, never fail otherwise or take
long. The slow runs go on for `FUZZ_SECONDS` each, from `FUZZ_SEED`. An input that brought up a
fault is kept in corpus/. Damaged exports are in `tests.store.imports.test_fuzz`.
"""

import contextlib
import time
from pathlib import Path

import pytest

from gptterm.config.file import read_config
from gptterm.conversation.export import from_json, render, to_json
from gptterm.conversation.tree import Conversation, clean_text
from gptterm.errors import UsageError
from gptterm.store import History
from gptterm.store.search import match_ranges, parse, snippet
from gptterm.terminal import display_text, one_line, printable
from gptterm.tui.widgets.transcript.markdown import code_blocks, layout_markdown, parse_markdown
from tests.fuzz.harness import SECONDS, SEED, Target, check, dice_of, kept
from tests.store.chats import anything, check_integrity, state
from tests.store.imports.exports import reader
from tests.support.attacks import ATTACKS
from tests.support.mutation import mutant
from tests.test_security import obeyed


def config(data: bytes, folder: Path) -> None:
    file = folder / "config.toml"
    file.write_bytes(data)
    try:
        read_config(file)
        problem = ""
    except UsageError as error:
        problem = str(error)
    assert not problem or problem.startswith(f"{file}:")
    assert problem == one_line(problem)


def markdown(data: bytes, _folder: Path) -> None:
    source = display_text(data.decode("utf-8", "replace"))
    document = parse_markdown(source)
    for width in (0, 9, 60):
        lines = layout_markdown(document, width)
        assert all(0 <= s.start <= s.end <= len(line.text) for line in lines for s in line.spans)
        assert not any(obeyed(line.text) or "\n" in line.text for line in lines)
    code_blocks(source)


def terminal(data: bytes, _folder: Path) -> None:
    text = data.decode("utf-8", "surrogateescape")
    shown = printable(text)
    assert not obeyed(shown)
    assert shown == printable(shown)
    assert printable(text[:999]) == "".join(map(printable, text[:999]))
    assert not obeyed(one_line(text))
    query = parse(clean_text(text[:200]))
    found = snippet(clean_text(text), query)
    assert all(0 <= a < b <= len(found.text) for a, b in found.ranges)
    assert all(a < b for a, b in match_ranges(text, query))


def chat_file(data: bytes, _folder: Path) -> None:
    with contextlib.suppress(ValueError):
        chat = from_json(data)
        again = from_json(to_json(chat))
        assert state(again) == state(chat)
    found, _ = reader(data)
    reasons = (*found.left_out.counts, *found.unknown.counts)
    assert not any(reason.startswith("unreadable (") for reason in reasons)


def round_trip(data: bytes, folder: Path) -> None:
    """Any text, in a chat with branches: through the history, and through an export."""
    chat = anything(len(data), turns=12)
    chat.edit(chat.path()[0], data.decode("utf-8", "replace"))
    chat.title = data[:99].decode("utf-8", "replace")
    path = folder / "history.db"
    with History.open(path) as history:
        for each in (chat, from_json(to_json(chat))):
            history.add(each)
            assert state(history.load(chat.id)) == state(chat)
        assert history.search(data[:40].decode("utf-8", "replace"), 3) is not None
    for form in ("markdown", "html", "text"):
        render(chat, form)
    check_integrity(path)


def corpus(name: str) -> list[bytes]:
    found = kept(name)
    if name in ("terminal", "round_trip", "markdown"):
        found += [text.encode("utf-8", "surrogatepass") for text in ATTACKS[::5]]
    if name == "chat_file":
        found += [to_json(anything(seed, turns=4)).encode() for seed in range(3)]
        found.append(to_json(Conversation("empty")).encode())
    return found


TARGETS: dict[str, tuple[Target, int]] = {
    "config": (config, 150),
    "markdown": (markdown, 300),
    "terminal": (terminal, 400),
    "chat_file": (chat_file, 500),
    "round_trip": (round_trip, 8),
}
"""The targets, and the numbers of mutants in the quick runs: a second or two."""


@pytest.mark.parametrize("name", TARGETS)
def test_a_few_mutants(name: str, tmp_path: Path) -> None:
    known, dice = corpus(name), dice_of(name, "7")
    for data in known if name != "round_trip" else known[::9]:
        check(name, TARGETS[name][0], data, tmp_path)
    for _ in range(TARGETS[name][1]):
        check(name, TARGETS[name][0], mutant(known, dice), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_many_mutants(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    known, dice = corpus(name), dice_of(name)
    count, end = 0, time.monotonic() + SECONDS
    while time.monotonic() < end:
        check(name, TARGETS[name][0], mutant(known, dice), tmp_path)
        count += 1
        if count % 100 == 0:
            (tmp_path / "history.db").unlink(missing_ok=True)
    with capsys.disabled():
        print(f"\n{name}: {count} mutants from seed {SEED}")  # noqa: T201
