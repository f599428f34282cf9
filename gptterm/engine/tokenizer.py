"""Text to ids and ids to bytes, over the `tokenizers` library."""

import json
import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from tokenizers import ByteLevelBPETokenizer
from tokenizers import Tokenizer as Backend

from gptterm.engine import library
from gptterm.engine.files import read_json
from gptterm.errors import ModelError

Kind = Literal["byte-level", "sentencepiece", "other"]


def byte_alphabet() -> dict[str, int]:
    """GPT-2's printable stand-in for each byte (Radford et al., 2019), as character → byte."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    alphabet = {chr(byte): byte for byte in printable}
    return alphabet | {chr(256 + i): byte for i, byte in enumerate(others)}


_BYTES = byte_alphabet()
_PART = 1_000_000
_BETWEEN_WORDS = re.compile(r"(?<=[a-zA-Z]) (?=[a-zA-Z])")
_BYTE_TOKEN = re.compile(r"<0x([0-9A-F]{2})>")


class Tokenizer:
    """A model's vocabulary.

    Attributes:
        kind: how a token's own bytes follow from its name.
        special_ids: tokens that are structure, not text; never printed.
        end_ids: tokens that end a text.
        chat_template: Jinja source, or None for a model that has none.
        template_tokens: names of the special tokens that a chat template may use.
    """

    def __init__(
        self,
        backend: Backend,
        end_ids: frozenset[int] = frozenset(),
        chat_template: str | None = None,
        template_tokens: dict[str, str] | None = None,
    ) -> None:
        self._backend = backend
        # The name of a special token in a user's text is ordinary characters.
        backend.encode_special_tokens = True
        backend.no_truncation()
        backend.no_padding()
        added = backend.get_added_tokens_decoder()
        self.special_names = {token.content: i for i, token in added.items() if token.special}
        self.special_ids = frozenset(self.special_names.values()) | end_ids
        self.end_ids = end_ids
        self.chat_template = chat_template
        self.template_tokens = template_tokens or {}
        self.kind: Kind = _kind(backend)
        self._pieces: dict[int, bytes] = {}

    @property
    def vocab_size(self) -> int:
        """Number of ids, added tokens included."""
        return self._backend.get_vocab_size(with_added_tokens=True)

    def encode(self, text: str) -> list[int]:
        """Ids of ordinary text, without any start or end token."""
        parts = _parts(text) if self.kind == "byte-level" else (text,)
        return [
            token_id
            for part in parts
            for token_id in self._backend.encode(part, add_special_tokens=False).ids
        ]

    @cached_property
    def start_ids(self) -> tuple[int, ...]:
        """What the tokenizer puts before every text (Llama's `<s>`); often nothing."""
        plain = self._backend.encode("a", add_special_tokens=False).ids
        whole = self._backend.encode("a", add_special_tokens=True).ids
        for at in range(len(whole) - len(plain) + 1):
            if whole[at : at + len(plain)] == plain:
                return tuple(whole[:at])
        return ()

    def decode(self, ids: Sequence[int]) -> str:
        """Text of ids at once, special tokens left out."""
        return self._backend.decode([i for i in ids if i not in self.special_ids])

    def piece(self, token_id: int) -> bytes:
        """A token's own bytes; a special token's are its name's, an unknown id has none."""
        piece = self._pieces.get(token_id)
        if piece is None:
            piece = self._pieces[token_id] = self._piece(token_id)
        return piece

    def _piece(self, token_id: int) -> bytes:
        name = self._backend.id_to_token(token_id)
        if name is None:
            return b""
        if self.kind == "byte-level":
            # A token with a character outside the alphabet was added, and stands for itself.
            values = [_BYTES.get(character) for character in name]
            return name.encode() if None in values else bytes(v for v in values if v is not None)
        if self.kind == "sentencepiece":
            match = _BYTE_TOKEN.fullmatch(name)
            return bytes([int(match[1], 16)]) if match else name.replace("▁", " ").encode()
        return name.replace("</w>", " ").encode()


def _parts(text: str) -> Iterator[str]:
    """A long text in parts of at most `_PART` characters: encoding takes 150 times its memory.

    Cut between two words, where byte-level tokenizers begin a token anyway. A text without such a
    place is cut where it must be; at this length it fits no context, and only its end counts.
    """
    start = 0
    while len(text) - start > _PART:
        end = start + _PART
        words = list(_BETWEEN_WORDS.finditer(text, end - 4096, end))
        end = words[-1].start() if words else end
        yield text[start:end]
        start = end
    yield text[start:]


def _kind(backend: Backend) -> Kind:
    """Tell the families apart by the decoder, the part that turns tokens into text."""
    if backend.decoder is None:
        return "other"
    state = json.loads(backend.decoder.__getstate__())
    parts = state["decoders"] if state["type"] == "Sequence" else [state]
    types = {part["type"] for part in parts}
    if "ByteLevel" in types:
        return "byte-level"
    if types <= {"Replace", "ByteFallback", "Fuse", "Strip", "Metaspace"}:
        return "sentencepiece"
    return "other"


def load_tokenizer(directory: Path, gguf_file: str | None = None) -> Tokenizer:
    """Read a model directory's tokenizer.

    tokenizer.json, or GPT-2's vocab.json with merges.txt, is read without transformers (whose
    import takes seconds); for anything else the library converts it.

    Raises:
        ModelError: there is none, or it cannot be read.
    """
    try:
        if gguf_file is not None:
            return _convert(directory, gguf_file=gguf_file)
        backend = _backend(directory)
        if backend is None:
            return _convert(directory)
    except Exception as error:  # the libraries raise bare Exception
        raise ModelError(
            f"the tokenizer in {directory} cannot be read: {library.reason(error)}"
        ) from error
    settings = read_json(directory / "tokenizer_config.json")
    return Tokenizer(
        backend,
        _end_ids(backend, directory, settings),
        _chat_template(directory, settings),
        {
            name: _token_text(value)
            for name, value in settings.items()
            if name.endswith("_token") and isinstance(value, str | dict)
        },
    )


def _backend(directory: Path) -> Backend | None:
    """The tokenizer as the `tokenizers` library reads it by itself; None if it cannot."""
    whole = directory / "tokenizer.json"
    if whole.exists():
        return Backend.from_file(str(whole))
    vocabulary, merges = directory / "vocab.json", directory / "merges.txt"
    if not (vocabulary.exists() and merges.exists()):
        return None
    if "</w>" in merges.read_text("utf-8")[:4096]:
        return None  # GPT-1's, which is not byte-level
    backend: Backend = ByteLevelBPETokenizer(str(vocabulary), str(merges))._tokenizer
    if backend.token_to_id("<|endoftext|>") is not None:
        backend.add_special_tokens(["<|endoftext|>"])
    return backend


def _convert(directory: Path, **options: str) -> Tokenizer:
    """Any other tokenizer, by way of the transformers library."""
    with library.transformers() as transformers:
        loaded = transformers.AutoTokenizer.from_pretrained(
            directory, trust_remote_code=False, local_files_only=True, **options
        )
    backend = loaded.backend_tokenizer
    ends = _end_ids(backend, directory, {"eos_token": loaded.eos_token})
    template = loaded.chat_template
    return Tokenizer(
        backend, ends, template if isinstance(template, str) else None, loaded.special_tokens_map
    )


def _end_ids(backend: Backend, directory: Path, settings: dict[str, Any]) -> frozenset[int]:
    ids: set[int] = set()
    for file in ("generation_config.json", "config.json"):
        value = read_json(directory / file).get("eos_token_id")
        ids |= {i for i in (value if isinstance(value, list) else [value]) if isinstance(i, int)}
    if settings.get("eos_token"):
        named = backend.token_to_id(_token_text(settings["eos_token"]))
        ids |= {named} if named is not None else set()
    return frozenset(i for i in ids if backend.id_to_token(i) is not None)


def _token_text(value: Any) -> str:
    return str(value["content"]) if isinstance(value, dict) else str(value)


def _chat_template(directory: Path, settings: dict[str, Any]) -> str | None:
    file = directory / "chat_template.jinja"
    if file.exists():
        return file.read_text("utf-8")
    template = settings.get("chat_template")
    if isinstance(template, list):  # several, by name
        named = {entry["name"]: entry["template"] for entry in template}
        template = named.get("default")
    return template if isinstance(template, str) else None
