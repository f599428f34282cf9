"""Report of an import."""

from collections import Counter
from typing import Any

from gptterm.format import plural
from gptterm.store.merge import Merged, Status


class LeftOut:
    """Reasons why items were left out, each with a count and an example."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.examples: dict[str, str] = {}

    def __bool__(self) -> bool:
        return bool(self.counts)

    def add(self, reason: str, example: str, count: int = 1) -> None:
        """Count items left out; `example` is the title or place of one."""
        self.counts[reason] += count
        if not self.examples.get(reason):
            self.examples[reason] = example

    def update(self, other: "LeftOut") -> None:
        """Add the counts of another one."""
        for reason, count in other.counts.items():
            self.add(reason, other.examples[reason], count)

    def lines(self, what: str) -> list[str]:
        """Format one line per reason.

        Args:
            what: noun for the items: chat, file or message.
        """
        return [
            f"left out {plural(count, what)}: {reason}"
            + (f" ({example})" if (example := self.examples[reason]) else "")
            for reason, count in self.counts.most_common()
        ]

    def rows(self) -> list[dict[str, Any]]:
        """Format one JSON object per reason."""
        return [
            {"reason": reason, "count": count, "example": self.examples[reason]}
            for reason, count in self.counts.most_common()
        ]


class Report:
    """Counts of an import, up to date at any time while it runs."""

    def __init__(self, *, dry_run: bool = False) -> None:
        self.dry_run = dry_run
        self.chats: Counter[Status] = Counter()
        self.texts: Counter[Status] = Counter()
        """Documents of Write mode."""
        self.turns = 0
        """New turns."""
        self.origins: Counter[str] = Counter()
        """Number of chats per program of origin."""
        self.left_out = LeftOut()
        """Chats left out."""
        self.messages_left_out = LeftOut()
        self.files_left_out = LeftOut()
        """Files of folders and archives that could not be read completely."""
        self.ignored = 0
        """Files of folders and archives that hold no chats."""
        self.problems: list[str] = []
        """One line for each source without a readable chat."""
        self.ids: dict[str, None] = {}
        """Ids of all chats, in order of import."""
        self.text_ids: dict[str, None] = {}

    def __len__(self) -> int:
        return self.chats.total() + self.texts.total()

    def add(self, chat_id: str, origin: str, merged: Merged) -> None:
        """Count a chat."""
        self.ids[chat_id] = None
        self.origins[origin] += 1
        self.chats[merged.status] += 1
        self.turns += merged.turns

    def add_text(self, text_id: str, origin: str, merged: Merged) -> None:
        """Count a text."""
        self.text_ids[text_id] = None
        self.origins[origin] += 1
        self.texts[merged.status] += 1

    def summary(self) -> str:
        """Summary on one line: imported, updated, left out."""
        verbs: dict[Status, str] = {
            "new": "imported", "restored": "restored", "updated": "updated"
        }  # fmt: skip
        parts = [
            f"{verb} {plural(count, noun)}"
            for noun, counts in (("chat", self.chats), ("text", self.texts))
            for status, verb in verbs.items()
            if (count := counts[status])
        ]
        if here := self.chats["unchanged"] + self.texts["unchanged"]:
            noun = "chat" if not self.texts["unchanged"] else "text"
            were = "was here already" if here == 1 else "were here already"
            known = f"{here:,} {were}" if parts else f"nothing is new: {plural(here, noun)} {were}"
            parts.append(known)
        left = self.left_out.counts.total() + self.files_left_out.counts.total()
        parts += [f"{left} left out"] if left else []
        parts = parts or ["nothing was imported"]
        return ("dry run: " if self.dry_run else "") + ", ".join(parts)

    def sentence(self) -> str:
        """Return the summary with the most frequent reason for leaving something out."""
        counts = self.left_out.counts or self.files_left_out.counts
        return ": ".join((self.summary(), *(reason for reason, _ in counts.most_common(1))))

    def lines(self) -> list[str]:
        """Format the report: the summary, then one line per reason for leaving something out."""
        others = f"passed over {plural(self.ignored, 'file')} without chats"
        return [
            self.summary(),
            *self.left_out.lines("chat"),
            *self.files_left_out.lines("file"),
            *self.messages_left_out.lines("message"),
            *([others] if self.ignored else []),
        ]

    def as_object(self) -> dict[str, Any]:
        """Return the report as an object for JSON."""
        return {
            "dry_run": self.dry_run,
            "imported": self.chats["new"],
            "restored": self.chats["restored"],
            "updated": self.chats["updated"],
            "unchanged": self.chats["unchanged"],
            "turns": self.turns,
            "texts": dict(self.texts),
            "origins": dict(self.origins),
            "left_out": self.left_out.rows(),
            "files_left_out": self.files_left_out.rows(),
            "messages_left_out": self.messages_left_out.rows(),
            "other_files": self.ignored,
            "errors": self.problems,
        }
