"""Local directories and files: what is used, and what each fault is called."""

import json
from pathlib import Path

import pytest

from gptterm.errors import ModelError
from gptterm.models import resolve
from tests.models.conftest import Machine
from tests.support.checkpoint import sharded


def refusal(name: str | Path) -> str:
    """The one line that refuses a model."""
    with pytest.raises(ModelError) as failure:
        resolve(str(name))
    message = str(failure.value)
    assert len(message.splitlines()) == 1
    assert message.isprintable()
    return message


@pytest.fixture(autouse=True)
def working_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.mark.parametrize(
    "name", ["{}", "./model", "model", "model/", "~/model", "../{0.parent.name}/model"]
)
def test_a_directory_by_all_its_names(directory: Path, name: str) -> None:
    asked = name.format(directory)
    source = resolve(asked)
    assert source.name == asked
    assert Path(source.directory).resolve() == directory
    assert Path(source.directory).is_absolute()
    assert source.revision == ""
    assert source.notices == ()


def test_a_local_model_needs_no_heavy_import(machine: Machine, directory: Path) -> None:
    answer = machine.ask(f"models.resolve({str(directory)!r})")
    assert answer.error is None
    assert answer.sockets == []
    assert not {"torch", "transformers", "huggingface_hub", "numpy", "rich"} & set(answer.modules)


def test_an_alias_is_not_a_folder_of_that_name(machine: Machine, directory: Path) -> None:
    directory.rename(directory.with_name("gpt2"))
    assert machine.ask("models.resolve('gpt2')").value["revision"]
    assert machine.ask("models.resolve('./gpt2')").value["revision"] == ""


@pytest.mark.parametrize("name", ["./nothing", "/nothing/here", "~/nothing", "a/b/c", "nothing/"])
def test_no_such_directory(name: str) -> None:
    assert refusal(name).startswith(f"there is no directory {name}")


def test_a_file_is_not_a_directory(directory: Path) -> None:
    assert "is a file" in refusal(directory / "config.json")


@pytest.mark.parametrize(
    ("missing", "expected"),
    [
        ("config.json", "has no config.json"),
        ("model.safetensors", "has no weights"),
        ("tokenizer.json", "has no tokenizer"),
    ],
)
def test_a_missing_file(directory: Path, missing: str, expected: str) -> None:
    (directory / missing).unlink()
    assert expected in refusal(directory)


@pytest.mark.parametrize(
    ("instead", "expected"),
    [
        ("pytorch_model.bin", "only pickled weights (pytorch_model.bin), which can run code"),
        ("pytorch_model-00001-of-00002.bin", "only pickled weights"),
        ("model.ckpt", "only pickled weights"),
        ("gpt2.Q8_0.gguf", "only GGUF weights"),
        ("flax_model.msgpack", "other frameworks"),
        ("consolidated.safetensors", "no model.safetensors, only consolidated.safetensors"),
        ("adapter_config.json", "is an adapter"),
    ],
)
def test_weights_that_are_not_loaded(directory: Path, instead: str, expected: str) -> None:
    (directory / "model.safetensors").rename(directory / instead)
    assert expected in refusal(directory)


def test_byte_level_bpe_files_are_a_tokenizer(directory: Path) -> None:
    (directory / "tokenizer.json").unlink()
    (directory / "vocab.json").write_text("{}")
    assert "has no tokenizer" in refusal(directory)
    (directory / "merges.txt").write_text("")
    assert resolve(str(directory)).directory == str(directory)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "damaged config.json"),
        (b'{"model_type": "gp', "damaged config.json"),
        (b"\xff\xfe", "damaged config.json"),
        (b"[1, 2]", "not a JSON object"),
        (b"[" * 100_000, "damaged config.json"),
        (b"{}", "without model_type"),
        (b'{"model_type": 3}', "without model_type"),
        (b'{"model_type": "vit"}', "is a vit model"),
        (b'{"model_type": "mine", "auto_map": {}}', "needs to run code from its own repository"),
    ],
)
def test_a_config_that_is_no_good(directory: Path, content: bytes, expected: str) -> None:
    (directory / "config.json").write_bytes(content)
    assert expected in refusal(directory)


@pytest.mark.parametrize("model_type", ["gpt2", "mpt", "cohere"])
def test_old_remote_code_of_what_is_built_in_by_now_is_ignored(
    directory: Path, model_type: str
) -> None:
    file = directory / "config.json"
    changes = {"model_type": model_type, "auto_map": {"AutoModelForCausalLM": "m.Model"}}
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    assert resolve(str(directory)).directory == str(directory)


def test_infinity_in_a_config_is_read(directory: Path) -> None:
    config = '{"model_type": "mamba", "time_step_limit": [0, Infinity]}'
    (directory / "config.json").write_text(config)
    assert resolve(str(directory)).directory == str(directory)


def test_truncated_weights(directory: Path) -> None:
    weights = directory / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    assert "model.safetensors is truncated" in refusal(directory)


class TestShards:
    @pytest.fixture
    def shards(self, tmp_path: Path, files: dict[str, bytes]) -> Path:
        folder = tmp_path / "sharded"
        folder.mkdir()
        for name, content in sharded(files).items():
            (folder / name).write_bytes(content)
        return folder

    def test_all_there(self, shards: Path) -> None:
        assert resolve(str(shards)).directory == str(shards)

    def test_one_missing(self, shards: Path) -> None:
        (shards / "model-00002-of-00002.safetensors").unlink()
        message = refusal(shards)
        assert "lacks model-00002-of-00002.safetensors of the 2 weight files" in message

    def test_one_truncated(self, shards: Path) -> None:
        (shards / "model-00002-of-00002.safetensors").write_bytes(b"\0\0")
        assert "model-00002-of-00002.safetensors is truncated" in refusal(shards)

    @pytest.mark.parametrize(
        "index",
        [
            "",
            "{}",
            '{"weight_map": {}}',
            '{"weight_map": [1]}',
            '{"weight_map": {"a": 1}}',
            '{"weight_map": {"a": "../../secret.safetensors"}}',
            '{"weight_map": {"a": "weights.bin"}}',
        ],
    )
    def test_a_damaged_index(self, shards: Path, index: str) -> None:
        (shards / "model.safetensors.index.json").write_text(index)
        assert "damaged model.safetensors.index.json" in refusal(shards)


def test_a_gguf_file(tmp_path: Path) -> None:
    (tmp_path / "small.gguf").write_bytes(b"GGUF\x03\0\0\0")
    source = resolve("small.gguf")
    assert (source.directory, source.gguf_file) == (str(tmp_path), "small.gguf")


def test_gguf_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "text.gguf").write_text("hello")
    assert "is not a GGUF file" in refusal("text.gguf")
    assert "cannot be read: No such file" in refusal("nothing.gguf")
    (tmp_path / "folder.gguf").mkdir()
    assert "cannot be read" in refusal("folder.gguf")
