"""`gptterm models convert`, and what other commands say of a model in int8."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import COMMAND, Result, environment, run
from tests.models.test_cache_trouble import READ_ONLY, mounted

SMALL = 'mount -t tmpfs -o size=1m none "$0"'


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return environment(tmp_path)


def ask(env: dict[str, str], *arguments: str) -> dict[str, Any]:
    """The object that `--json` prints for three tokens of tiny."""
    done = run(["-m", "tiny", "-n", "3", "--no-save", "--json", *arguments], env, b"Once upon")
    assert (done.code, done.stderr) == (0, "")
    line: dict[str, Any] = json.loads(done.stdout)
    return line


def test_auto_changes_only_when_it_is_told_to(env: dict[str, str]) -> None:
    before = ask(env)
    assert before["dtype"] == "float32"
    assert "fidelity_kl" not in before
    asked = ask(env, "--dtype", "int8")
    assert (asked["dtype"], ask(env)["dtype"]) == ("int8", "float32")
    assert 0 < asked["fidelity_kl"] < 0.01

    done = run(["models", "convert", "tiny"], env)
    assert (done.code, done.text) == (0, "")
    assert done.stderr.startswith("tiny: int8, ")
    assert "nats a token from float32; auto uses it on a CPU" in done.stderr
    after = ask(env)
    assert (after["dtype"], after["fidelity_kl"]) == ("int8", asked["fidelity_kl"])

    undone = run(["models", "convert", "--undo", "tiny"], env)
    assert undone.code == 0
    assert undone.stderr.startswith("tiny: conversion deleted, ")
    assert ask(env)["dtype"] == "float32"
    again = run(["models", "convert", "--undo", "tiny"], env)
    assert (again.code, again.stderr) == (0, "tiny: there is no conversion\n")


def test_what_a_kv_cache_in_int8_costs_is_told(env: dict[str, str]) -> None:
    about = ("models", "info", "tiny")
    assert "kv_dtype" not in ask(env)
    asked = ask(env, "--kv-dtype", "int8")
    assert asked["kv_dtype"] == "int8"
    kl = asked["kv_fidelity_kl"]
    assert 0 < kl < 0.01
    told = f"KL {kl:.2g} nats a token from float32)"
    assert f"1.7 kB in int8 ({told}" in run(about, env).text
    said = run(["-m", "tiny", "-n", "1", "-v", "x"], env | {"GPTTERM_KV_DTYPE": "int8"}).stderr
    assert f"1.7 kB of KV cache a token (in int8, {told}" in said


def test_what_a_conversion_costs_is_told(env: dict[str, str], tmp_path: Path) -> None:
    about = ("models", "info", "tiny")
    assert json.loads(run([*about, "--json"], env).text)["int8"] is None
    assert "int8 " not in run(about, env).text
    kl = ask(env, "--dtype", "int8")["fidelity_kl"]
    found = json.loads(run([*about, "--json"], env).text)["int8"]
    assert found["fidelity_kl"] == kl
    assert found["auto"] is False
    assert found["size"] == os.stat(found["path"]).st_size
    assert f"KL {kl:.2g} nats a token" in run(about, env).text
    said = run(["-m", "tiny", "-n", "1", "--no-save", "-v", "--dtype", "int8"], env, b"Once")
    assert f"int8 (KL {kl:.2g} nats a token from float32)" in said.stderr
    folder = tmp_path / "cache" / "converted"
    assert f"converted  {folder}, " in run(["doctor", "--offline"], env).text


def test_architectures_that_have_no_int8(env: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    done = run(["models", "convert", str(tmp_path)], env)
    assert done.code == 3
    assert done.stderr.count("\n") == 1


def on_disk(mount: str, folder: Path, *arguments: str) -> Result:
    """Run gptterm with GPTTERM_HOME on a disk of its own."""
    command = [*mounted(mount, folder), *COMMAND, *arguments]
    done = subprocess.run(
        command,
        env=environment(folder),
        input=b"Once",
        capture_output=True,
        timeout=180,
        check=False,
    )
    return Result(done.returncode, done.stdout, done.stderr.decode())


@pytest.mark.parametrize("mount", [SMALL, READ_ONLY])
def test_where_nothing_can_be_kept(mount: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    said = on_disk(mount, home, "-m", "tiny", "-n", "2", "--no-save", "--dtype", "int8")
    assert (said.code, said.stderr) == (0, "")
    assert said.stdout
    refused = on_disk(mount, home, "models", "convert", "tiny")
    assert refused.code == 3
    assert f"the conversion cannot be saved in {home}" in refused.stderr
    assert refused.stderr.count("\n") == 1
