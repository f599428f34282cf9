"""Summaries of conversations, for lists."""

import datetime
import sqlite3
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from gptterm.store import schema
from gptterm.store.serialization import read_time

UNTITLED = "untitled"
BEAT_S = 2.0
"""A conversation whose reply is being written is written to at least so often, in seconds."""

_COLUMNS = (
    "id, coalesce(title, nullif(first_line, ''), ?), created, updated, model, turns, pinned,"
    " archived, title IS NOT NULL"
)


class ConversationSummary(NamedTuple):
    """A conversation in a list. Its title is one line of untrusted text."""

    id: str
    title: str
    created: float
    """Seconds since 1970."""
    updated: float
    model: str
    """The model of the latest reply; empty for none."""
    turns: int
    pinned: bool
    archived: bool
    titled: bool
    """Whether a user gave it the title; else it is the first line of the first turn."""


def latest_first(connection: sqlite3.Connection) -> str:
    """The terms of ORDER BY that list conversations, the one written last first.

    By the history's own order of writing: clocks can be wrong.
    """
    # An older history on a read-only disk has no such order.
    known = schema.version_of(connection) >= schema.VERSION_WITH_WRITING_ORDER
    return f"{'written' if known else 'updated'} DESC, seq DESC"


def select(
    connection: sqlite3.Connection, where: str, values: Iterable[object], order: str = ""
) -> list[ConversationSummary]:
    """Select conversations that are not deleted and fulfil a condition."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM conversations WHERE deleted IS NULL AND {where} {order}",
        (UNTITLED, *values),
    )
    return [_summary(row) for row in rows]


def count_branches(connection: sqlite3.Connection, ids: Sequence[str]) -> dict[str, int]:
    """Count the last turns of conversations: those that have more than one."""
    marks = ", ".join("?" * len(ids))
    return dict(
        connection.execute(
            "SELECT c.id, count(*) FROM conversations c JOIN turns t ON t.conversation = c.seq"
            f" WHERE c.id IN ({marks}) AND NOT EXISTS (SELECT 1 FROM turns u"
            " WHERE u.conversation = t.conversation AND u.parent = t.id)"
            " GROUP BY c.id HAVING count(*) > 1",
            ids,
        )
    )


def being_written(connection: sqlite3.Connection, since: float) -> list[str]:
    """Return the conversations whose last reply has not ended, and was written to lately.

    A program that writes one shows that at least every `BEAT_S`.
    """
    found = connection.execute(
        "SELECT id FROM conversations AS chat WHERE deleted IS NULL AND updated >= ? AND"
        " (SELECT reason IS NULL FROM runs WHERE turn = (SELECT max(seq) FROM turns"
        " WHERE conversation = chat.seq) ORDER BY number DESC LIMIT 1)",
        (since,),
    )
    return [name for (name,) in found]


def _summary(row: tuple[Any, ...]) -> ConversationSummary:
    name, title, created, updated, model, turns, pinned, archived, titled = row
    return ConversationSummary(
        name, " ".join(title.split()), read_time(created), read_time(updated), model, turns,
        bool(pinned), bool(archived), bool(titled),
    )  # fmt: skip


def day_name(when: float, now: float) -> str:
    """Return the heading for a time in a list: `today`, `yesterday`, …, `March 2026`.

    Args:
        when: seconds since 1970, as `now`.
    """
    today = datetime.date.fromtimestamp(now)
    day = datetime.date.fromtimestamp(when)
    days = (today - day).days
    if days <= 0:  # no "tomorrow" because a clock was wrong once
        return "today"
    if days == 1:
        return "yesterday"
    for limit in (7, 30):
        if days <= limit:
            return f"last {limit} days"
    return f"{day:%B %Y}"


def group_by_day(
    summaries: Iterable[ConversationSummary], now: float
) -> list[tuple[str, list[ConversationSummary]]]:
    """Group an ordered list: the pinned ones first, then by day.

    A chat whose clock was wrong is under the day of the one written before it: each day has one
    heading.
    """
    ordered = list(summaries)
    days: dict[str, float] = {}
    latest = 0.0
    for summary in reversed(ordered):
        if not summary.pinned:
            latest = max(latest, summary.updated) if summary.updated <= now else latest
            days[summary.id] = latest or summary.updated

    def heading(summary: ConversationSummary) -> str:
        return "pinned" if summary.pinned else day_name(days[summary.id], now)

    return [(name, list(group)) for name, group in groupby(ordered, heading)]
