"""`gptterm score --compare`: KL divergence a token, against NumPy on whole distributions."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from gptterm.engine.api import LoadRequest
from gptterm.engine.generation.loader import load_engine
from gptterm.models import bundled
from tests.cli.command import run, spawn

TEXT = "Once upon a time there was a little fox. 人工 The fox found a lantern.\n"


def log_probabilities(dtype: Any, ids: list[int]) -> "np.ndarray[Any, np.dtype[np.float64]]":
    """Of each token's successor, whole distributions in float64."""
    engine = load_engine(LoadRequest(source=bundled(), device="cpu", dtype=dtype))
    cache = engine.decoder.new_cache()
    logits = engine.decoder.forward(np.array([ids]), cache, last=len(ids))
    assert logits is not None
    z = logits.astype(np.float64)
    z -= z.max(-1, keepdims=True)
    return np.asarray(z - np.log(np.exp(z).sum(-1, keepdims=True)))


def test_the_divergence_is_that_of_the_whole_distributions(env: dict[str, str]) -> None:
    done = run(["score", "-m", "tiny", "--compare-dtype", "bfloat16", "--json"], env, TEXT.encode())
    assert (done.code, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    ids = [token["id"] for token in found["tokens"]]
    start = json.loads(run(["score", "-m", "tiny", "--json"], env, TEXT.encode()).stdout)[
        "start_ids"
    ]
    p, q = (log_probabilities(dtype, [*start, *ids][:-1]) for dtype in ("float32", "bfloat16"))
    kl = (np.exp(p) * (p - q)).sum(-1)
    assert [token["kl"] for token in found["tokens"]] == pytest.approx(kl, rel=0.02, abs=1e-7)
    assert found["kl"] == pytest.approx(kl.mean(), rel=0.02)
    for scores, reference in ((found["tokens"], p), ([t["other"] for t in found["tokens"]], q)):
        expected = reference[np.arange(len(ids)), ids]
        assert [each["logprob"] for each in scores] == pytest.approx(expected, abs=1e-4)
    assert found["compare"]["dtype"] == "bfloat16"
    assert found["same_best"] == int((p.argmax(-1) == q.argmax(-1)).sum())


def test_a_model_does_not_differ_from_itself(env: dict[str, str]) -> None:
    done = run(["score", "-m", "tiny", "--compare", "tiny", "--summary"], env, TEXT.encode())
    totals = dict(line.split("\t") for line in done.text.splitlines())
    assert totals["kl"] == "0"
    assert totals["same_best"] == totals["scored"]
    assert totals["perplexity"] == totals["other_perplexity"]


def test_an_adapted_model_is_compared_with_the_one_it_was(
    env: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "adapter_config.json").write_text('{"peft_type": "LORA", "lora_alpha": 2}')
    sides = {"A": np.ones((1, 192), np.float32), "B": np.ones((768, 1), np.float32)}
    name = "base_model.model.transformer.h.0.mlp.c_fc.lora_%s.weight"
    file = tmp_path / "adapter_model.safetensors"
    save_file({name % side: array for side, array in sides.items()}, file)
    arguments = ["score", "-m", "tiny", "--adapter", f"{tmp_path}=0.2", "--compare", "tiny"]
    done = run([*arguments, "--summary"], env, TEXT.encode())
    totals = dict(line.split("\t") for line in done.text.splitlines())
    assert (done.code, done.stderr) == (0, "")
    assert float(totals["kl"]) > 0.01


def test_a_long_text_is_compared_in_windows(env: dict[str, str]) -> None:
    text = b"The little fox ran to the river. " * 150
    one = json.loads(run(["score", "-m", "tiny", "--json"], env, text).stdout)
    both = json.loads(run(["score", "-m", "tiny", "--compare", "tiny", "--json"], env, text).stdout)
    assert both["scored"] == one["scored"]
    assert both["perplexity"] == pytest.approx(one["perplexity"], rel=1e-4)
    assert "windows" in both["notices"][0]


def test_other_vocabularies_are_not_compared(models: Path, env: dict[str, str]) -> None:
    done = run(["score", "-m", "tiny", "--compare", models / "random"], env, TEXT.encode())
    assert (done.code, done.stdout) == (2, b"")
    assert "different vocabularies" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_terminal_sees_where_they_disagree_most(env: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text(TEXT)
    svg = tmp_path / "a.svg"
    arguments = ["-m", "tiny", "--compare-dtype", "bfloat16", "--svg", svg]
    child = spawn(["score", tmp_path / "text.txt", *arguments], env)
    child.expect("where they disagree most")
    child.expect("KL divergence at each token")
    child.expect_exact("nats, from")
    child.wait()
    child.close()
    assert "disagree" in svg.read_text()
