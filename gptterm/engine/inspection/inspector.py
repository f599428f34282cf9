"""Inspector: answers requests about texts with a loaded model."""

from collections.abc import Callable, Generator
from functools import cached_property
from typing import Literal, cast

from gptterm.engine.api import Failed, Piece, TokenPrompt
from gptterm.engine.decoders.base import Decoder
from gptterm.engine.decoders.tap import Observable
from gptterm.engine.inspection.answers import Encoded, InspectionEvent
from gptterm.engine.inspection.attention import AttentionViews
from gptterm.engine.inspection.lens import Lens
from gptterm.engine.inspection.pieces import TextPieces
from gptterm.engine.inspection.requests import (
    AttentionMapRequest,
    AttentionRequest,
    EncodeRequest,
    HeadGridRequest,
    InspectionRequest,
    LensRequest,
    ScoreRequest,
    TokenRequest,
)
from gptterm.engine.inspection.scores import Scoring
from gptterm.engine.inspection.text_cache import Find, TextCaches
from gptterm.engine.inspection.token_view import TokenViews
from gptterm.engine.prompt.mixed import check_ids
from gptterm.engine.prompt.rendering import render
from gptterm.engine.runtime.device import is_out_of_memory, release_memory
from gptterm.engine.sampling.chain import UnusableLogitsError
from gptterm.engine.text.tokenizer import Tokenizer
from gptterm.errors import GpttermError, UsageError

Events = Generator[InspectionEvent, None, None]


class Inspector:
    """Looks into a model, beside its generations, whose caches it does not change.

    Args:
        find: see `TextCaches`.
        is_beside: see `TextCaches`.
    """

    def __init__(
        self, decoder: Decoder, tokenizer: Tokenizer, find: Find, is_beside: Callable[[], bool]
    ) -> None:
        self._decoder = decoder
        self._tokenizer = tokenizer
        self._caches = TextCaches(decoder, find, is_beside)
        self._token_views = TokenViews(decoder, tokenizer, self._caches)

    def inspect(self, request: InspectionRequest) -> Events:
        """See `InspectableEngine.inspect`."""
        try:
            yield from self._answer(request)
        except (GpttermError, UnusableLogitsError) as error:
            yield Failed(kind=error.kind, message=str(error))
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            self._caches.clear()
            release_memory()
            message = f"out of memory on {self._decoder.device}; a shorter text may fit"
            yield Failed(kind="out_of_memory", message=message)

    def _answer(self, request: InspectionRequest) -> Events:
        if isinstance(request, EncodeRequest):
            yield self._encode(request)
            return
        check_ids(request.ids, self._decoder.vocab_size)
        match request:
            case ScoreRequest():
                yield from Scoring(self._decoder, self._tokenizer, self._caches, request).events()
            case TokenRequest():
                yield (yield from self._token_views.view(request))
            case AttentionRequest():
                yield (yield from self._attention.row(request))
            case AttentionMapRequest():
                yield (yield from self._attention.map(request))
            case HeadGridRequest():
                yield (yield from self._attention.grid(request))
            case LensRequest():
                yield (yield from self._lens.view(request))

    @cached_property
    def _attention(self) -> AttentionViews:
        return AttentionViews(self._observable("attention_refusal"), self._caches)

    @cached_property
    def _lens(self) -> Lens:
        return Lens(self._observable("lens_refusal"), self._tokenizer, self._caches)

    def _observable(self, refusal: Literal["attention_refusal", "lens_refusal"]) -> Observable:
        """The decoder, if it shows what is asked of it.

        Raises:
            UsageError: it does not.
        """
        decoder = cast("Observable", self._decoder)  # as all decoders are
        if reason := getattr(decoder, refusal):
            raise UsageError(f"{reason}; its scores and distributions can be shown")
        return decoder

    def _encode(self, request: EncodeRequest) -> Encoded:
        prompt = request.prompt
        ids = render(prompt, self._tokenizer, self._decoder.vocab_size).ids
        pieces = TextPieces(self._tokenizer, ids)
        start = self._tokenizer.start_ids
        given = isinstance(prompt, TokenPrompt) or tuple(ids[: len(start)]) != start
        return Encoded(
            pieces=tuple(Piece(id=id_, piece=pieces[i]) for i, id_ in enumerate(ids)),
            start_tokens=0 if given else len(start),
        )
