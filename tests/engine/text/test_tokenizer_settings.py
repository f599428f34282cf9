"""A tokenizer in several files, as the transformers library reads it."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from gptterm.engine.api import ModelSource, TextPrompt
from gptterm.engine.prompt.rendering import render
from gptterm.engine.runtime import transformers_import
from gptterm.engine.text.tokenizer import Tokenizer
from gptterm.engine.text.tokenizer_files import load_tokenizer
from gptterm.errors import ModelError
from gptterm.models.metadata import read_metadata
from tests.support.damaged_models import change, copy
from tests.support.gpt2 import END_OF_TEXT, write_gpt2

TEXTS = ["Hello world", " the king", "a <|eos|> b</s>c<|user|> d", "two  spaces\n"]


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_gpt2(tmp_path_factory.mktemp("settings") / "gpt2")


@pytest.fixture
def split(gpt2: Path, tmp_path: Path) -> Path:
    """A directory with GPT-2's vocab.json and merges.txt, and no tokenizer.json."""
    model = json.loads((gpt2 / "tokenizer.json").read_text())["model"]
    vocabulary = model["vocab"] | {END_OF_TEXT: len(model["vocab"])}
    merges = "\n".join(" ".join(pair) for pair in model["merges"])
    put(tmp_path, "vocab.json", vocabulary)
    (tmp_path / "merges.txt").write_text("#version: 0.2\n" + merges)
    put(tmp_path, "config.json", {"model_type": "gpt2"})
    return tmp_path


def put(directory: Path, name: str, value: Any) -> None:
    (directory / name).write_text(json.dumps(value))


def check(directory: Path) -> Tokenizer:
    """Load a directory, and hold it against the library's reading of it."""
    of = load_tokenizer(directory)
    with transformers_import.transformers() as transformers:
        library = transformers.AutoTokenizer.from_pretrained(directory)
    backend = library.backend_tokenizer
    theirs = {i: (t.content, t.special) for i, t in backend.get_added_tokens_decoder().items()}
    added = of._backend.get_added_tokens_decoder()
    assert {i: (t.content, t.special) for i, t in added.items()} == theirs
    backend.encode_special_tokens = True
    for text in TEXTS:
        expected = backend.encode(text, add_special_tokens=True).ids
        assert render(TextPrompt(text=text), of, 1000).ids == expected
    for name in of.specials:
        assert of.specials[name].id == backend.token_to_id(name)
    if library.eos_token_id is not None:
        assert library.eos_token_id in of.end_ids
    return of


def test_tokens_of_a_file_of_their_own_and_the_end_by_its_name(split: Path) -> None:
    put(split, "added_tokens.json", {"<|pad|>": 384, "<|bos|>": 385, "<|eos|>": 386, "<x>": 387})
    names = {"bos_token": "<|bos|>", "eos_token": "<|eos|>", "unk_token": END_OF_TEXT}
    put(split, "special_tokens_map.json", names | {"pad_token": "<|pad|>"})
    put(split, "tokenizer_config.json", {"tokenizer_class": "GPT2Tokenizer"})
    of = check(split)
    assert 386 in of.end_ids
    assert of.template_tokens["eos_token"] == "<|eos|>"
    assert "<x>" not in of.specials


def test_a_text_begins_with_bos_where_the_settings_say_it(split: Path) -> None:
    token = {"content": "</s>", "normalized": True, "__type": "AddedToken"}
    put(split, "config.json", {"model_type": "opt", "bos_token_id": 384, "eos_token_id": 384})
    put(split, "special_tokens_map.json", dict.fromkeys(("bos_token", "eos_token"), "</s>"))
    settings = {"bos_token": token, "eos_token": token, "unk_token": token}
    flags = {"add_bos_token": True, "add_prefix_space": False, "tokenizer_class": "GPT2Tokenizer"}
    put(split, "tokenizer_config.json", settings | flags)
    of = check(split)
    assert of.start_ids == (384,)
    assert of.end_ids == {384}


def test_a_text_begins_with_a_space_where_the_settings_say_it(split: Path) -> None:
    put(split, "tokenizer_config.json", {"add_prefix_space": True})
    of = check(split)
    assert of.encode("king") == of.encode(" king", "inside")


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("ids", [(384, 385, 386), (384, 386, 390)])
def test_tokens_that_only_the_settings_have(
    gpt2: Path, split: Path, ids: tuple[int, ...], whole: bool
) -> None:
    if whole:
        (split / "tokenizer.json").write_bytes((gpt2 / "tokenizer.json").read_bytes())
    names = ["<|user|>", "<|eos|>", "</s>"]
    decoder = {
        str(i): {"content": name, "special": name != "</s>", "lstrip": False, "rstrip": False,
                 "normalized": False, "single_word": False}
        for i, name in zip(ids, names, strict=True)
    }  # fmt: skip
    kind = "PreTrainedTokenizerFast" if whole else "GPT2Tokenizer"
    settings = {"tokenizer_class": kind, "eos_token": "<|eos|>", "bos_token": "<|user|>"}
    put(split, "tokenizer_config.json", settings | {"added_tokens_decoder": decoder})
    of = load_tokenizer(split)
    assert {name: of._backend.token_to_id(name) for name in names} == dict(
        zip(names, ids, strict=True)
    )
    assert ids[1] in of.end_ids
    if ids[-1] == 386:
        check(split)


def test_another_class_of_byte_level_vocabulary_is_converted_by_the_library(split: Path) -> None:
    put(split, "config.json", {"model_type": "qwen2"})
    put(split, "tokenizer_config.json", {"tokenizer_class": "Qwen2Tokenizer"})
    of = load_tokenizer(split)
    with transformers_import.transformers() as transformers:
        library = transformers.AutoTokenizer.from_pretrained(split)
    for text in ["12345", "it's 2024", "e\u0301"]:
        assert of.encode(text) == library(text)["input_ids"]


def test_known_ends_of_turns_are_ends_unless_they_are_words(split: Path) -> None:
    vocabulary = json.loads((split / "vocab.json").read_text())
    put(split, "vocab.json", vocabulary | {"<end_of_turn>": 384})
    put(split, "added_tokens.json", {"<|im_end|>": 385, "<|im_start|>": 386})
    put(split, "generation_config.json", {"eos_token_id": [5, True, "6", -1, 10**30]})
    put(split, "config.json", {"model_type": "gpt2", "text_config": {"eos_token_id": 7}})
    assert load_tokenizer(split).end_ids == {5, 7, 383, 385}


# ---------------------------------------------------------------------------- chat templates


@pytest.mark.parametrize(
    ("settings", "json_file", "expected"),
    [
        ({}, {"chat_template": "j"}, "j"),
        ({"chat_template": "s"}, {"chat_template": "j"}, "s"),
        ({"chat_template": [{"name": "chat", "template": "c"}]}, {}, "c"),
        ({"chat_template": []}, {}, None),
        ({"chat_template": None}, {}, None),
        ({}, {}, None),
    ],
)
def test_the_metadata_and_the_engine_agree_on_a_chat_template(
    gpt2: Path, tmp_path: Path, settings: Any, json_file: Any, expected: str | None
) -> None:
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        (tmp_path / name).symlink_to(gpt2 / name)
    put(tmp_path, "tokenizer_config.json", settings)
    put(tmp_path, "chat_template.json", json_file)
    of = load_tokenizer(tmp_path)
    assert of.chat_template == expected
    metadata = read_metadata(ModelSource(name="made", directory=str(tmp_path)))
    assert metadata.has_chat_template == (expected is not None)


def test_which_of_several_chat_templates_is_used_is_told(gpt2: Path, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").symlink_to(gpt2 / "tokenizer.json")
    named = [{"name": "tool_use", "template": "t"}, {"name": "chat", "template": "c"}]
    put(tmp_path, "tokenizer_config.json", {"chat_template": named})
    of = load_tokenizer(tmp_path)
    assert of.notices == ("none of the model's chat templates is the default one: 'chat' is used",)
    put(
        tmp_path, "tokenizer_config.json", {"chat_template": [{"name": "default", "template": "c"}]}
    )
    assert load_tokenizer(tmp_path).notices == ()


# ------------------------------------------------------------------------- values of any type

WRONG = [0, -1.5, True, "a", [], [1], [None], ["a"], {}, {"a": 1}, {"0": []}, [[[]]], 10**30]


@pytest.mark.parametrize("wrong", WRONG, ids=repr)
@pytest.mark.parametrize(
    ("file", "key"),
    [
        *(
            ("tokenizer_config.json", key)
            for key in ("chat_template", "added_tokens_decoder", "eos_token", "bos_token",
                        "tokenizer_class", "add_bos_token", "add_prefix_space",
                        "extra_special_tokens", "additional_special_tokens")
        ),
        ("special_tokens_map.json", "eos_token"),
        ("special_tokens_map.json", "additional_special_tokens"),
        ("added_tokens.json", "<x>"),
        ("chat_template.json", "chat_template"),
        ("generation_config.json", "eos_token_id"),
        ("config.json", "eos_token_id"),
        ("config.json", "text_config"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("whole", [False, True])
def test_a_value_of_any_type_loads_or_is_one_line(
    gpt2: Path, split: Path, file: str, key: str, wrong: Any, whole: bool
) -> None:
    if whole:
        (split / "tokenizer.json").write_bytes((gpt2 / "tokenizer.json").read_bytes())
    put(split, file, {key: wrong})
    with suppress(ModelError):
        load_tokenizer(split)
    put(split, file, [wrong])
    with pytest.raises(ModelError, match="JSON object"):
        load_tokenizer(split)


def test_very_many_added_tokens(tmp_path: Path) -> None:
    """Added one by one, they take minutes."""
    names = [f"<t{i}>" for i in range(20_000)]
    model = copy(tmp_path / "m")
    size = load_tokenizer(model).vocab_size
    decoder = {str(size + i): {"content": name, "special": True} for i, name in enumerate(names)}
    change(model, "tokenizer_config.json", added_tokens_decoder=decoder)
    tokenizer = load_tokenizer(model)
    assert tokenizer.vocab_size == size + len(names)
    assert tokenizer.specials["<t19999>"].id == size + 19_999


def test_ids_far_apart(tmp_path: Path) -> None:
    model = copy(tmp_path / "m")
    decoder = {str(10**6 * i): {"content": f"<t{i}>"} for i in range(1, 9)}
    change(model, "tokenizer_config.json", added_tokens_decoder=decoder)
    with pytest.raises(ModelError, match="added token 1000000 follows token 2559"):
        load_tokenizer(model)
