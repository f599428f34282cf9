"""Measurements, their ratios, the table and the JSON file."""

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Row:
    """One quantity, measured in turn on each contender: sample i of all was taken together."""

    what: str
    unit: str
    runs: dict[str, list[float]]
    """Contender → samples; the first is gptterm."""
    lower_is_better: bool = False
    reach: str = ""
    """What gptterm is meant to reach."""
    notes: list[str] = field(default_factory=list)

    def median(self, name: str) -> float:
        return statistics.median(self.runs[name])

    def ratio(self, name: str) -> float:
        """How many times better gptterm is than `name`: the median over the pairs."""
        ours = next(iter(self.runs.values()))
        pairs = zip(ours, self.runs[name], strict=True)
        if self.lower_is_better:
            return statistics.median(theirs / our for our, theirs in pairs)
        return statistics.median(our / theirs for our, theirs in pairs)

    def as_json(self) -> dict[str, Any]:
        names = list(self.runs)
        return asdict(self) | {
            "medians": {name: self.median(name) for name in names},
            "ratios": {name: self.ratio(name) for name in names[1:]},
        }


_HEAD = ("what", "engine", "median", "spread", "gptterm is", "reach")


def table(rows: Sequence[Row]) -> str:
    """All rows as text, one line for each contender."""
    lines: list[tuple[str, ...]] = [_HEAD]
    for row in rows:
        for i, name in enumerate(row.runs):
            samples = row.runs[name]
            better = f"{row.ratio(name):.2f} ×" if i else ""
            lines.append(
                (
                    "" if i else row.what,
                    name,
                    f"{row.median(name):.4g} {row.unit}",
                    f"{min(samples):.3g} – {max(samples):.3g}",
                    better,
                    "" if i else row.reach,
                )
            )
        lines += [("", note, "", "", "", "") for note in row.notes]
    # A note may run over the columns to its right.
    widths = [max(len(line[i]) for line in lines if any(line[2:])) for i in range(len(_HEAD))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def write_json(file: Path, machine: dict[str, Any], rows: Sequence[Row]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    document = {"machine": machine, "rows": [row.as_json() for row in rows]}
    file.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", "utf-8")
