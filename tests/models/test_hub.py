"""Downloads: what is fetched, what is refused, what is kept."""

import pytest

from tests.models.conftest import Machine
from tests.support.checkpoint import sharded
from tests.support.hub import Hub, Repository

GPT2 = "openai-community/gpt2"


def test_a_download_takes_what_is_needed_and_nothing_else(
    machine: Machine, hub: Hub, files: dict[str, bytes]
) -> None:
    answer = machine.ask("models.resolve('gpt2')")

    assert answer.error is None
    assert answer.value["name"] == "gpt2"
    assert answer.value["revision"] == hub.repositories[GPT2].sha
    assert answer.value["notices"] == []
    snapshot = machine.snapshot(GPT2)
    assert answer.value["directory"] == str(snapshot)
    assert {f.name: f.read_bytes() for f in snapshot.iterdir()} == files
    assert answer.stderr == ""


def test_a_model_that_is_here_is_not_asked_for_again(machine: Machine, hub: Hub) -> None:
    first = machine.ask("models.resolve('gpt2')")
    hub.requests.clear()

    again = machine.ask("models.resolve('gpt2')")

    assert again.value == first.value
    assert hub.requests == []
    assert again.sockets == []
    assert not {"torch", "transformers", "httpx", "httpx2", "rich", "numpy"} & set(again.modules)


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        (", offline=True", {}),
        ("", {"HF_HUB_OFFLINE": "1"}),
        ("", {"TRANSFORMERS_OFFLINE": "1"}),
    ],
)
def test_offline_opens_no_socket(
    machine: Machine, hub: Hub, arguments: str, environment: dict[str, str]
) -> None:
    machine.environment |= environment
    answer = machine.ask(f"models.resolve('gpt2'{arguments})")

    assert answer.error is not None
    assert "gpt2 is not on this machine" in answer.error
    assert "offline" in answer.error
    assert answer.sockets == []
    assert hub.requests == []


def test_weights_in_several_files(machine: Machine, hub: Hub, files: dict[str, bytes]) -> None:
    files = sharded(files)
    hub.repositories["org/sharded"] = Repository(files | {"consolidated.safetensors": b"other"})

    answer = machine.ask("models.resolve('org/sharded')")

    assert answer.error is None
    assert {f.name for f in machine.snapshot("org/sharded").iterdir()} == set(files)


def test_a_side_file_that_is_too_large_is_not_downloaded(machine: Machine, hub: Hub) -> None:
    hub.repositories[GPT2].claimed_sizes["tokenizer.json"] = 10**9

    answer = machine.ask("models.resolve('gpt2')")

    assert "gpt2 has a tokenizer.json of 1.0 GB, more than such a file can have" in str(
        answer.error
    )
    assert not any("/resolve/" in request for request in hub.requests)


def test_an_interrupted_download_goes_on_where_the_connection_was_cut(
    machine: Machine, hub: Hub, files: dict[str, bytes]
) -> None:
    hub.repositories[GPT2].cuts["model.safetensors"] = [1000]

    answer = machine.ask("models.resolve('gpt2')")

    assert answer.error is None
    assert hub.served("GET", "model.safetensors") == 2
    weights = machine.snapshot(GPT2) / "model.safetensors"
    assert weights.read_bytes() == files["model.safetensors"]
    assert answer.stderr == ""


def test_a_snapshot_left_incomplete_is_completed(machine: Machine, hub: Hub) -> None:
    machine.ask("models.resolve('gpt2')")
    snapshot = machine.snapshot(GPT2)
    weights = snapshot / "model.safetensors"
    weights.resolve().unlink()
    weights.unlink()
    hub.requests.clear()

    offline = machine.ask("models.resolve('gpt2', offline=True)")
    answer = machine.ask("models.resolve('gpt2')")

    assert offline.error is not None
    assert answer.error is None
    assert [r for r in hub.requests if r.startswith("GET") and "/resolve/" in r] == [
        f"GET /{GPT2}/resolve/{snapshot.name}/model.safetensors"
    ]


def test_a_damaged_snapshot_is_not_used_and_can_be_mended(machine: Machine) -> None:
    machine.ask("models.resolve('gpt2')")
    weights = machine.snapshot(GPT2) / "model.safetensors"
    whole = weights.read_bytes()
    weights.resolve().write_bytes(whole[:-100])

    answer = machine.ask("models.resolve('gpt2')")
    mended = machine.ask("models.pull('gpt2')")

    assert answer.error is not None
    assert "model.safetensors is truncated" in answer.error
    assert "`gptterm models pull gpt2` downloads it again" in answer.error
    assert mended.error is None
    assert weights.read_bytes() == whole


def test_pull_brings_a_newer_revision(machine: Machine, hub: Hub) -> None:
    old = machine.ask("models.pull('gpt2')").value
    hub.repositories[GPT2].files["generation_config.json"] = b"{}"

    new = machine.ask("models.pull('gpt2')").value
    used = machine.ask("models.resolve('gpt2')").value

    assert new["revision"] == hub.repositories[GPT2].sha != old["revision"]
    assert used == new
    assert hub.served("GET", "model.safetensors") == 1


def test_a_moved_repository_is_found_by_its_old_id(machine: Machine, hub: Hub) -> None:
    hub.repositories["old-name"] = Repository({}, moved_to=GPT2)

    first = machine.ask("models.resolve('old-name')")
    again = machine.ask("models.resolve('old-name', offline=True)")

    assert first.error is None
    assert again.value == first.value


def test_a_snapshot_that_other_programs_cached_under_an_old_id(
    machine: Machine, hub: Hub, files: dict[str, bytes]
) -> None:
    hub.repositories["gpt2"] = Repository(files)
    download = (
        "import huggingface_hub as h, sys; [h.hf_hub_download('gpt2', f) for f in sys.argv[1:]]"
    )
    assert machine.run("-c", download, *files).returncode == 0

    answer = machine.ask("models.resolve('gpt2', offline=True)")

    assert answer.value["directory"] == str(machine.snapshot("gpt2"))


def test_the_token_opens_private_and_gated_repositories(
    machine: Machine, hub: Hub, files: dict[str, bytes]
) -> None:
    hub.repositories["me/private"] = Repository(files, private=True)
    hub.repositories["org/gated"] = Repository(files, gated=True)

    refused = [machine.ask(f"models.resolve('{name}')") for name in ("me/private", "org/gated")]
    let_in = [
        machine.ask(f"models.resolve('{name}')", HF_TOKEN=Hub.TOKEN)
        for name in ("me/private", "org/gated")
    ]

    assert all(answer.error and "HF_TOKEN" in answer.error for answer in refused)
    assert "gated" in str(refused[1].error)
    assert [answer.error for answer in let_in] == [None, None]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gpt-2", "there is no model gpt-2 on the Hub, or it is private and needs HF_TOKEN"),
        ("gpt-2", "did you mean gpt2?"),
        ("org/nothing-like-it", "there is no model org/nothing-like-it"),
    ],
)
def test_unknown_models(machine: Machine, name: str, expected: str) -> None:
    answer = machine.ask(f"models.resolve({name!r})")

    assert answer.error is not None
    assert expected in answer.error
    assert "\n" not in answer.error


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"model.safetensors": None, "pytorch_model.bin": b"x"}, "only pickled weights (pytorch"),
        ({"model.safetensors": None, "gpt.Q4_K.gguf": b"x"}, "only GGUF weights"),
        ({"model.safetensors": None, "tf_model.h5": b"x"}, "other frameworks"),
        ({"model.safetensors": None}, "no weights"),
        ({"tokenizer.json": None}, "no tokenizer"),
        ({"config.json": None}, "no config.json"),
        ({"config.json": b"{"}, "damaged config.json"),
        ({"config.json": b'{"model_type": "vit"}'}, "is a vit model"),
        (
            {"config.json": b'{"model_type": "mine", "auto_map": {"AutoModelForCausalLM": "m.M"}}'},
            "needs to run code from its own repository",
        ),
    ],
)
def test_what_cannot_be_used_is_refused_before_its_weights_are_fetched(
    machine: Machine,
    hub: Hub,
    files: dict[str, bytes],
    changes: dict[str, bytes | None],
    expected: str,
) -> None:
    changed = {
        name: content for name, content in {**files, **changes}.items() if content is not None
    }
    hub.repositories["org/odd"] = Repository(changed)

    answer = machine.ask("models.resolve('org/odd')")

    assert answer.error is not None
    assert answer.error.startswith("org/odd ")
    assert expected in answer.error
    assert "\n" not in answer.error
    assert hub.served("GET", "model.safetensors") == hub.served("GET", ".bin") == 0


def test_the_disk_is_looked_at_before_the_download(machine: Machine, hub: Hub) -> None:
    hub.repositories[GPT2].claimed_sizes["model.safetensors"] = 10**18

    answer = machine.ask("models.resolve('gpt2')")

    assert answer.error is not None
    assert "gpt2 needs 1000000 TB" in answer.error
    assert str(machine.cache) in answer.error
    assert hub.served("GET", "model.safetensors") == 0


@pytest.mark.parametrize(("status", "expected"), [(503, "server error"), (429, "wait a minute")])
def test_a_hub_in_trouble(machine: Machine, hub: Hub, status: int, expected: str) -> None:
    hub.repositories[GPT2].status = status

    answer = machine.ask("models.resolve('gpt2')")

    assert answer.error is not None
    assert expected in answer.error


def test_progress_counts_every_byte_once(machine: Machine, files: dict[str, bytes]) -> None:
    answer = machine.ask(
        "(seen := []) or models.resolve('gpt2', on_progress=lambda *n: seen.append(n)) and seen"
    )

    total = sum(len(content) for name, content in files.items() if name != "config.json")
    assert answer.value[0] == [0, total]
    assert answer.value[-1] == [total, total]
    assert answer.value == sorted(answer.value)


def test_no_bar_when_stderr_is_no_terminal(machine: Machine) -> None:
    assert machine.ask("models.resolve('gpt2', progress=True)").stderr == ""
