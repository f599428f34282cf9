"""Benchmark rows: ratios, the table, the JSON file."""

import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Row:
    """One quantity, measured on each contender in turn: samples of the same index are paired."""

    what: str
    unit: str
    runs: dict[str, list[float]]
    """Contender → samples; the first is gptterm."""
    lower_is_better: bool = False
    reach: str = ""
    """Target of this row."""
    notes: list[str] = field(default_factory=list)

    def median(self, name: str) -> float:
        return statistics.median(self.runs[name])

    def ratio(self, name: str) -> float:
        """Median over the pairs of how many times better gptterm is than `name`."""
        ours = next(iter(self.runs.values()))
        pairs = zip(ours, self.runs[name], strict=True)
        if self.lower_is_better:
            return statistics.median(theirs / our for our, theirs in pairs)
        return statistics.median(our / theirs for our, theirs in pairs)

    def summary(self) -> dict[str, Any]:
        """Fields to save: everything but the single samples."""
        names = list(self.runs)
        return {
            "what": self.what,
            "unit": self.unit,
            "lower_is_better": self.lower_is_better,
            "reach": self.reach,
            "notes": self.notes,
            "medians": {name: self.median(name) for name in names},
            "ratios": {name: self.ratio(name) for name in names[1:]},
        }


_HEAD = ("what", "engine", "median", "spread", "gptterm is", "to baseline", "reach")


def table(rows: Sequence[Row], changes: Callable[[Row], Mapping[str, float]] = lambda _: {}) -> str:
    """All rows as text, one line for each contender.

    Args:
        changes: each contender's speed-up over the baseline.
    """
    lines: list[tuple[str, ...]] = [_HEAD]
    for row in rows:
        factors = changes(row)
        for i, name in enumerate(row.runs):
            samples = row.runs[name]
            lines.append(
                (
                    "" if i else row.what,
                    name,
                    f"{row.median(name):.4g} {row.unit}",
                    f"{min(samples):.3g} – {max(samples):.3g}",
                    f"{row.ratio(name):.2f} ×" if i else "",
                    f"{factors[name]:.2f} ×" if name in factors else "",
                    "" if i else row.reach,
                )
            )
        lines += [("", note, *[""] * (len(_HEAD) - 2)) for note in row.notes]
    # A note may run over the columns to its right.
    widths = [max(len(line[i]) for line in lines if any(line[2:])) for i in range(len(_HEAD))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def markdown(document: Mapping[str, Any]) -> str:
    """A baseline as the README's table: quantity, gptterm, each peer with its ratio."""
    machine = document["machine"]
    lines = ["| what | gptterm | beside it, in the same run | reach |", "|---|---|---|---|"]
    for row in document["rows"]:
        (_, ours), *peers = row["medians"].items()
        beside = [f"{name} {_figure(value)} ({row['ratios'][name]:.2f} ×)" for name, value in peers]
        own = f"**{_figure(ours)} {row['unit']}**"
        lines.append(f"| {row['what']} | {own} | {'; '.join(beside)} | {row['reach']} |")
    versions = ", ".join(
        f"{package} {machine[package]}"
        for package in ("torch", "transformers", "ctranslate2", "llama_cpp_python")
        if package in machine
    )
    return "\n".join(
        [
            *lines,
            "",
            f"{machine['cpu']}, {machine['cpus']} CPUs; {versions}; {machine['time'][:10]}.",
        ]
    )


def _figure(value: float) -> str:
    """Three digits, and no exponent."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def write_json(file: Path, machine: dict[str, Any], rows: Sequence[Row]) -> None:
    """Write all rows with their single samples."""
    file.parent.mkdir(parents=True, exist_ok=True)
    document = {"machine": machine, "rows": [row.summary() | {"runs": row.runs} for row in rows]}
    file.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", "utf-8")
