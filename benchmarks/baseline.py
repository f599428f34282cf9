"""Baselines: the last saved result of each kind of machine, with which runs are compared."""

import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.machine import short_name
from benchmarks.report import Row

RESULTS = Path(__file__).parent / "results"
TOLERANCE = 0.9
"""A row that has become slower than this factor is a regression."""


def path_for(machine: dict[str, Any], folder: Path = RESULTS) -> Path:
    return folder / f"{short_name(machine)}.json"


def load(file: Path) -> dict[str, Any]:
    """Load a baseline; one without rows if there is none."""
    if not file.exists():
        return {"machine": {}, "rows": []}
    document: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return document


def save(file: Path, machine: dict[str, Any], rows: Sequence[Row]) -> None:
    """Save rows to a baseline; its other rows stay.

    Each row names its commit and date, since rows may come from several runs.
    """
    origin = {name: machine[name] for name in ("time", "commit")}
    new = {row.what: {**row.summary(), **origin} for row in rows}
    old = {row["what"]: row for row in load(file)["rows"]}
    document = {"machine": machine, "rows": [*(old | new).values()]}
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", "utf-8")


def changes(document: dict[str, Any], row: Row) -> dict[str, float]:
    """Speed-up of each contender of a row over the baseline, where that has it."""
    old = next((saved for saved in document["rows"] if saved["what"] == row.what), None)
    if old is None:
        return {}
    return {
        name: was / now if row.lower_is_better else now / was
        for name, was in old["medians"].items()
        if name in row.runs and was > 0 and (now := row.median(name)) > 0
    }


def is_regression(row: Row, factors: dict[str, float]) -> bool:
    """Whether gptterm is slower than its baseline, and the machine as a whole is not."""
    ours = next(iter(row.runs))
    if ours not in factors:
        return False
    peers = [factor for name, factor in factors.items() if name != ours]
    # A peer that became faster is no fault of ours.
    machine = min(1.0, statistics.median(peers)) if peers else 1.0
    return factors[ours] < TOLERANCE * machine
