"""Tokenizer: text to ids and ids to text, on the `tokenizers` library."""

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any, Literal, NamedTuple

from tokenizers import Encoding, normalizers, pre_tokenizers
from tokenizers import Tokenizer as Backend

from gptterm.engine.text.infill_tokens import InfillTokens, infill_tokens
from gptterm.engine.text.library_calls import EncodingGuard, LibraryCalls, check_growth
from gptterm.engine.text.token_bytes import TokenKind, token_bytes
from gptterm.engine.text.word_completions import WordCompletions

TextPosition = Literal["start", "after special", "inside"]
"""Position of a text in a prompt. Some tokenizers prepend a space to a text at the start, some also
after a special token; none does inside, after ordinary ids."""

_CHUNK_CHARS = 1_000_000
_SURROGATE = re.compile("[\ud800-\udfff]")
_BETWEEN_WORDS = re.compile(r"(?<=[a-zA-Z]) (?=[a-zA-Z])")


_LIBRARY = LibraryCalls("the model's tokenizer fails")


class SpecialToken(NamedTuple):
    """A control token; `lstrip` and `rstrip`: it absorbs the white space on that side."""

    id: int
    lstrip: bool
    rstrip: bool


class Tokenizer:
    """A model's vocabulary.

    Attributes:
        kind: how a token's bytes follow from its name.
        specials: control tokens, by name.
        special_ids: their ids and `end_ids`; never shown.
        end_ids: end-of-text tokens.
        chat_template: Jinja source; None if the model has none.
        notices: what a user should know about the tokenizer's files.
        template_tokens: names of the special tokens that the chat template may use.
    """

    def __init__(
        self,
        backend: Backend,
        end_ids: frozenset[int] = frozenset(),
        chat_template: str | None = None,
        template_tokens: dict[str, str] | None = None,
    ) -> None:
        self._backend = backend
        check_growth(backend)
        self._guard = EncodingGuard(backend)
        # The name of a special token in a user's text is ordinary characters.
        backend.encode_special_tokens = True
        backend.no_truncation()
        backend.no_padding()
        self.specials = {
            token.content: SpecialToken(i, token.lstrip, token.rstrip)
            for i, token in backend.get_added_tokens_decoder().items()
            if token.special
        }
        self._control_ids = frozenset(special.id for special in self.specials.values())
        self.special_ids = self._control_ids | end_ids
        self.end_ids = end_ids
        self.chat_template = chat_template
        self.notices: tuple[str, ...] = ()
        self.template_tokens = template_tokens or {}
        self._token_bytes = token_bytes(backend)
        self.kind: TokenKind = self._token_bytes.kind
        self._pieces: dict[int, bytes] = {}

    @property
    def vocab_size(self) -> int:
        """Number of ids, added tokens included."""
        return self._backend.get_vocab_size(with_added_tokens=True)

    def token_id(self, name: str) -> int | None:
        """Return the id of a token of this name; None if there is none."""
        with _LIBRARY:
            return self._backend.token_to_id(name)

    @cached_property
    def start_ids(self) -> tuple[int, ...]:
        """Ids that the tokenizer puts before every text, such as Llama's `<s>`; often none."""
        with _LIBRARY:
            plain = self._backend.encode("a", add_special_tokens=False).ids
            whole = self._backend.encode("a", add_special_tokens=True).ids
        for at in range(len(whole) - len(plain) + 1):
            if whole[at : at + len(plain)] == plain:
                return tuple(whole[:at])
        return ()

    @cached_property
    def scoring_start(self) -> tuple[int, ...]:
        """Ids that come before the first token of a text to be scored; none if nothing is known.

        As lm-evaluation-harness has it: `start_ids`, else bos, else eos, which separated the texts
        that GPT-2 was trained on.
        """
        if self.start_ids:
            return self.start_ids
        for role in ("bos_token", "eos_token"):
            token_id = self._backend.token_to_id(self.template_tokens.get(role, ""))
            if token_id is not None:
                return (token_id,)
        return tuple(self.end_ids) if len(self.end_ids) == 1 else ()

    # ------------------------------------------------------------------------- text to ids

    def encode(self, text: str, position: TextPosition = "start") -> list[int]:
        """Encode ordinary text, without start or end tokens; half a surrogate pair is U+FFFD."""
        ids: list[int] = []
        if not text.isascii():
            text = _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)
        for chunk in _chunks(text):
            ids += self._encode(chunk, position)
            position = "inside"
        return ids

    def _encode(self, text: str, position: TextPosition) -> list[int]:
        return self._guard.run(lambda: self._encode_unguarded(text, position), text)

    def _encode_unguarded(self, text: str, position: TextPosition) -> list[int]:
        encoding = self._encoding(text, position, offsets=False)
        if self._control_ids.isdisjoint(encoding.ids):
            return list(encoding.ids)
        # Some models have the name of a special token as an ordinary word (Unigram does). Such a
        # name is cut in two, and its halves are encoded separately.
        ids = []
        pending = [text]
        while pending:
            text = pending.pop()
            encoding = self._encoding(text, position, offsets=True)
            cut = self._first_name(encoding)
            if cut is None:
                ids += [i for i in encoding.ids if i not in self._forbidden]
                position = "inside"
            else:
                pending += [text[cut:], text[:cut]]
        return ids

    def _first_name(self, encoding: Encoding) -> int | None:
        """Return where to cut the first name of a special token in two; None if there is none."""
        spans = zip(encoding.ids, encoding.offsets, strict=True)
        return next(
            (start + 1 for i, (start, end) in spans if i in self._forbidden and end > start + 1),
            None,
        )

    @cached_property
    def _forbidden(self) -> frozenset[int]:
        """Ids that ordinary text must not become: all special ones but the unknown token's."""
        model = self._backend.model
        unknown = self._backend.token_to_id(getattr(model, "unk_token", None) or "")
        if type(model).__name__ == "Unigram":
            unknown = json.loads(model.__getstate__())["unk_id"]
        return self._control_ids - {unknown}

    def _encoding(self, text: str, position: TextPosition, *, offsets: bool) -> Encoding:
        """Encode with the library. Without offsets it takes half the time."""
        backend = self._backend
        if position != "start" and position in self._variants:
            with self._configured_for(position):
                return self._encoding(text, "start", offsets=offsets)
        # `encode` would hold the GIL.
        if offsets:
            return backend.encode_batch([text], add_special_tokens=False)[0]
        return backend.encode_batch_fast([text], add_special_tokens=False)[0]

    @contextmanager
    def _configured_for(self, position: TextPosition) -> Iterator[None]:
        """Set the backend's normaliser and pre-tokeniser for a text at `position`."""
        backend = self._backend
        usual = backend.normalizer, backend.pre_tokenizer
        backend.normalizer, backend.pre_tokenizer = self._variants[position]
        try:
            yield
        finally:
            backend.normalizer, backend.pre_tokenizer = usual

    @cached_property
    def _variants(self) -> dict[TextPosition, tuple[Any, Any]]:
        """Normaliser and pre-tokeniser without the prepended space, for positions that differ from
        the start."""
        normaliser, splitter = self._backend.normalizer, self._backend.pre_tokenizer
        positions: tuple[TextPosition, ...] = ("after special", "inside")
        found: dict[TextPosition, tuple[Any, Any]] = {}
        for position in positions:
            pair = (
                _without_space(normaliser, normalizers.Sequence([]), position),
                _without_space(splitter, pre_tokenizers.Sequence([]), position),
            )
            if pair != (normaliser, splitter):
                found[position] = pair
        return found

    # ------------------------------------------------------------------------- ids to text

    def decode(self, ids: Sequence[int]) -> str:
        """Decode ids, without special tokens; U+FFFD once per maximal invalid sequence."""
        ids = [i for i in ids if i not in self.special_ids]
        if self.kind == "other":
            with _LIBRARY:
                return self._backend.decode(ids)
        pieces = [self.first_piece(i) for i in ids[:1]] + [self.piece(i) for i in ids[1:]]
        return b"".join(pieces).decode(errors="replace")

    def piece(self, token_id: int) -> bytes:
        """Return a token's bytes; a special token's are its name's, an unknown id has none."""
        piece = self._pieces.get(token_id)
        if piece is None:
            with _LIBRARY:
                name = self._backend.id_to_token(token_id)
            piece = b"" if name is None else self._spell(token_id, name)
            self._pieces[token_id] = piece
        return piece

    @cached_property
    def infill(self) -> InfillTokens | None:
        """The vocabulary's tokens to fill the middle of a text; None if it has none."""
        return infill_tokens(self.token_id)

    @cached_property
    def word_completions(self) -> WordCompletions:
        """The search of tokens that complete words."""
        ids = range(self.vocab_size)
        return WordCompletions([b"" if i in self.special_ids else self.piece(i) for i in ids])

    def has_vocabulary_of(self, other: "Tokenizer") -> bool:
        """Whether the same ids stand for the same tokens."""
        with _LIBRARY:
            return self._backend.get_vocab() == other._backend.get_vocab()

    def _spell(self, token_id: int, name: str) -> bytes:
        return name.encode() if token_id in self._control_ids else self._token_bytes.piece(name)

    def first_piece(self, token_id: int) -> bytes:
        """Return a token's bytes at the beginning of a text, where some tokenizers drop a space."""
        if token_id in self._control_ids or self._token_bytes.leading == "keep":
            return self.piece(token_id)
        with _LIBRARY:
            return self._token_bytes.first_piece(self._backend.id_to_token(token_id) or "")


def _chunks(text: str) -> Iterator[str]:
    """Split a long text into chunks: encoding takes 150 times a text's memory.

    The cut is between two words, where tokenizers begin a token anyway. A text without such a
    place is cut anywhere; at this length it fits no context, and only its end counts.
    """
    start = 0
    while len(text) - start > _CHUNK_CHARS:
        end = start + _CHUNK_CHARS
        words = list(_BETWEEN_WORDS.finditer(text, max(start + 1, end - 4096), end))
        end = words[-1].start() if words else end
        yield text[start:end]
        start = end
    yield text[start:]


def _without_space(step: Any, blank: Any, position: TextPosition) -> Any:
    """Return a normaliser or pre-tokeniser that prepends no space to a text at `position`.

    Returns:
        `step` itself if it prepends none, else `blank` with the state of the result.
    """
    if step is None:
        return None
    state = json.loads(step.__getstate__())
    steps = state.get("normalizers", state.get("pretokenizers", [state]))
    remaining = [changed for step_ in steps if (changed := _spaceless(step_, position))]
    if remaining == steps:
        return step
    key = "normalizers" if isinstance(blank, normalizers.Normalizer) else "pretokenizers"
    blank.__setstate__(json.dumps({"type": "Sequence", key: remaining}).encode())
    return blank


def _spaceless(step: dict[str, Any], position: TextPosition) -> dict[str, Any] | None:
    """Return the step without its space at `position`; None if it does nothing else."""
    scheme = step.get("prepend_scheme")
    if scheme == "first" or (scheme == "always" and position == "inside"):
        return step | {"prepend_scheme": "never"}
    if position == "inside" and step["type"] == "Prepend":
        return None
    if position == "inside" and step.get("add_prefix_space"):
        return step | {"add_prefix_space": False}
    return step
