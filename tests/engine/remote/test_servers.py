"""Names of remote models, addresses, and where keys go."""

from pathlib import Path

import pytest

from gptterm.engine.remote.servers import Access, Server, Servers, full_name, normalise_url
from gptterm.errors import ModelError, UsageError

LAB = Server(url="https://lab.example/v1", key_env="LAB_KEY", headers={"X-Token": "hush-hush"})


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-openai")
    monkeypatch.setenv("LAB_KEY", "lab-key")
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)


@pytest.mark.parametrize(
    ("typed", "url"),
    [
        ("http://localhost:8000", "http://localhost:8000/v1"),
        ("http://LocalHost:8000/", "http://localhost:8000/v1"),
        ("https://x.example/api/v1/", "https://x.example/api/v1"),
        ("https://x.example/v1/chat/completions", "https://x.example/v1"),
        ("http://[::1]:80/v1", "http://[::1]:80/v1"),
    ],
)
def test_addresses_are_made_alike(typed: str, url: str) -> None:
    assert normalise_url(typed) == url


@pytest.mark.parametrize(
    "typed",
    [
        "", "localhost:8000", "ftp://x/v1", "http://", "http://user:secret@x/v1", "http://x/v1?k=1",
        "http://x/v1#a", "http://x:port/v1", "http://x y/v1", "http://x/\x1b", "http://[/v1",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused_without_its_password(typed: str) -> None:
    with pytest.raises(UsageError) as caught:
        normalise_url(typed)
    assert "secret" not in str(caught.value)


def test_names_have_their_server_in_them() -> None:
    servers = Servers(named={"lab": LAB}, chosen="http://gpu:8000")
    for name in ("openai/gpt-4.1", "lab/llama", "qwen2.5@http://gpu:8000/v1", "lab/org/llama"):
        remote = servers.find(name)
        assert remote is not None
        assert full_name(remote) == name
    for name in ("gpt2", "openai-community/gpt2", "Qwen/Qwen3-0.6B", "./lab", "a@b", "tiny"):
        assert servers.find(name) is None
    assert servers.model_name("qwen2.5") == "qwen2.5@http://gpu:8000/v1"
    # Any name goes with a server.
    assert servers.model_name("openai/gpt-4.1") == "openai/gpt-4.1@http://gpu:8000/v1"
    assert Servers(named={"lab": LAB}, chosen="lab").model_name("org/m") == "lab/org/m"


def access(servers: Servers, name: str) -> Access:
    remote = servers.find(name)
    assert remote is not None
    return servers.access(remote)


def test_a_key_goes_to_its_own_server_only() -> None:
    servers = Servers(named={"lab": LAB}, chosen="http://gpu:8000")
    assert access(servers, "openai/gpt-4.1").key == "sk-openai"
    assert access(servers, "lab/m").key == "lab-key"
    assert access(servers, "lab/m").headers == (("X-Token", "hush-hush"),)
    assert access(servers, "m@http://gpu:8000/v1").key == "sk-openai"
    # The name of a saved chat must not choose who gets the key.
    assert access(servers, "m@http://evil.example/v1").key == ""
    assert access(Servers(), "m@http://gpu:8000/v1").key == ""


def test_a_key_of_the_command_line_is_for_the_server_of_the_command_line() -> None:
    servers = Servers(named={"lab": LAB}, chosen="lab", api_key="given")
    assert access(servers, "lab/m").key == "given"
    assert access(servers, "openai/gpt-4.1").key == "sk-openai"
    assert access(servers, "m@http://gpu/v1").key == ""


def test_a_missing_key_is_told_before_anything_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    monkeypatch.delenv("LAB_KEY")
    with pytest.raises(ModelError, match="OPENAI_API_KEY is not set"):
        access(Servers(), "openai/gpt-4.1")
    with pytest.raises(ModelError, match="LAB_KEY is not set"):
        access(Servers(named={"lab": LAB}), "lab/m")
    # A server of one's own may need none.
    assert access(Servers(chosen="http://gpu"), "m@http://gpu/v1").key == ""


def test_a_key_file_must_be_private(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("file-key\n")
    servers = Servers(named={"lab": Server(url="http://lab/v1", key_file=str(file))})
    file.chmod(0o644)
    with pytest.raises(ModelError, match="other users can read the key file"):
        access(servers, "lab/m")
    file.chmod(0o600)
    assert access(servers, "lab/m").key == "file-key"
    file.write_text("")
    with pytest.raises(ModelError, match="is empty"):
        access(servers, "lab/m")
    file.unlink()
    with pytest.raises(ModelError, match="cannot be read"):
        access(servers, "lab/m")


def test_a_key_that_cannot_be_sent_is_refused_and_not_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "two words\nX-Evil: 1")
    with pytest.raises(ModelError) as caught:
        access(Servers(), "openai/gpt-4.1")
    assert "Evil" not in str(caught.value)


def test_secrets_are_in_no_repr() -> None:
    servers = Servers(named={"lab": LAB}, chosen="lab", api_key="given-key")
    shown = f"{servers!r} {access(servers, 'lab/m')!r} {LAB!r}"
    assert "given-key" not in shown
    assert "hush" not in shown
    assert "lab-key" not in shown
