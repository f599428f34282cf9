"""Bytes of a token from its name, for each family of tokenizers."""

import json
import re
from dataclasses import dataclass
from typing import Any, Literal

from tokenizers import Tokenizer as Backend

TokenKind = Literal["byte-level", "sentencepiece", "other"]

_SPACE = "▁"
_BYTE_TOKEN = re.compile(r"<0x([0-9A-F]{2})>")


def byte_alphabet() -> dict[str, int]:
    """Return GPT-2's byte alphabet (Radford et al., 2019): printable character → byte."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    alphabet = {chr(byte): byte for byte in printable}
    return alphabet | {chr(256 + i): byte for i, byte in enumerate(others)}


_BYTES = byte_alphabet()


@dataclass(frozen=True)
class TokenBytes:
    """Mapping from a token's name to its bytes: one of the library's decoders, in settings.

    Attributes:
        kind: `byte-level` and `sentencepiece` tokens have bytes of their own, whose concatenation
            is the text. The text of `other` tokens has to come from the library.
        byte_fallback: names such as `<0x0A>` are bytes.
        leading: treatment of spaces at the very beginning of a text.
    """

    kind: TokenKind
    byte_fallback: bool = False
    leading: Literal["keep", "drop one", "drop all"] = "keep"

    def piece(self, name: str) -> bytes:
        """Return a token's bytes inside a text."""
        if self.kind == "byte-level":
            # A token with a character outside the alphabet was added, and stands for itself.
            values = [_BYTES.get(character) for character in name]
            return name.encode() if None in values else bytes(v for v in values if v is not None)
        if self.kind == "sentencepiece":
            if self.byte_fallback and (match := _BYTE_TOKEN.fullmatch(name)):
                return bytes([int(match[1], 16)])
            return name.replace(_SPACE, " ").encode()
        return name.removeprefix("##").replace("</w>", " ").encode()

    def first_piece(self, name: str) -> bytes:
        """Return a token's bytes at the beginning of a text."""
        if self.leading == "drop all":
            name = name.replace(_SPACE, "")
        piece = self.piece(name)
        return piece.removeprefix(b" ") if self.leading == "drop one" else piece


def token_bytes(backend: Backend) -> TokenBytes:
    """Derive the mapping from the tokenizer's decoder, which turns tokens into text."""
    if backend.decoder is None:
        return TokenBytes("other")
    state = json.loads(backend.decoder.__getstate__())
    steps = state["decoders"] if state["type"] == "Sequence" else [state]
    types = [step["type"] for step in steps]
    if types == ["ByteLevel"]:
        return TokenBytes("byte-level")
    if types == ["Metaspace"] and steps[0]["replacement"] == _SPACE:
        kept = steps[0]["prepend_scheme"] == "never"
        return TokenBytes("sentencepiece", leading="keep" if kept else "drop all")
    if steps[0] != {"type": "Replace", "pattern": {"String": _SPACE}, "content": " "}:
        return TokenBytes("other")
    fallback = types[1:2] == ["ByteFallback"]
    rest = steps[2:] if fallback else steps[1:]
    if rest in ([], [{"type": "Fuse"}]):
        return TokenBytes("sentencepiece", fallback)
    if rest == [{"type": "Fuse"}, _STRIP]:
        return TokenBytes("sentencepiece", fallback, "drop one")
    return TokenBytes("other")


_STRIP: dict[str, Any] = {"type": "Strip", "content": " ", "start": 1, "stop": 0}
