"""Models in the cache."""

import json

from tests.models.conftest import Machine
from tests.support.hub import Hub, Repository

LIST = "[dict(m._asdict()) for m in models.cached_models()]"


def test_an_empty_cache(machine: Machine) -> None:
    answer = machine.ask(LIST)
    assert answer.value == []
    assert not machine.cache.exists()


def test_whole_and_broken_models(machine: Machine, hub: Hub, files: dict[str, bytes]) -> None:
    hub.repositories["org/other"] = Repository(files | {"notes.bin": b"x"})
    machine.ask("[models.pull(name) for name in ('gpt2', 'org/other')]")
    broken = machine.snapshot("org/other")
    (broken / "tokenizer.json").unlink()
    # A repository that another program has taken only the config of, and one that is no model.
    partial = machine.cache / "models--org--partial" / "snapshots" / ("0" * 40)
    partial.mkdir(parents=True)
    (partial / "config.json").write_text(json.dumps({"model_type": "llama"}))
    (machine.cache / "datasets--org--data").mkdir()
    (machine.cache / "models--org--junk").write_text("")

    gpt2, other, third = machine.ask(LIST).value

    assert (gpt2["name"], gpt2["problem"], gpt2["architecture"]) == ("gpt2", None, "gpt2")
    assert gpt2["repo_id"] == "openai-community/gpt2"
    assert gpt2["path"] == str(machine.snapshot("openai-community/gpt2"))
    assert gpt2["revision"] == hub.repositories["openai-community/gpt2"].sha
    assert gpt2["size"] >= sum(len(content) for content in files.values())
    assert (other["name"], other["problem"]) == (
        "org/other",
        "org/other has no tokenizer; it needs tokenizer.json, or vocab.json and merges.txt",
    )
    assert (third["name"], third["architecture"]) == ("org/partial", "llama")
    assert "no weights" in third["problem"]


def test_an_older_whole_revision_serves_while_the_newer_is_incomplete(
    machine: Machine,
) -> None:
    old = machine.ask("models.pull('gpt2')").value
    repository = machine.cache / "models--openai-community--gpt2"
    newer = repository / "snapshots" / ("f" * 40)
    newer.mkdir()
    (newer / "config.json").write_text('{"model_type": "gpt2"}')
    (repository / "refs" / "main").write_text("f" * 40)

    assert machine.ask("models.resolve('gpt2', offline=True)").value == old
