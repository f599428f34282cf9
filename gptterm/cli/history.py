"""`gptterm history`: list, search, show, export and delete saved chats and texts."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from gptterm.cli.console import confirm, print_json, print_path, print_table
from gptterm.cli.history_import import import_chats
from gptterm.cli.options import ValueParamType
from gptterm.cli.streams import Streams, draws_styles
from gptterm.config.value_types import Integer, Text
from gptterm.errors import UsageError
from gptterm.ranges import Range
from gptterm.terminal import one_line, printable

if TYPE_CHECKING:
    from gptterm.conversation.tree import Conversation
    from gptterm.document.tree import Document
    from gptterm.store import ConversationSummary, History, SearchHit
    from gptterm.store.document_reading import DocumentSummary

_HELP = {"help_option_names": ["-h", "--help"]}
_json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
LIMIT = ValueParamType(Integer(Range(1, integer=True)))
SHORT_ID = 8
"""Characters of an id in a list."""
TITLE_CELLS = 60
"""Most cells of a title in a list."""


@click.group(context_settings=_HELP)
def history() -> None:
    """List, search, export and delete saved chats and texts.

    An ID is the beginning of a chat's or a text's id, long enough to be unique, or `last` for the
    chat written to last.
    """


history.add_command(import_chats)


@history.command("list", context_settings=_HELP)
@click.option("-n", "--limit", default=30, metavar="N", help="At most N chats.  [30]",
              type=LIMIT)  # fmt: skip
@click.option("-a", "--all", "everything", is_flag=True, help="Include archived chats.")
@_json_option
def list_chats(limit: int, everything: bool, as_json: bool) -> None:
    """List the chats, the latest first.

    Pinned chats come first of all.
    """
    with open_history() as store:
        found = store.conversations(archived=None if everything else False, limit=limit)
    if as_json:
        print_json(summary._asdict() for summary in found)
        return
    now = time.time()
    print_table(
        ("ID", "WRITTEN", "TURNS", "MODEL", "TITLE"),
        [(c.id[:SHORT_ID], when(c.updated, now), str(c.turns), c.model, _title(c)) for c in found],
    )


@history.command("documents", context_settings=_HELP)
@click.option("-n", "--limit", default=30, metavar="N", help="At most N documents.  [30]",
              type=LIMIT)  # fmt: skip
@click.option("-a", "--all", "everything", is_flag=True, help="Include archived documents.")
@_json_option
def list_documents(limit: int, everything: bool, as_json: bool) -> None:
    """List the texts of Write mode, the latest first.

    `gptterm write FILE` or `gptterm write --document ID` opens one with all its versions.
    """
    with open_history() as store:
        found = store.documents(limit, archived=None if everything else False)
    if as_json:
        print_json(summary._asdict() for summary in found)
        return
    now = time.time()
    print_table(
        ("ID", "WRITTEN", "VERSIONS", "FILE", "TEXT"),
        [
            (
                d.id[:SHORT_ID],
                when(d.updated, now),
                str(d.versions),
                d.path or "(no file)",
                _title(d),
            )
            for d in found
        ],
    )


class _Search(click.Command):
    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Search for signs like -> and --, which are no option's name."""
        if args.count("--") == 1 and args[-1] == "--":
            args = [*args, "--"]
        if "--" not in args:
            signs = [arg for arg in args if not any(map(str.isalnum, arg))]
            args = [arg for arg in args if arg not in signs] + (["--", *signs] if signs else [])
        return super().parse_args(ctx, args)


@history.command("search", cls=_Search, context_settings=_HELP)
@click.argument("query", nargs=-1, required=True, type=ValueParamType(Text()))
@click.option("-n", "--limit", default=30, metavar="N", help="At most N hits.  [30]",
              type=LIMIT)  # fmt: skip
@_json_option
def search_chats(query: tuple[str, ...], limit: int, as_json: bool) -> None:
    """Search all turns and titles.

    A word matches words that begin with it. "In quotes" matches whole words in this order; quote
    them for your shell too: '"like this"'. Case and accents are ignored.
    """
    with open_history() as store:
        hits = store.search(" ".join(query), limit)
    if as_json:
        print_json(hit._asdict() for hit in hits)
        return
    streams = Streams()
    now = time.time()
    for hit in hits:
        who = {"user": "you", "assistant": "reply"}.get(hit.role, "title")
        place = one_line(f"{hit.conversation[:SHORT_ID]}  {when(hit.created, now)}  {who}")
        # The styles are ours: the text itself is printable already.
        found = f"{place}  {_short(hit.title)}\n    {_highlighted(hit, streams)}\n"
        streams.write_bytes(found.encode())


@history.command("show", context_settings=_HELP)
@click.argument("chat", default="last", metavar="[ID]")
@click.option("--json", "as_json", is_flag=True, help="All branches and settings, as JSON.")
def show_chat(chat: str, as_json: bool) -> None:
    """Print a chat or a text, by default the last chat."""
    from gptterm.conversation.export import to_json, to_text
    from gptterm.document import export as documents
    from gptterm.document.tree import Document

    with open_history() as store:
        found = _load_entry(store, chat)
    if isinstance(found, Document):
        shown = documents.to_json(found) if as_json else found.text
    else:
        shown = to_json(found) if as_json else to_text(found)
    # A pipe gets the text as it is, a terminal without control characters.
    Streams().write(shown)


@history.command("export", context_settings=_HELP)
@click.argument("chat", metavar="ID")
@click.argument("file", type=click.Path())
@click.option("-f", "--force", is_flag=True, help="Overwrite FILE.")
def export_chat(chat: str, file: str, force: bool) -> None:
    """Write a chat or a text to FILE.

    Its name ends in .md (Markdown), .html, .txt (text) or .json (everything). The file is readable
    by you only.
    """
    from pathlib import Path

    from gptterm.conversation.export import export, format_of
    from gptterm.document.export import export_document
    from gptterm.document.tree import Document

    format_of(Path(file))
    with open_history() as store:
        found = _load_entry(store, chat)
    if isinstance(found, Document):
        export_document(found, Path(file), overwrite=force)
    else:
        export(found, Path(file), overwrite=force)


@history.command("rm", context_settings=_HELP)
@click.argument("chats", nargs=-1, required=True, metavar="ID...")
@click.option("--purge", is_flag=True, help="Delete for good, at once, with every trace.")
@click.option("--undo", is_flag=True, help="Restore what was deleted.")
@click.option("-y", "--yes", is_flag=True, help="Purge without asking.")
def remove_chats(chats: tuple[str, ...], purge: bool, undo: bool, yes: bool) -> None:
    """Delete chats and texts. For a week they can be restored; a text's file stays."""
    if purge and undo:
        raise UsageError("--purge deletes for good: it cannot be combined with --undo")
    from gptterm.store import find_deleted, find_entry

    with open_history() as store:
        if undo:
            # All are looked up first: either all are restored or none.
            for deleted in [find_deleted(store, chat) for chat in chats]:
                store.undelete(deleted)
            return
        found = [find_entry(store, chat, deleted=purge) for chat in chats]
        if purge:
            _purge(store, found, yes=yes)
            return
        for each in found:
            store.delete(each)
            click.echo(
                f"deleted; for a week `gptterm history rm --undo {each[:SHORT_ID]}` restores it",
                err=True,
            )


@history.command("path", context_settings=_HELP)
def path_of_history() -> None:
    """Print the path of the history.

    The file need not exist yet.
    """
    from gptterm.paths import history_file

    print_path(str(history_file()))


@contextmanager
def open_history() -> "Iterator[History]":
    """Open the user's history.

    Raises:
        HistoryError: it cannot be opened.
    """
    from gptterm.paths import history_file
    from gptterm.store import History

    with History.open(history_file(), Streams().note) as store:
        yield store


def _purge(store: "History", chats: list[str], *, yes: bool) -> None:
    what = "this one" if len(chats) == 1 else f"these {len(chats)}"
    if not yes and not confirm(f"Delete {what} for good?"):
        return
    for chat in chats:
        store.purge(chat)


def _load_entry(store: "History", typed: str) -> "Conversation | Document":
    """Load the chat or the text that is meant by what was typed.

    Raises:
        UsageError: there is none, or several ids begin so.
        HistoryError: it cannot be read.
    """
    from gptterm.store import find_entry

    entry = find_entry(store, typed)
    document = store.load_document(entry)
    return store.load(entry) if document is None else document


def when(then: float, now: float) -> str:
    """Format a time in a list: `today 09:30`, `2026-03-01`."""
    from gptterm.store import day_name

    day = time.localtime(then)
    name = day_name(then, now)
    return f"{name} {time.strftime('%H:%M', day)}" if name in ("today", "yesterday") else (
        time.strftime("%Y-%m-%d", day)
    )  # fmt: skip


def _title(summary: "ConversationSummary | DocumentSummary") -> str:
    marks = ("* " if summary.pinned else "") + ("(archived) " if summary.archived else "")
    return marks + _short(summary.title)


def _short(title: str) -> str:
    """A title in a list, which ends at a word."""
    from gptterm.charts.cells import fit_words

    return fit_words(one_line(title), TITLE_CELLS)


def _highlighted(hit: "SearchHit", streams: Streams) -> str:
    """The snippet, with its matches in bold on a terminal with styles."""
    styled = streams.out_is_terminal and draws_styles()
    begin, end = ("\x1b[1m", "\x1b[0m") if styled else ("", "")
    text, at = "", 0
    for start, stop in hit.ranges:
        text += printable(hit.snippet[at:start]) + begin + printable(hit.snippet[start:stop]) + end
        at = stop
    return text + printable(hit.snippet[at:])
