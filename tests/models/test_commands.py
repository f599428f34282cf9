"""`gptterm models` and `gptterm doctor` as they are typed."""

import json
import os
import re
import shutil
import signal
import sys
import threading
from pathlib import Path

import numpy
import pexpect
import pytest
from gguf import GGUFWriter

from gptterm.engine.quantization import conversion_cache
from tests.models.conftest import Machine
from tests.support.hub import Hub

GPT2 = "openai-community/gpt2"
COMMAND = ("-m", "gptterm")
PATIENCE = 180


def terminal(machine: Machine, *arguments: str) -> "pexpect.spawn[str]":
    """Start gptterm in a pseudo-terminal."""
    return pexpect.spawn(
        sys.executable,
        [*COMMAND, *arguments],
        env=machine.environment | {"TERM": "xterm-256color"},
        cwd=str(machine.home),
        dimensions=(24, 100),
        timeout=PATIENCE,
        encoding="utf-8",
    )


def test_pull_list_path_and_rm(machine: Machine, hub: Hub) -> None:
    pulled = machine.run(*COMMAND, "models", "pull", "gpt2")
    assert (pulled.returncode, pulled.stderr) == (0, "")
    snapshot = machine.snapshot(GPT2)
    assert pulled.stdout == f"{snapshot}\n"

    assert machine.run(*COMMAND, "models", "path", "gpt2").stdout == f"{snapshot}\n"

    table = machine.run(*COMMAND, "models", "list").stdout.splitlines()
    assert re.fullmatch(
        r"gpt2 +\d+ kB +0\.\d M +\d+ +base +gpt2 +native +openai-community/gpt2", table[-1]
    )
    rows = [
        json.loads(line)
        for line in machine.run(*COMMAND, "models", "list", "--json").stdout.splitlines()
    ]
    assert [row["name"] for row in rows] == ["tiny", "gpt2"]
    assert rows[1]["revision"] == hub.repositories[GPT2].sha
    assert rows[1]["problem"] is None
    assert (rows[0]["kind"], rows[0]["decoder"], rows[0]["used"]) == ("chat", "native", None)
    assert rows[0]["size"] > 1e6

    unsure = machine.run(*COMMAND, "models", "rm", "gpt2")
    assert (unsure.returncode, snapshot.exists()) == (2, True)
    removed = machine.run(*COMMAND, "models", "rm", "--yes", "gpt2")
    assert removed.returncode == 0
    assert removed.stderr.startswith("gpt2 deleted, ")
    assert list(machine.cache.glob("models--*")) == []
    assert machine.run(*COMMAND, "models", "rm", "--yes", "gpt2").returncode == 3


def test_rm_takes_the_conversion_along(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine.run(*COMMAND, "models", "pull", "gpt2").returncode == 0
    home = str(machine.home / "gptterm")
    monkeypatch.setenv("GPTTERM_HOME", home)
    place = conversion_cache.path_for(machine.snapshot(GPT2))
    assert place is not None
    place.parent.mkdir(parents=True)
    place.write_bytes(b"weights")
    removed = machine.run(*COMMAND, "models", "rm", "--yes", "gpt2", GPTTERM_HOME=home)
    assert removed.returncode == 0
    assert list(place.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (
            ("path", "gpt2"),
            3,
            "gpt2 is not on this machine; `gptterm models pull gpt2` downloads it",
        ),
        (("info", "./nothing"), 3, "there is no directory ./nothing"),
        (("pull", "tiny"), 3, "tiny is not on the Hub: there is nothing to download"),
        (("pull", "org/nothing"), 3, "there is no model org/nothing on the Hub"),
        (("rm", "-y", "tiny"), 3, "only downloaded models can be deleted"),
        (("pull",), 2, "NAME is missing; see gptterm models pull --help"),
        (("info", "./" + "x" * 300), 3, "cannot be read: File name too long"),
        (("path", "GPT2"), 3, "(did you mean gpt2?); `gptterm models pull GPT2` downloads it"),
        (("info", "a b"), 3, "'a b' is not the name of a model: give tiny, gpt2, "),
    ],
)
def test_errors_are_one_line(
    machine: Machine, arguments: tuple[str, ...], code: int, message: str
) -> None:
    done = machine.run(*COMMAND, "models", *arguments)

    assert done.returncode == code
    assert done.stdout == ""
    assert message in done.stderr.lower() or message in done.stderr
    assert done.stderr.count("\n") == 1


def test_info(machine: Machine, directory: Path) -> None:
    text = machine.run(*COMMAND, "models", "info", str(directory)).stdout
    about = json.loads(machine.run(*COMMAND, "models", "info", str(directory), "--json").stdout)

    assert (about["architecture"], about["decoder"]) == ("gpt2", "native")
    assert about["context_length"] == 16
    assert about["vocab_size"] == 384
    assert about["parameters"] == 384 * 8 + 16 * 8 + 2 * (12 * 8 * 8 + 13 * 8) + 2 * 8
    assert about["fits"]["cpu"] == ["float32", "bfloat16", "float16", "int8"]
    assert re.search(r"^decoder +native$", text, re.MULTILINE)
    assert re.search(r"^context +16 tokens$", text, re.MULTILINE)
    assert about["memory"]["bfloat16"] == 2 * about["parameters"]
    assert about["cache_bytes_per_token"] == {"float32": 128, "float16": 64, "int8": 64}
    assert about["kv_fidelity_kl"] is None
    sizes = r"^KV cache +a token 128 bytes in float32, 64 bytes in float16, 64 bytes in int8$"
    assert re.search(sizes, text, re.MULTILINE)
    assert re.search(r"^fits cpu +float32, bfloat16, float16, int8$", text, re.MULTILINE)


def test_info_of_a_gguf(machine: Machine) -> None:
    file = machine.home / "some.gguf"
    writer = GGUFWriter(file, "gpt2")
    writer.add_context_length(16)
    writer.add_token_list(["a", "b", "c"])
    writer.add_chat_template("{{ messages }}")
    writer.add_tensor("token_embd.weight", numpy.zeros((3, 8), numpy.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    text = machine.run(*COMMAND, "models", "info", str(file)).stdout
    about = json.loads(machine.run(*COMMAND, "models", "info", str(file), "--json").stdout)
    assert (about["architecture"], about["decoder"]) == ("gpt2", "transformers")
    assert about["decoder_reason"] == "its metadata lacks gpt2.block_count"
    assert re.search(
        r"^decoder +transformers \(its metadata lacks gpt2.block_count\)$", text, re.MULTILINE
    )
    assert (about["parameters"], about["dtypes"]) == (24, "F16")
    assert (about["context_length"], about["vocab_size"]) == (16, 3)
    assert (about["size"], about["path"]) == (file.stat().st_size, str(file))
    assert about["fits"]["cpu"] == ["float32", "bfloat16", "float16"]
    assert re.search(r"^chat template +yes$", text, re.MULTILINE)


@pytest.mark.parametrize("size", [8, 24, 100, 600])
def test_info_of_a_damaged_gguf(machine: Machine, size: int) -> None:
    file = machine.home / "some.gguf"
    file.write_bytes(b"GGUF\x03\0\0\0" + bytes(range(1, 256)) * 4)
    os.truncate(file, size)
    done = machine.run(*COMMAND, "models", "info", str(file))
    assert done.returncode == 3
    assert done.stderr.startswith(f"gptterm: error: {file} is damaged")


def test_a_directory_that_cannot_be_searched_is_a_model_that_cannot_be_read(
    machine: Machine,
) -> None:
    """Also by a relative name, which could be one on the Hub."""
    closed = machine.home / "outer" / "closed"
    closed.mkdir(parents=True)
    closed.chmod(0)
    prefix: tuple[str, ...] = ()
    if os.geteuid() == 0:  # whom no mode keeps out
        rights = "-dac_override,-dac_read_search"
        prefix = ("setpriv", f"--bounding-set={rights}", f"--inh-caps={rights}")
        if shutil.which("setpriv") is None:
            pytest.skip("root can read everything")
    try:
        done = machine.run(*COMMAND, "models", "info", "outer/closed", prefix=prefix)
    finally:
        closed.chmod(0o700)
    assert (done.returncode, done.stdout) == (3, "")
    assert "outer/closed cannot be read: outer/closed/config.json: Permission denied" in done.stderr


SIZES = {"hidden_size": 8, "num_attention_heads": 2, "num_hidden_layers": 2}
NEO = {
    **SIZES,
    "model_type": "gpt_neo",
    "architectures": ["GPTNeoForCausalLM"],
    "max_position_embeddings": 16,
    "attention_types": [[["global", "local"], 1]],
}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"activation_function": "relu"}, "an activation other than GELU's approximation"),
        (NEO, ""),
    ],
)
def test_info_tells_what_will_compute_a_model(
    changes: dict[str, object], reason: str, machine: Machine, directory: Path
) -> None:
    file = directory / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    about = json.loads(machine.run(*COMMAND, "models", "info", str(directory), "--json").stdout)
    assert (about["decoder"], about["decoder_reason"]) == (
        "transformers" if reason else "native",
        reason,
    )
    assert ("int8" in about["fits"]["cpu"]) == (not reason)


def test_a_bar_on_a_terminal(machine: Machine) -> None:
    child = terminal(machine, "models", "pull", "gpt2")
    child.expect("100|━━━")
    child.expect(re.escape(str(machine.cache)))
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0


def test_ctrl_c_ends_a_download_that_can_be_taken_up_again(machine: Machine, hub: Hub) -> None:
    stall = threading.Event()
    hub.repositories[GPT2].stalls["model.safetensors"] = stall
    child = terminal(machine, "models", "pull", "gpt2")
    try:
        child.expect("━")
        while not hub.served("GET", "model.safetensors"):
            child.expect([r"\d", pexpect.TIMEOUT], timeout=0.2)
        child.kill(signal.SIGINT)
        child.expect(pexpect.EOF)
    finally:
        stall.set()
        child.close()

    assert child.exitstatus == 130
    assert "Traceback" not in (child.before or "")
    # What was complete is kept, what was not is gone once the download is done.
    assert (machine.snapshot(GPT2) / "tokenizer.json").is_file()
    del hub.repositories[GPT2].stalls["model.safetensors"]
    assert machine.run(*COMMAND, "models", "pull", "gpt2").returncode == 0
    assert hub.served("GET", "tokenizer.json") == 1
    assert list(machine.cache.rglob("*.incomplete")) == []


def test_a_download_that_another_process_is_at_is_waited_for(machine: Machine, hub: Hub) -> None:
    stall = threading.Event()
    hub.repositories[GPT2].stalls["model.safetensors"] = stall
    first = terminal(machine, "models", "pull", "gpt2")
    try:
        while not list(machine.cache.rglob("*.incomplete")):
            first.expect(["━", pexpect.TIMEOUT], timeout=0.2)
        second = terminal(machine, "models", "pull", "gpt2")
        second.expect("━")
        stall.set()
        for child in (first, second):
            child.expect(pexpect.EOF)
            child.close()
            assert child.exitstatus == 0
    finally:
        stall.set()
    assert hub.served("GET", "model.safetensors") == 1


def test_rm_asks_on_a_terminal(machine: Machine) -> None:
    machine.run(*COMMAND, "models", "pull", "gpt2")
    for answer, gone in (("n", False), ("y", True)):
        child = terminal(machine, "models", "rm", "gpt2")
        child.expect("Delete gpt2 from the cache")
        child.sendline(answer)
        child.expect(pexpect.EOF)
        child.close()
        assert child.exitstatus == 0
        assert (list(machine.cache.glob("models--*")) == []) is gone


def test_doctor(machine: Machine) -> None:
    machine.environment["HTTPS_PROXY"] = "http://user:secret@127.0.0.1:1"
    machine.environment["HF_TOKEN"] = "hf_secret"
    machine.run(*COMMAND, "models", "pull", "gpt2")
    text = machine.run(*COMMAND, "doctor")
    report = json.loads(machine.run(*COMMAND, "doctor", "--json").stdout)

    assert (text.returncode, text.stderr) == (0, "")
    assert "secret" not in text.stdout + json.dumps(report)
    assert report["versions"]["torch"]
    assert "cores" in report["devices"]["cpu"]
    assert report["files"]["cache"] == str(machine.cache)
    assert report["network"]["HTTPS_PROXY"] == "http://127.0.0.1:1"
    assert str(machine.snapshot(GPT2)) in report["models"]["gpt2"]
    assert report["default model"]["gpt2"] == f"on this machine, {machine.snapshot(GPT2)}"
    for section, rows in report.items():
        assert section in text.stdout
        assert all(label in text.stdout for label in rows)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "would be downloaded from http://127.0.0.1"),
        ({"HF_HUB_OFFLINE": "1"}, "gpt2 is not on this machine and gptterm is offline"),
        ({"HF_ENDPOINT": "http://127.0.0.1:1"}, "connection refused; gptterm would use tiny"),
    ],
)
def test_doctor_says_what_gpt2_would_be(
    machine: Machine, environment: dict[str, str], expected: str
) -> None:
    machine.environment |= environment
    report = json.loads(machine.run(*COMMAND, "doctor", "--json").stdout)
    assert expected in report["default model"]["gpt2"]


def test_doctor_survives_a_broken_config(machine: Machine) -> None:
    machine.environment["GPTTERM_HOME"] = str(machine.home)
    (machine.home / "config.toml").write_text("nonsense = [")
    done = machine.run(*COMMAND, "doctor", "--offline")
    assert done.returncode == 0
    assert "config.toml" in done.stdout.split("default model")[1]


@pytest.mark.parametrize("command", ["models", "doctor"])
def test_help_imports_nothing_heavy(machine: Machine, command: str) -> None:
    script = (
        f"import sys; from gptterm.cli.{command} import {command} as c;"
        "c.main(['--help'], standalone_mode=False);"
        "print(*sys.modules, sep='\\n', file=sys.stderr)"
    )
    imported = set(machine.run("-c", script).stderr.split())
    heavy = {"torch", "transformers", "textual", "rich", "huggingface_hub", "numpy"}
    assert "gptterm.errors" in imported
    assert not heavy & imported
