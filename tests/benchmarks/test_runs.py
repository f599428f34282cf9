"""Whole parts of the benchmarks on a tiny model, what survives a failure, and the baseline."""

import json
from pathlib import Path
from typing import Any

import pytest

import gptterm
from benchmarks import __main__ as command
from benchmarks import (
    baseline,
    cuda,
    gpt_family,
    inspection,
    isolated,
    machine,
    model,
    multi_turn,
    throughput,
    writing,
)
from benchmarks.engines import Contender
from benchmarks.report import Row, markdown, table


def steady(_prompt: object, samples: int, _tokens: int) -> float:
    return 10.0 * samples


def failing(_prompt: object, _samples: int, _tokens: int) -> float:
    raise ValueError("out of order")


def test_every_row_of_throughput_is_measured(
    small: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(throughput, "TOKENS", {1: 4, 8: 2, 64: 2})
    monkeypatch.setattr(throughput, "WARM_UP", 2)
    monkeypatch.setattr(throughput, "read_bandwidth", lambda: 1e9)
    rows = list(throughput.rows(small, rounds=1))
    assert "left out" not in capfd.readouterr().err
    assert [row.what for row in rows] == [
        *(f"batch 1, {dtype}" for dtype in throughput.DTYPES),
        *(f"one step, {dtype}" for dtype in ("float32", "int8")),
        *(f"{n} samples, {dtype}" for n in (8, 64) for dtype in ("float32", "int8")),
    ]
    for row in rows:
        assert next(iter(row.runs)) == "gptterm"
        assert all(row.median(name) > 0 for name in row.runs)
    assert rows[0].ratio("memory's limit") > 0


def test_a_contender_that_fails_is_left_out_and_named() -> None:
    def unloadable() -> Contender:
        raise ImportError("no such library")

    contenders = {
        "gptterm": lambda: steady,
        "broken": lambda: failing,
        "missing": unloadable,
        "other": lambda: steady,
    }
    row = throughput.measure("speed", contenders, 8, 2, [1])
    assert row.runs == {"gptterm": [80.0, 80.0], "other": [80.0, 80.0]}
    assert row.notes == [
        "missing is left out: ImportError: no such library",
        "broken is left out: ValueError: out of order",
    ]
    with pytest.raises(RuntimeError, match="speed, gptterm: out of order"):
        throughput.measure("speed", {"gptterm": lambda: failing}, 8, 2, [1])


def test_a_row_that_takes_too_long_has_fewer_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throughput, "TIMEOUT_S", 0.0)
    row = throughput.measure("speed", {"gptterm": lambda: steady}, 8, 5, [1])
    assert row.runs == {"gptterm": [80.0]}


def test_a_row_that_fails_leaves_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    row = Row(what="speed", unit="tok/s", runs={"gptterm": [1.0]})

    def fails() -> Row:
        raise ValueError("no")

    assert list(throughput.attempt([lambda: row, fails, lambda: row])) == [row, row]
    assert "left out: ValueError: no" in capsys.readouterr().err


def test_a_later_turn_is_timed_beside_one_without_a_history(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(multi_turn, "HISTORY_TOKENS", 60)
    (row,) = multi_turn.rows(small, rounds=1)
    assert [*row.runs] == ["gptterm", "no history", "transformers"]


def test_every_look_into_a_model_is_timed(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = {"LENGTH": 60, "SCORED": 1100, "LONG": 1100, "DECODED": 3, "DECODINGS": 1}
    for name, count in counts.items():
        monkeypatch.setattr(inspection, name, count)
    rows = list(inspection.rows(small, rounds=1))
    assert len(rows) == 2 * 6 + 2 + 2
    assert all(row.median(name) > 0 for row in rows for name in row.runs)
    assert [*rows[-2].runs] == ["gptterm", "transformers"]


def test_the_rest_of_the_family_is_measured(
    small: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    shapes = {name: (kind, 8, 4, reach) for name, (kind, *_, reach) in gpt_family.SHAPES.items()}
    monkeypatch.setattr(gpt_family, "SHAPES", shapes)
    rows = list(gpt_family.rows(small, rounds=1))
    assert "left out" not in capfd.readouterr().err
    assert [row.what.split()[0] for row in rows] == ["GPT-1", "GPT-Neo"]
    for row in rows:
        assert row.runs.keys() == {"gptterm", "transformers float32"}
        assert all(row.median(name) > 0 for name in row.runs)


def test_the_part_for_gpus_is_ready_to_run(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda, "TOKENS", {1: 4, 256: 3})
    monkeypatch.setattr(cuda, "read_bandwidth", lambda **_: 1e9)
    for samples in cuda.TOKENS:
        row = cuda.batch(small, 1, samples, device="cpu")
        assert row.runs["gptterm"][0] > 0
        assert row.runs["transformers bfloat16"][0] > 0
        assert "≥" in row.reach


def test_write_mode_is_measured(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, count in {"BEFORE": 20, "TOKENS": 4, "LENGTH": 20}.items():
        monkeypatch.setattr(writing, name, count)
    rows = [writing.continuations_row(small, 1), writing.swap_row(small, 1)]
    assert [[*row.runs] for row in rows] == [["gptterm", "one"], ["gptterm", "continuation"]]
    assert all(row.median(name) > 0 for row in rows for name in row.runs)


@pytest.mark.slow
def test_a_key_while_branches_stream_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "KEYS", 2)
    monkeypatch.setattr(writing, "WORDS", 500)
    monkeypatch.setattr(writing, "STREAMED", 400)
    row = writing.key_row(Path(gptterm.__file__).parent / "models" / "tiny")
    assert row.median("gptterm") > 0


def test_a_part_in_a_process_of_its_own_sends_its_rows(small: Path) -> None:
    (row,) = isolated.rows_of("benchmarks.multi_turn", small, 1)
    assert row.median("gptterm") > 0


def test_the_bytes_of_the_weights_are_those_of_the_file(small: Path) -> None:
    size = model.sizes(small)
    header = 8 + int.from_bytes((small / "model.safetensors").read_bytes()[:8], "little")
    assert size.weight_bytes("float32") + header == (small / "model.safetensors").stat().st_size
    assert size.step_bytes("int8", past=10) == size.matrices + 10 * size.past * 4


def row(speed: float, peer: float) -> Row:
    return Row(what="speed", unit="tok/s", runs={"gptterm": [speed], "peer": [peer]})


def saved(folder: Path, *rows: Row) -> dict[str, Any]:
    file = folder / "baseline.json"
    facts = {"cpu": "A CPU", "cpus": 2, "time": "2026-01-02T03:04", "commit": "abc", "torch": "2"}
    baseline.save(file, facts, rows)
    return baseline.load(file)


def test_a_run_is_compared_with_the_baseline(tmp_path: Path) -> None:
    document = saved(tmp_path, row(100, 50))
    assert baseline.changes(document, row(80, 50)) == {"gptterm": 0.8, "peer": 1.0}
    lines = table([row(80, 50)], lambda r: baseline.changes(document, r)).splitlines()
    assert "0.80 ×" in lines[1]
    wall = Row(what="wall", unit="s", runs={"gptterm": [2.0]}, lower_is_better=True)
    assert baseline.changes(saved(tmp_path, wall), Row("wall", "s", {"gptterm": [4.0]}, True)) == {
        "gptterm": 0.5
    }


@pytest.mark.parametrize(
    ("speed", "peer", "expected"),
    [(80, 50, True), (95, 50, False), (50, 25, False), (95, 100, False), (60, 40, True)],
)
def test_a_slow_machine_is_no_regression(
    tmp_path: Path, speed: float, peer: float, expected: bool
) -> None:
    now = row(speed, peer)
    factors = baseline.changes(saved(tmp_path, row(100, 50)), now)
    assert baseline.is_regression(now, factors) is expected


def test_rows_that_were_not_measured_stay_in_the_baseline(tmp_path: Path) -> None:
    saved(tmp_path, row(100, 50), Row(what="other", unit="s", runs={"gptterm": [1.0]}))
    document = saved(tmp_path, row(120, 50))
    assert [(r["what"], r["medians"]["gptterm"]) for r in document["rows"]] == [
        ("speed", 120),
        ("other", 1.0),
    ]
    assert {r["commit"] for r in document["rows"]} == {"abc"}
    assert baseline.load(tmp_path / "nothing.json")["rows"] == []


def test_the_readmes_table(tmp_path: Path) -> None:
    assert markdown(saved(tmp_path, row(123.4, 50))).splitlines() == [
        "| what | gptterm | beside it, in the same run | reach |",
        "|---|---|---|---|",
        "| speed | **123 tok/s** | peer 50 (2.47 ×) |  |",
        "",
        "A CPU, 2 CPUs; torch 2; 2026-01-02.",
    ]


def test_the_command_measures_compares_saves_and_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(directory: Path, rounds: int) -> list[Row]:
        raise ValueError(f"no model in {directory.name} for {rounds}")

    speeds = iter([100.0, 80.0])
    parts = {"one": lambda _, __: iter([row(next(speeds), 50)]), "two": broken}
    monkeypatch.setattr(command, "PARTS", parts)
    monkeypatch.setattr(baseline, "path_for", lambda _: tmp_path / "baseline.json")
    given = ["--model", str(tmp_path), "--json", str(tmp_path / "all.json"), "--rounds", "1"]
    command.main([*given, "--save"])
    assert "left out: ValueError: no model" in capsys.readouterr().err
    command.main(given)
    printed = capsys.readouterr().out
    assert "0.80 ×" in printed
    assert "Slower than the baseline, by more than the peers: speed" in printed
    assert json.loads((tmp_path / "all.json").read_text())["rows"][0]["runs"]["gptterm"] == [80.0]
    command.main(["--markdown"])
    assert "| speed | **100 tok/s** |" in capsys.readouterr().out


def test_a_machine_has_a_file_name_and_facts() -> None:
    facts = machine.facts()
    assert facts["torch"]
    there = {"cpu": "Intel(R) Xeon(R) CPU @ 2.2GHz", "cpus": 4, "vectors": "avx2"}
    assert machine.short_name(there) == "intel-r-xeon-r-cpu-2-2ghz-4-avx2"
