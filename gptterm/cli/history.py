"""`gptterm history`: the chats that are kept."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from gptterm.cli.history_import import import_chats
from gptterm.cli.options import ValueParamType
from gptterm.cli.streams import Streams, draws_styles
from gptterm.cli.table import print_table
from gptterm.config.value_types import Integer
from gptterm.errors import UsageError
from gptterm.ranges import Range
from gptterm.terminal import one_line, printable

if TYPE_CHECKING:
    from gptterm.store import ConversationSummary, History, SearchHit

_HELP = {"help_option_names": ["-h", "--help"]}
_json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
LAST = "last"
LIMIT = ValueParamType(Integer(Range(1, integer=True)))
SHORT = 8
"""Characters of an id that a list shows."""


@click.group(context_settings=_HELP)
def history() -> None:
    """See, search, export and remove the chats that are kept.

    An ID is the beginning of an id, as far as it is the only one that begins so, or `last` for
    the chat that was written in last.
    """


history.add_command(import_chats)


@history.command("list", context_settings=_HELP)
@click.option("-n", "--limit", default=30, metavar="N", help="At most so many.  [30]",
              type=LIMIT)  # fmt: skip
@click.option("-a", "--all", "everything", is_flag=True, help="Archived ones too.")
@_json_option
def list_chats(limit: int, everything: bool, as_json: bool) -> None:
    """List the chats: pinned ones first, then the latest first."""
    with _opened() as kept:
        found = kept.conversations(archived=None if everything else False, limit=limit)
    if as_json:
        _print_json(summary._asdict() for summary in found)
        return
    now = time.time()
    print_table(
        ("ID", "WRITTEN", "TURNS", "MODEL", "TITLE"),
        [
            (each.id[:SHORT], _when(each.updated, now), str(each.turns), each.model, _title(each))
            for each in found
        ],
    )


class _Search(click.Command):
    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Signs like -> are looked for: no option is called so."""
        if "--" not in args:
            signs = [arg for arg in args if not any(map(str.isalnum, arg))]
            args = [arg for arg in args if arg not in signs] + (["--", *signs] if signs else [])
        return super().parse_args(ctx, args)


@history.command("search", cls=_Search, context_settings=_HELP)
@click.argument("query", nargs=-1, required=True)
@click.option("-n", "--limit", default=30, metavar="N", help="At most so many hits.  [30]",
              type=LIMIT)  # fmt: skip
@_json_option
def search_chats(query: tuple[str, ...], limit: int, as_json: bool) -> None:
    """Find words in all turns and titles, the latest first.

    A word finds words that begin with it, "in quotes" (of your shell's, too: '"like this"') are
    whole words in this order. Case and accents do not count.
    """
    with _opened() as kept:
        hits = kept.search(" ".join(query), limit)
    if as_json:
        _print_json(hit._asdict() for hit in hits)
        return
    streams = Streams()
    now = time.time()
    for hit in hits:
        who = {"user": "you", "assistant": "reply"}.get(hit.role, "title")
        head = f"{hit.conversation[:SHORT]}  {_when(hit.created, now)}  {who}  {hit.title[:60]}"
        # The colours are ours: the text itself was made printable before.
        streams.write_bytes(f"{one_line(head)}\n    {_highlighted(hit, streams)}\n".encode())


@history.command("show", context_settings=_HELP)
@click.argument("chat", default=LAST, metavar="[ID]")
@click.option("--json", "as_json", is_flag=True, help="Everything: all branches and settings.")
def show_chat(chat: str, as_json: bool) -> None:
    """Print a chat, by default the last one."""
    from gptterm.conversation.export import to_json, to_text

    with _opened() as kept:
        found = kept.load(find_chat(kept, chat))
    # Into a pipe go the very characters, on a terminal none that it obeys.
    Streams().write(to_json(found) if as_json else to_text(found))


@history.command("export", context_settings=_HELP)
@click.argument("chat", metavar="ID")
@click.argument("file", type=click.Path())
@click.option("-f", "--force", is_flag=True, help="Overwrite FILE if it is there.")
def export_chat(chat: str, file: str, force: bool) -> None:
    """Write a chat to FILE: .md (Markdown), .html, .txt (text) or .json (everything).

    Only you can read the file.
    """
    from pathlib import Path

    from gptterm.conversation.export import export, format_of

    format_of(Path(file))
    with _opened() as kept:
        found = kept.load(find_chat(kept, chat))
    export(found, Path(file), overwrite=force)


@history.command("rm", context_settings=_HELP)
@click.argument("chats", nargs=-1, required=True, metavar="ID...")
@click.option("--purge", is_flag=True, help="At once and for good, every trace.")
@click.option("--undo", is_flag=True, help="Bring back what was deleted.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask before a purge.")
def remove_chats(chats: tuple[str, ...], purge: bool, undo: bool, yes: bool) -> None:
    """Delete chats. They can be brought back for a week."""
    if purge and undo:
        raise UsageError("--purge is for good: there is no --undo of it")
    with _opened() as kept:
        if undo:
            # All of them are looked up first: either all are done or none.
            for deleted in [_find_deleted(kept, chat) for chat in chats]:
                kept.undelete(deleted)
            return
        found = [find_chat(kept, chat, deleted=purge) for chat in chats]
        if purge:
            _purge(kept, found, yes=yes)
            return
        for each in found:
            kept.delete(each)
            click.echo(
                f"deleted; `gptterm history rm --undo {each[:SHORT]}` brings it back for a week",
                err=True,
            )


@history.command("path", context_settings=_HELP)
def path_of_history() -> None:
    """Print where the chats are kept. The file need not exist."""
    import os

    from gptterm.paths import history_file

    path = str(history_file())
    # For `$(...)` its very bytes, but on a terminal no control characters.
    click.echo(one_line(path) if sys.stdout.isatty() else os.fsencode(path))


@contextmanager
def _opened() -> "Iterator[History]":
    from gptterm.paths import history_file
    from gptterm.store import History

    with History.open(history_file(), Streams().note) as kept:
        yield kept


def find_chat(kept: "History", given: str, *, deleted: bool = False) -> str:
    """The one chat that is meant.

    Raises:
        UsageError: there is none, or there are several.
    """
    if given == LAST:
        last = kept.last()
        if last is None:
            raise UsageError("no chat is kept")
        return last
    found = [summary.id for summary in kept.find(given)]
    return _only(given, found + (kept.deleted(given) if deleted else []))


def _find_deleted(kept: "History", given: str) -> str:
    found = kept.deleted("" if given == LAST else given)
    return _only(given, found[:1] if given == LAST else found)


def _only(given: str, found: list[str]) -> str:
    if len(found) == 1 and given:
        return found[0]
    shown = one_line(given) or "''"
    if found and given:
        raise UsageError(f"{len(found)} chats have an id that begins with {shown}: give more of it")
    raise UsageError(f"no chat has an id that begins with {shown}; see gptterm history list")


def _purge(kept: "History", chats: list[str], *, yes: bool) -> None:
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError("nobody can be asked here: give --yes to remove it for good")
        what = "this chat" if len(chats) == 1 else f"these {len(chats)} chats"
        if not click.confirm(f"Remove {what} for good?", err=True):
            return
    for chat in chats:
        kept.purge(chat)


def _when(then: float, now: float) -> str:
    from gptterm.store import day_name

    day = time.localtime(then)
    name = day_name(then, now)
    return f"{name} {time.strftime('%H:%M', day)}" if name in ("today", "yesterday") else (
        time.strftime("%Y-%m-%d", day)
    )  # fmt: skip


def _title(summary: "ConversationSummary") -> str:
    marks = ("* " if summary.pinned else "") + ("(archived) " if summary.archived else "")
    return marks + summary.title[:60]


def _highlighted(hit: "SearchHit", streams: Streams) -> str:
    """The snippet; its matches are bold where a terminal shows that."""
    styled = streams.out_is_terminal and draws_styles()
    begin, end = ("\x1b[1m", "\x1b[0m") if styled else ("", "")
    text, at = "", 0
    for start, stop in hit.ranges:
        text += printable(hit.snippet[at:start]) + begin + printable(hit.snippet[start:stop]) + end
        at = stop
    return text + printable(hit.snippet[at:])


def _print_json(rows: "Iterator[dict[str, Any]]") -> None:
    from gptterm.cli.output import json_line

    streams = Streams()
    for row in rows:
        streams.write_bytes(json_line(row))
