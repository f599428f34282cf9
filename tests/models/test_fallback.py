"""The bundled model, asked for and in place of one that cannot be had."""

import pytest

from tests.models.conftest import Machine
from tests.support.hub import Hub

FALLBACK = "models.resolve('gpt2', fallback=True{})"


def test_the_bundled_model_needs_nothing(machine: Machine) -> None:
    answer = machine.ask("models.resolve('tiny')")

    assert answer.error is None
    assert answer.value["name"] == "tiny"
    assert answer.value["notices"] == []
    assert answer.sockets == []
    assert not {"torch", "transformers", "huggingface_hub", "numpy", "rich"} & set(answer.modules)


def test_what_can_be_had_is_not_replaced(machine: Machine) -> None:
    downloaded = machine.ask(FALLBACK.format(""))
    cached = machine.ask(FALLBACK.format(", offline=True"))

    assert downloaded.value["name"] == "gpt2"
    assert downloaded.value["notices"] == []
    assert cached.value == downloaded.value


def test_offline_the_default_becomes_tiny_and_says_so(machine: Machine, hub: Hub) -> None:
    answer = machine.ask(FALLBACK.format(", offline=True"))

    assert answer.value["name"] == "tiny"
    (notice,) = answer.value["notices"]
    assert "gpt2 is not on this machine" in notice
    assert "using the bundled model, tiny" in notice
    assert "`gptterm models pull gpt2`" in notice
    assert "\n" not in notice
    assert hub.requests == answer.sockets == []


def test_with_no_network_the_default_becomes_tiny(machine: Machine) -> None:
    answer = machine.ask(FALLBACK.format(""), HF_ENDPOINT="http://127.0.0.1:1")

    assert answer.value["name"] == "tiny"
    assert "127.0.0.1:1 cannot be reached: connection refused" in answer.value["notices"][0]


@pytest.mark.parametrize("status", [503, 404])
def test_a_hub_that_fails_makes_it_tiny_too(machine: Machine, hub: Hub, status: int) -> None:
    hub.repositories["openai-community/gpt2"].status = status

    answer = machine.ask(FALLBACK.format(""))

    assert answer.value["name"] == "tiny"
    assert len(answer.value["notices"]) == 1


def test_a_damaged_copy_makes_it_tiny_and_names_the_remedy_once(machine: Machine) -> None:
    machine.ask("models.resolve('gpt2')")
    weights = machine.snapshot("openai-community/gpt2") / "model.safetensors"
    weights.resolve().write_bytes(b"")

    answer = machine.ask(FALLBACK.format(""))

    (notice,) = answer.value["notices"]
    assert "model.safetensors is truncated" in notice
    assert notice.count("gptterm models pull") == 1


def test_a_name_that_was_asked_for_never_falls_back(machine: Machine) -> None:
    assert machine.ask("models.resolve('gpt2', offline=True)").value is None


@pytest.mark.parametrize(
    ("environment", "before", "action"),
    [
        ({}, "", "download"),
        ({"HF_HUB_OFFLINE": "1"}, "", "fall back"),
        ({"HF_ENDPOINT": "http://127.0.0.1:1"}, "", "fall back"),
        ({}, "models.pull('gpt2') and ", "use"),
    ],
)
def test_the_outlook(
    machine: Machine, environment: dict[str, str], before: str, action: str
) -> None:
    machine.environment |= environment
    answer = machine.ask(f"{before}models.preview_resolve('gpt2')")

    assert answer.value[0] == action
    assert answer.value[1]
