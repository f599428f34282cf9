"""Command line of the benchmarks."""

import argparse
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

from benchmarks import baseline, isolated, machine, startup, warm
from benchmarks.report import Row, markdown, table, write_json

TYPING_S = 10.0
RUNS = Path(__file__).parent.parent / ".runs"


def tui_rows(directory: Path, rounds: int) -> Iterable[Row]:
    """Rows of `benchmarks.tui`; imported late, since it needs a pseudo-terminal."""
    from benchmarks import tui

    return tui.tui_rows(directory, rounds, TYPING_S)


PARTS: dict[str, Callable[[Path, int], Iterable[Row]]] = {
    "help": lambda _, rounds: startup.help_rows(rounds),
    "cold": startup.cold_rows,
    "warm": warm.warm_rows,
    "first": lambda _, rounds: startup.first_run_rows(rounds),
    "throughput": partial(isolated.rows_of, "benchmarks.throughput"),
    "models": partial(isolated.rows_of, "benchmarks.real_models"),
    "inspect": partial(isolated.rows_of, "benchmarks.inspection"),
    "family": partial(isolated.rows_of, "benchmarks.gpt_family"),
    "turns": partial(isolated.rows_of, "benchmarks.multi_turn"),
    "batch": partial(isolated.rows_of, "benchmarks.batch"),
    "cuda": partial(isolated.rows_of, "benchmarks.cuda"),
    "write": partial(isolated.rows_of, "benchmarks.writing"),
    "tui": tui_rows,
}


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="gptterm beside its peers, one after the other in every round, and beside the"
        " baseline of this machine. Needs only what `make bench` installs; llama_cpp and"
        " ctranslate2 take part if they are there, CUDA where there is a GPU.",
    )
    parser.add_argument(
        "--model", type=Path, metavar="DIR", help="a GPT-2 directory [random weights of 124M]"
    )
    parser.add_argument("--rounds", type=int, default=3, help="measured rounds [3]")
    parser.add_argument("--only", choices=PARTS, nargs="+", default=list(PARTS), metavar="PART")
    parser.add_argument("--json", type=Path, metavar="FILE", help="file for all results [.runs/]")
    parser.add_argument(
        "--save", action="store_true", help="save the result as the baseline of later runs"
    )
    parser.add_argument(
        "--markdown", action="store_true", help="measure nothing; print the baseline as a table"
    )
    args = parser.parse_args(given)
    if args.rounds < 1:
        parser.error("--rounds must be 1 or more")
    return args


def main(given: Sequence[str] | None = None) -> None:
    args = arguments(given)
    facts = machine.facts()
    baseline_file = baseline.path_for(facts)
    before = baseline.load(baseline_file)
    if args.markdown:
        if not before["rows"]:
            sys.exit(f"no baseline of this machine ({baseline_file.name}); use --save first")
        print(markdown(before))
        return
    rows: list[Row] = []
    file = args.json or RUNS / time.strftime("bench-%Y%m%d-%H%M%S.json")
    directory = args.model or random_model()
    for name in args.only:
        print(f"{name}:", file=sys.stderr)
        try:
            for row in PARTS[name](directory, args.rounds):
                rows.append(row)
                write_json(file, facts, rows)  # at once: a later part may end everything
        except Exception as error:
            print(f"  left out: {type(error).__name__}: {error}", file=sys.stderr)
    print(f"{facts['cpu']}, {facts['cpus']} CPUs, load {facts['load'][0]:.1f} at the start")
    print(table(rows, partial(baseline.changes, before)))
    slower = [
        row.what for row in rows if baseline.is_regression(row, baseline.changes(before, row))
    ]
    if slower:
        print(f"\nSlower than the baseline, by more than the peers: {', '.join(slower)}")
    if args.save:
        baseline.save(baseline_file, facts, rows)
    print(f"\nWritten to {file}{f' and {baseline_file}' if args.save else ''}")


def random_model() -> Path:
    """Directory of the random model; written if missing."""
    directory = RUNS / "gpt2-shape"
    # In another process, since its memory counts in the peak of those it starts.
    subprocess.run([sys.executable, "-m", "benchmarks.shapes", str(directory)], check=True)
    return directory


if __name__ == "__main__":
    main()
