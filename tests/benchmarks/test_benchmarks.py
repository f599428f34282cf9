"""The benchmarks' own parts: the model made by rule, the contenders, the ratios, the commands."""

import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks import (
    batch,
    cluster,
    engines,
    gguf_shapes,
    optional,
    shapes,
    startup,
    throughput,
    warm,
)
from benchmarks.report import Row, table
from gptterm.engine.api import (
    Finished,
    GenerateRequest,
    LoadRequest,
    ModelSource,
    SamplingParams,
    TextPrompt,
    Token,
)
from gptterm.engine.generation.loader import load_engine
from gptterm.engine.text.tokenizer_files import load_tokenizer
from tests.benchmarks.conftest import SMALL


def greedy(source: ModelSource) -> list[int]:
    engine = load_engine(LoadRequest(source=source, device="cpu", dtype="float32"))
    request = GenerateRequest(
        prompt=TextPrompt(text="the king"),
        sampling=SamplingParams(temperature=0),
        max_tokens=12,
        ignore_eos=True,
    )
    events = list(engine.generate(request))
    assert isinstance(events[-1], Finished), events[-1]
    return [event.id for event in events if isinstance(event, Token)]


def test_the_tokenizer_made_by_rule_has_gpt2s_size_and_loses_nothing(tmp_path: Path) -> None:
    shapes.write_tokenizer(tmp_path, 50_257)
    tokenizer = load_tokenizer(tmp_path)
    assert tokenizer.vocab_size == 50_257
    text = "The quick brown fox\n  jumps — 人工智能 👩‍🚀"
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert len(ids) < len(text.encode()) * 0.8
    assert tokenizer.end_ids == {50_256}


def test_the_model_is_made_once_and_runs(small: Path) -> None:
    weights = small / "model.safetensors"
    made = weights.stat().st_mtime_ns
    assert shapes.make(small, SMALL) == small
    assert weights.stat().st_mtime_ns == made
    assert len(greedy(ModelSource(name="small", directory=str(small)))) == 12


@pytest.mark.parametrize("kind", gguf_shapes.KINDS)
def test_files_of_a_real_shape_run(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = gguf_shapes.Shape("qwen3", 2, 256, 512, 4, 2, 64, 1000)
    monkeypatch.setitem(gguf_shapes.SHAPES, "small", sizes)
    file = gguf_shapes.file_for(tmp_path, "small", kind)
    assert gguf_shapes.file_for(tmp_path, "small", kind) == file
    source = ModelSource(name="small", directory=str(tmp_path), gguf_file=file.name)
    assert len(greedy(source)) == 12
    assert engines.prefill(file, "float32")([5, 6, 7], 1, 1) > 0


def test_contenders_time_the_tokens_after_the_first(small: Path) -> None:
    assert engines.rate([5.0, 6.0, 7.0, 9.0], samples=4) == 3.0
    for contender in (
        engines.timed(engines.ours(small, "float32")),
        engines.timed(engines.bare(small, "float32")),
        engines.transformers(small, "float32"),
    ):
        assert contender([1, 2, 3], 1, 4) > 0
        assert contender([1, 2, 3], 2, 4) > 0


def test_pipeline_and_decoder_are_timed_step_by_step(small: Path) -> None:
    ours, bare = engines.ours(small, "float32"), engines.bare(small, "float32")
    row = throughput.overhead_row("step", ours, bare, 1, [1, 2, 3])
    assert [len(times) for times in row.runs.values()] == [throughput.TOKENS[1] - 1] * 2
    assert row.median("gptterm") > 0


def test_the_converted_gguf_file_is_the_same_model(small: Path) -> None:
    for precision in optional.GGUF_TYPES:
        optional.write_gguf(small, small.parent / f"{precision}.gguf", precision)
    here = ModelSource(name="small", directory=str(small))
    there = ModelSource(name="gguf", directory=str(small.parent), gguf_file="float32.gguf")
    assert greedy(there) == greedy(here)


@pytest.mark.parametrize(("lower_is_better", "ratios"), [(False, [0.5, 2.0]), (True, [2.0, 0.5])])
def test_a_ratio_is_the_median_over_the_pairs(lower_is_better: bool, ratios: list[float]) -> None:
    row = Row(
        what="speed",
        unit="tok/s",
        runs={"gptterm": [1.0, 2.0, 30.0], "fast": [2.0, 4.0, 1.0], "slow": [0.5, 1.0, 15.0]},
        lower_is_better=lower_is_better,
        reach="≥ 1",
        notes=["a note that is longer than the column it stands in"],
    )
    assert [row.ratio("fast"), row.ratio("slow")] == ratios
    lines = table([row]).splitlines()
    assert lines[1].split() == ["speed", "gptterm", "2", "tok/s", "1", "–", "30", "≥", "1"]
    assert lines[2].split()[-2:] == [f"{ratios[0]:.2f}", "×"]
    assert lines[4].strip() == row.notes[0]


def test_a_command_is_timed_and_weighed(tmp_path: Path) -> None:
    script = "import sys; block = bytearray(200 << 20); print(sys.stdin.read())"
    run = startup.run(startup.Command([sys.executable, "-c", script], b"hi"), tmp_path)
    assert 0 < run.first_byte_s <= run.wall_s
    assert 200 < run.peak_mib < 2000


@pytest.mark.parametrize(
    ("script", "words"),
    [("import sys; sys.exit('no such model')", "no such model"), ("pass", "no message")],
)
def test_a_command_that_did_nothing_is_no_measurement(
    script: str, words: str, tmp_path: Path
) -> None:
    with pytest.raises(startup.CommandFailedError, match=words):
        startup.run(startup.Command([sys.executable, "-c", script], b"hi"), tmp_path)


def test_a_warm_engine_is_timed_beside_a_cold_start(small: Path) -> None:
    wall, first, memory = warm.warm_rows(small, rounds=1)
    assert list(wall.runs) == ["gptterm", "gptterm, cold", "python -c pass"]
    assert list(first.runs) == ["gptterm", "gptterm, cold"]
    assert min(memory.median(name) for name in memory.runs) > 0


def test_a_scripted_server_keeps_time_and_counts_what_is_in_flight() -> None:
    load = batch.serve(16, 4, 0.05, 4)
    assert load.requests == 16
    assert load.wall_s >= 4 * 0.05
    assert 0 < load.mean_in_flight <= 4


def test_the_growth_with_workers_is_drawn() -> None:
    svg = cluster.draw({1: 100.0, 2: 150.0})
    assert svg.count("<circle") == 2
    assert "scripted servers stand in" in svg
    ElementTree.fromstring(svg)
