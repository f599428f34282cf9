"""Report of an import."""

from collections import Counter
from typing import Any

from gptterm.format import plural
from gptterm.store.merge import Merged, Status


class LeftOut:
    """Reasons why chats were left out, each with a count and one example."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.examples: dict[str, str] = {}

    def __bool__(self) -> bool:
        return bool(self.counts)

    def add(self, reason: str, example: str, count: int = 1) -> None:
        """Count something, whose title or place is `example`."""
        self.counts[reason] += count
        if not self.examples.get(reason):
            self.examples[reason] = example

    def update(self, other: "LeftOut") -> None:
        """Add what another one has counted."""
        for reason, count in other.counts.items():
            self.add(reason, other.examples[reason], count)

    def lines(self, what: str) -> list[str]:
        """A line a reason.

        Args:
            what: is counted: a chat, a message.
        """
        return [
            f"left out {plural(count, what)}: {reason}"
            + (f" ({example})" if (example := self.examples[reason]) else "")
            for reason, count in self.counts.most_common()
        ]

    def rows(self) -> list[dict[str, Any]]:
        """The same for JSON."""
        return [
            {"reason": reason, "count": count, "example": self.examples[reason]}
            for reason, count in self.counts.most_common()
        ]


class Report:
    """Counts of an import, filled while it runs and true at any time."""

    def __init__(self, *, dry_run: bool = False) -> None:
        self.dry_run = dry_run
        self.chats: Counter[Status] = Counter()
        self.turns = 0
        """Turns that are new."""
        self.origins: Counter[str] = Counter()
        """Chats by the program that they come from."""
        self.left_out = LeftOut()
        """Chats."""
        self.messages_left_out = LeftOut()
        self.files_left_out = LeftOut()
        """Files that could not be read, or not to their end, in folders and archives."""
        self.ignored = 0
        """Other files beside the chats."""
        self.problems: list[str] = []
        """Files in which nothing could be found: each with the reason, on one line."""
        self.ids: dict[str, None] = {}
        """Of all the chats, in their order."""

    def __len__(self) -> int:
        return self.chats.total()

    @property
    def changed(self) -> int:
        """How many chats are in the history, or have more in it, that did not before."""
        return len(self) - self.chats["unchanged"]

    def add(self, chat_id: str, origin: str, merged: Merged) -> None:
        """Count a chat."""
        self.ids[chat_id] = None
        self.origins[origin] += 1
        self.chats[merged.status] += 1
        self.turns += merged.turns

    def summary(self) -> str:
        """Summary on one line: imported, updated, left out."""
        verbs: dict[Status, str] = {
            "new": "imported", "restored": "restored", "updated": "updated"
        }  # fmt: skip
        parts = [
            f"{verb} {plural(count, 'chat')}"
            for status, verb in verbs.items()
            if (count := self.chats[status])
        ]
        if here := self.chats["unchanged"]:
            were = "was here already" if here == 1 else "were here already"
            known = (
                f"{here:,} {were}" if parts else f"nothing is new: {plural(here, 'chat')} {were}"
            )
            parts.append(known)
        left = self.left_out.counts.total() + self.files_left_out.counts.total()
        parts += [f"{left} left out"] if left else []
        parts = parts or ["nothing was imported"]
        return ("dry run: " if self.dry_run else "") + ", ".join(parts)

    def sentence(self) -> str:
        """The summary, with the most frequent reason for leaving something out."""
        counts = self.left_out.counts or self.files_left_out.counts
        return ": ".join((self.summary(), *(reason for reason, _ in counts.most_common(1))))

    def lines(self) -> list[str]:
        """The whole report: the summary, then a line a reason for what was left out."""
        return [
            self.summary(),
            *self.left_out.lines("chat"),
            *self.files_left_out.lines("file"),
            *self.messages_left_out.lines("message"),
        ]

    def as_object(self) -> dict[str, Any]:
        """The whole report for JSON."""
        return {
            "dry_run": self.dry_run,
            "imported": self.chats["new"],
            "restored": self.chats["restored"],
            "updated": self.chats["updated"],
            "unchanged": self.chats["unchanged"],
            "turns": self.turns,
            "origins": dict(self.origins),
            "left_out": self.left_out.rows(),
            "files_left_out": self.files_left_out.rows(),
            "messages_left_out": self.messages_left_out.rows(),
            "other_files": self.ignored,
            "errors": self.problems,
        }
