"""Model folders that are damaged, hostile or something else: one line each, and what helps."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from gptterm.cli.models import models
from gptterm.engine.text.tokenizer_files import load_tokenizer
from gptterm.errors import ModelError
from gptterm.models import cached_models, resolve
from tests.support.damaged_models import (
    ODD_FILES,
    SIDE_FILES,
    WEIGHT_FILES,
    change,
    copy,
    header,
    odd_file,
    write,
)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A whole copy of the bundled model."""
    return copy(tmp_path / "m")


def refusal(model: Path) -> str:
    """The one line that refuses a model."""
    with pytest.raises(ModelError) as failure:
        resolve(str(model))
    message = str(failure.value)
    assert message.isprintable()
    assert len(message) < 600
    return message


class TestFilesThatAreNoFiles:
    @pytest.mark.parametrize("name", [*SIDE_FILES, *WEIGHT_FILES])
    @pytest.mark.parametrize("kind", ODD_FILES)
    def test_a_line_says_which(self, kind: str, name: str, model: Path) -> None:
        odd_file(model, kind, name)
        if name == "model.safetensors.index.json":
            (model / "model.safetensors").unlink()
        message = refusal(model)
        if name == "model.safetensors" and kind != "sparse":
            assert "has no weights" in message
        else:
            assert name in message

    @pytest.mark.parametrize("name", [n for n in SIDE_FILES if n != "adapter_config.json"])
    @pytest.mark.parametrize("kind", ["fifo", "sparse"])
    def test_the_tokenizers_reader_opens_none(self, kind: str, name: str, model: Path) -> None:
        if name in ("vocab.json", "merges.txt"):
            write(model, "vocab.json", "{}")
            write(model, "merges.txt", "")
        if name.startswith(("vocab", "merges", "tokenizer.model")):
            (model / "tokenizer.json").unlink()
        if name in ("special_tokens_map.json", "added_tokens.json"):
            change(model, "tokenizer_config.json", added_tokens_decoder=None)
        if name == "chat_template.json":
            change(model, "tokenizer_config.json", chat_template=None)
        odd_file(model, kind, name)
        with pytest.raises(ModelError, match=name):
            load_tokenizer(model)

    @pytest.mark.parametrize("place", ["/dev/zero", "additional_chat_templates/a.jinja"])
    def test_files_that_the_library_would_open_elsewhere(self, place: str, model: Path) -> None:
        (model / "tokenizer.json").rename(model / "vocab.txt")
        if place.startswith("/"):
            change(model, "tokenizer_config.json", tokenizer_class="X", vocab_file=place)
        else:
            (model / place).parent.mkdir()
            os.mkfifo(model / place)
        with pytest.raises(ModelError, match=rf"{place} cannot be read \(it is a"):
            load_tokenizer(model)

    def test_by_its_name_in_the_working_directory(
        self, model: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Not taken for a name on the Hub."""
        odd_file(model, "fifo", "config.json")
        monkeypatch.chdir(model.parent)
        with pytest.raises(ModelError, match=r"config\.json: it is a pipe"):
            resolve("m", offline=True)

    def test_a_gguf_file(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "a.gguf")
        assert "it is a pipe, not a file" in refusal(tmp_path / "a.gguf")


def test_a_byte_order_mark_is_read_over(model: Path) -> None:
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        write(model, name, b"\xef\xbb\xbf" + (model / name).read_bytes())
    assert resolve(str(model)).directory == str(model)
    assert load_tokenizer(model).chat_template is not None


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\xff\xfe{\x00}\x00", "not UTF-8"),
        (b'{"a": ' + b"[" * 100 + b"]" * 100 + b"}", "JSON nested more than 64 deep"),
        (b'{"a": ' + b"9" * 5000 + b"}", "not JSON"),
    ],
)
def test_json_that_is_not_read(content: bytes, reason: str, model: Path) -> None:
    write(model, "config.json", content)
    assert f"damaged config.json: {reason}" in refusal(model)


KINDS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "classifier": (
        lambda m: change(m, architectures=["GPT2ForSequenceClassification"]),
        "a classifier or reward model (GPT2ForSequenceClassification)",
    ),
    "embedding": (
        lambda m: change(m, model_type="qwen3", architectures=["Qwen3Model"]),
        "an encoder or embedding model, without a head",
    ),
    "masked": (
        lambda m: change(m, model_type="bert", architectures=["BertForMaskedLM"]),
        "a masked language model, which fills gaps (BertForMaskedLM)",
    ),
    "encoder": (
        lambda m: change(m, model_type="roberta", architectures=["RobertaForCausalLM"]),
        "its config.json does not set is_decoder",
    ),
    "encoder, unnamed": (
        lambda m: change(m, model_type="xlm-roberta", architectures=None, is_decoder=False),
        "its config.json does not set is_decoder",
    ),
    "encoder-decoder": (
        lambda m: change(
            m, model_type="t5", architectures=["T5ForConditionalGeneration"],
            is_encoder_decoder=True,
        ),
        "is a t5 model, an encoder-decoder model",
    ),
    "speech": (
        lambda m: change(
            m, model_type="whisper", architectures=["WhisperForConditionalGeneration"],
            is_encoder_decoder=True,
        ),
        "an encoder-decoder model (WhisperForConditionalGeneration)",
    ),
    "reward": (
        lambda m: change(m, model_type="llama", architectures=["LlamaForRewardModel"]),
        "a reward model",
    ),
    "xlnet": (
        lambda m: change(m, model_type="xlnet", architectures=["XLNetLMHeadModel"]),
        "a permutation language model",
    ),
    "MLX": (
        lambda m: change(m, model_type="llama", architectures=["LlamaForCausalLM"],
                         quantization={"group_size": 64, "bits": 4}),
        "is quantised for MLX",
    ),
    "EXL3": (
        lambda m: change(m, model_type="llama", architectures=["LlamaForCausalLM"],
                         quantization_config={"quant_method": "exl3"}),
        "is quantised as exl3",
    ),
    "tekken": (
        lambda m: (m / "tokenizer.json").rename(m / "tekken.json"),
        "tekken.json; it needs tokenizer.json",
    ),
    "SentencePiece": (
        lambda m: (m / "tokenizer.json").rename(m / "tokenizer.model"),
        "needs the packages sentencepiece and protobuf",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("make", "expected"), KINDS.values(), ids=KINDS)
def test_models_that_do_not_continue_texts(
    make: Callable[[Path], Any], expected: str, model: Path
) -> None:
    make(model)
    assert expected in refusal(model)


FOLDERS: dict[str, tuple[dict[str, str], str]] = {
    "LoRA": (
        {"adapter_config.json": '{"base_model_name_or_path": "org/base"}',
         "adapter_model.safetensors": ""},
        "is an adapter (LoRA) for org/base, not a whole model; name its base",
    ),
    "GGUF": ({"a-Q4_0.gguf": "", "b.gguf": ""}, "give the path of one such as a-Q4_0.gguf"),
    "diffusers": ({"model_index.json": "{}"}, "is a diffusers pipeline"),
    "embedding": ({"modules.json": "[]"}, "is a sentence-transformers model"),
    "its maker's own": (
        {"params.json": "{}", "tekken.json": "{}", "consolidated.safetensors": ""},
        "is in its maker's own format",
    ),
    "pickles": ({"pytorch_model.bin": ""}, "only pickled weights"),
    "nothing": ({"README.md": ""}, "has no config.json"),
}  # fmt: skip


@pytest.mark.parametrize(("files", "expected"), FOLDERS.values(), ids=FOLDERS)
def test_folders_without_config(files: dict[str, str], expected: str, tmp_path: Path) -> None:
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    assert expected in refusal(tmp_path)


def test_an_adapter_beside_a_model_is_told(model: Path) -> None:
    assert resolve(str(model)).notices == ()
    write(model, "adapter_config.json", "{}")
    assert "adapter in the model's folder is not used" in resolve(str(model)).notices[0]
    said = CliRunner().invoke(models, ["info", str(model)])
    assert "note           the adapter in the model's folder is not used" in said.stdout


SIZES: dict[str, tuple[dict[str, Any], str]] = {
    "layers": ({"n_layer": 10**6}, "has 1000000 layers, the weights hold 4"),
    "fewer layers": ({"n_layer": 3}, "has 3 layers, the weights hold 4"),
    "layers by another name": ({"num_hidden_layers": 5}, "has 5 layers, the weights hold 4"),
    "vocabulary": ({"vocab_size": 10**9}, "has wte.weight of shape (1000000000, 192)"),
    "positions": ({"n_positions": 10**9}, "has wpe.weight of shape (1000000000, 192)"),
    "layers of the library": ({"n_layer": 10**6, "activation_function": "relu"}, "n_layer 1e+06"),
    "experts": (
        {"model_type": "mixtral", "architectures": ["MixtralForCausalLM"],
         "num_local_experts": 10**7},
        "num_local_experts 1e+07",
    ),
    "layers of a part": (
        {"model_type": "olmo", "architectures": ["OlmoForCausalLM"],
         "vision_config": {"num_hidden_layers": 10**7}},
        "num_hidden_layers 1e+07",
    ),
    "repetitions": (
        {"model_type": "gpt_neo", "num_layers": 4, "num_heads": 4,
         "architectures": ["GPTNeoForCausalLM"], "attention_types": [[["global"], 10**9]]},
        "attention_types 1e+09",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "expected"), SIZES.values(), ids=SIZES)
def test_sizes_that_the_weights_do_not_hold(
    changes: dict[str, Any], expected: str, model: Path
) -> None:
    change(model, **changes)
    assert expected in refusal(model)


@pytest.mark.parametrize("value", [["gpt2"], {"a": 1}, 5, None, True, "\ud800", ""], ids=repr)
@pytest.mark.parametrize("key", ["model_type", "architectures", "quantization_config", "auto_map"])
def test_values_of_any_type(key: str, value: Any, model: Path) -> None:
    """Most are refused; none raises another exception."""
    change(model, **{key: value})
    with contextlib.suppress(ModelError):
        resolve(str(model))


def test_one_bad_entry_does_not_hide_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gptterm.models.cache.cache_folder", lambda: tmp_path)
    for repository in ("one", "two", "three", "four"):
        copy(tmp_path / f"models--org--{repository}" / "snapshots" / ("0" * 40))
    change(tmp_path / "models--org--one" / "snapshots" / ("0" * 40), model_type=["gpt2"])
    odd_file(tmp_path / "models--org--two" / "snapshots" / ("0" * 40), "fifo", "config.json")
    (tmp_path / "models--org--three" / "refs").mkdir()
    os.mkfifo(tmp_path / "models--org--three" / "refs" / "main")

    found = {model.name: model.problem for model in cached_models()}

    assert "without model_type" in str(found["org/one"])
    assert "config.json" in str(found["org/two"])
    assert found["org/three"] is None
    assert found["org/four"] is None


@pytest.mark.parametrize("count", [150_000, 400_000])
def test_a_header_of_very_many_tensors(count: int, model: Path) -> None:
    entry = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    many = dict.fromkeys((f"t{i}" for i in range(count)), entry)
    write(model, "model.safetensors", header(many))
    assert "model.safetensors is damaged: it lists more than 131,072 tensors" in refusal(model)


def test_the_command_says_one_line_and_exits_with_3(model: Path) -> None:
    odd_file(model, "fifo", "chat_template.jinja")
    for command in (
        ["-m", str(model), "-n", "3", "--no-save", "hello"],
        ["models", "info", str(model)],
    ):
        done = subprocess.run(
            [sys.executable, "-m", "gptterm", *command],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=180, check=False,
        )  # fmt: skip
        assert done.returncode == 3, done.stderr
        assert done.stdout == ""
        (line,) = done.stderr.splitlines()
        assert "chat_template.jinja cannot be read (it is a pipe, not a file)" in line
