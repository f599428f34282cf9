"""Settings of a tokenizer, from the files beside its vocabulary.

tokenizer_config.json, special_tokens_map.json and added_tokens.json, read as the transformers
library reads them.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, pre_tokenizers, processors
from tokenizers import Tokenizer as Backend

from gptterm.engine.runtime.model_files import read_json
from gptterm.errors import ModelError

_GPT2_CLASSES = frozenset({"GPT2Tokenizer", "GPT2TokenizerFast"})
_GPT2_MODELS = frozenset({"gpt2", "gpt_neo", "gptj", "opt"})
_LONGEST_GAP = 65_536
_NAMES = (
    "bos_token",
    "eos_token",
    "unk_token",
    "sep_token",
    "pad_token",
    "cls_token",
    "mask_token",
)


@dataclass
class TokenizerSettings:
    """Settings of one tokenizer.

    Attributes:
        config: content of tokenizer_config.json, and older files' where it lacks them.
        model_type: that of config.json.
        names: special tokens' names by role, such as `eos_token`.
        added: tokens added to the vocabulary, by the id that the files give them.
    """

    config: dict[str, Any]
    model_type: str
    names: dict[str, str]
    added: dict[int, AddedToken]

    @classmethod
    def read(cls, directory: Path) -> "TokenizerSettings":
        """Read a model directory's settings.

        Raises:
            ModelError: a file is damaged.
        """
        config = read_json(directory / "tokenizer_config.json")
        decoder = config.get("added_tokens_decoder")
        if decoder is None:  # older repositories name the tokens in files of their own
            older = read_json(directory / "special_tokens_map.json")
            config |= {name: value for name, value in older.items() if value is not None}
        names = {
            name: text
            for name, value in config.items()
            if name.endswith("_token") and (text := _text(value)) is not None
        }
        settings = cls(config, _model_type(directory), names, {})
        if decoder is None:
            listed = read_json(directory / "added_tokens.json")
            special = settings._special_names()
            pairs = [
                (i, AddedToken(name, special=name in special, normalized=name not in special))
                for name, i in listed.items()
            ]
        elif isinstance(decoder, dict):
            pairs = [(i, _added(value)) for i, value in decoder.items()]
        else:
            raise ModelError("added_tokens_decoder of tokenizer_config.json is damaged")
        settings.added = {int(i): token for i, token in pairs}
        return settings

    @property
    def is_gpt2(self) -> bool:
        """Whether a vocabulary and merges are GPT-2's kind, by the class or the model."""
        name = self.config.get("tokenizer_class")
        if name is not None:
            return name in _GPT2_CLASSES
        return self.model_type in _GPT2_MODELS or not self.model_type

    def _special_names(self) -> list[str]:
        """Return the names of the special tokens: those with a role, and others listed."""
        extra: list[Any] = []
        for key in ("additional_special_tokens", "extra_special_tokens"):
            value = self.config.get(key) or []
            extra += value.values() if isinstance(value, dict) else value
        roles = [self.names[name] for name in _NAMES if name in self.names]
        texts = [text for value in extra if (text := _text(value)) is not None]
        return list(dict.fromkeys([*roles, *texts]))

    def default_names(self, name: str, backend: Backend) -> None:
        """Give bos, eos and unk their default name where the vocabulary has it."""
        if backend.token_to_id(name) is not None:
            for role in ("bos_token", "eos_token", "unk_token"):
                if role not in self.config:
                    self.names[role] = name

    def add_tokens(self, backend: Backend) -> None:
        """Add the tokens that the backend lacks, in the order of their ids.

        All in one call: the library builds its search tree anew for each.

        Raises:
            ModelError: their ids leave out too many.
        """
        special = self._special_names()
        known = {token.content: token for token in backend.get_added_tokens_decoder().values()}
        missing: dict[str, AddedToken] = {}
        size, gaps = backend.get_vocab_size(), 0
        for i, token in sorted(self.added.items(), key=lambda item: item[0]):
            token.special = token.special or token.content in special
            if repr(known.get(token.content)) == repr(token):
                continue
            if token.content not in missing and backend.token_to_id(token.content) is None:
                # The library gives out ids one after another.
                gaps += max(0, i - size)
                if gaps > _LONGEST_GAP:
                    raise ModelError(f"added token {i} follows token {size - 1}; fetch it again")
                for name in (f"<|reserved_token_{gap}|>" for gap in range(size, i)):
                    missing[name] = AddedToken(name, special=True, normalized=False)
                size = max(size, i) + 1
            missing[token.content] = token
        for name in special:
            if name and name not in known and name not in missing:
                missing[name] = AddedToken(name, special=True, normalized=False)
        backend.add_tokens(list(missing.values()))

    def set_prefix_space(self, backend: Backend) -> None:
        """Set whether a byte-level text begins with a space, where the settings say it."""
        value = self.config.get("add_prefix_space")
        splitter = backend.pre_tokenizer
        if self.is_gpt2 and isinstance(value, bool) and type(splitter) is pre_tokenizers.ByteLevel:
            splitter.add_prefix_space = value

    def set_start(self, backend: Backend) -> None:
        """Let a text begin with bos, where the settings say it."""
        bos = self.names.get("bos_token")
        if self.config.get("add_bos_token") is not True or bos is None:
            return
        token_id = backend.token_to_id(bos)
        if token_id is not None:
            backend.post_processor = processors.TemplateProcessing(
                single=[bos, "$A"], pair=None, special_tokens=[(bos, token_id)]
            )


def _model_type(directory: Path) -> str:
    value = read_json(directory / "config.json").get("model_type")
    return value if isinstance(value, str) else ""


def _text(value: Any) -> str | None:
    text = value.get("content") if isinstance(value, dict) else value
    return text if isinstance(text, str) else None


def _added(value: Any) -> AddedToken:
    name = _text(value)
    if name is None:
        raise ModelError("added_tokens_decoder of tokenizer_config.json is damaged")
    flags = value if isinstance(value, dict) else {}
    return AddedToken(
        name,
        **{key: flags.get(key) is True for key in ("single_word", "lstrip", "rstrip", "special")},
        normalized=flags.get("normalized", not flags.get("special")) is True,
    )
