"""A disk that is full, a home that cannot be written to. Real ones, in a mount namespace."""

import subprocess
from pathlib import Path

import pytest

from tests.models.conftest import Machine
from tests.support.hub import Hub

GPT2 = "openai-community/gpt2"


def mounted(command: str, folder: Path) -> tuple[str, ...]:
    """Prefix of a command that makes it see `folder` ($0) mounted in some way."""
    folder.mkdir(exist_ok=True)
    prefix = ("unshare", "-rm", "sh", "-c", f'{command} && exec "$@"', str(folder))
    try:
        works = subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        works = False
    if not works:
        pytest.skip("needs Linux user namespaces")
    return prefix


READ_ONLY = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0"'


def test_a_disk_that_becomes_full(machine: Machine, hub: Hub) -> None:
    repository = hub.repositories[GPT2]
    repository.files["model.safetensors"] = bytes(1_000_000)
    repository.claimed_sizes = dict.fromkeys(repository.files, 0)  # so that it is not foreseen
    full = mounted('mount -t tmpfs -o size=256k none "$0"', machine.home / "hf")

    answer = machine.ask("models.resolve('gpt2')", prefix=full)

    assert answer.error is not None
    assert f"the disk is full: gpt2 does not fit in {machine.cache}" in answer.error
    assert "\n" not in answer.error


def test_a_read_only_home(machine: Machine) -> None:
    read_only = mounted(READ_ONLY, machine.home)

    refused = machine.ask("models.resolve('gpt2')", prefix=read_only)
    machine.ask("models.resolve('gpt2')")
    used = machine.ask("models.resolve('gpt2')", prefix=read_only)

    assert refused.error is not None
    assert f"gpt2 cannot be saved in {machine.cache}, which is not writable" in refused.error
    assert "\n" not in refused.error
    assert used.error is None


def test_a_cache_folder_that_is_a_file(machine: Machine) -> None:
    (machine.home / "hf").write_text("not a folder")

    answer = machine.ask("models.resolve('gpt2')")

    assert answer.error is not None
    assert "gpt2 cannot be saved in" in answer.error
