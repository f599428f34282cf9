"""Check on load: how a model of the transformers library is fed so that its logits are right.

A model is run over a few tokens at once, without a cache. Fed in parts, in the way that gptterm
decodes, it must give the same logits, also when its sliding windows are made shorter than the text.
The ways are tried in their order; where none is right, each step computes the whole text anew. A
model that does not predict the next token is refused: one that looks at later tokens, or that
`generate` gives inputs of another kind.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from gptterm.engine.decoders.transformers_cache import TransformersCache
from gptterm.engine.decoders.transformers_state import (
    Feeding,
    Past,
    feedings,
)
from gptterm.engine.decoders.transformers_windows import kept_tokens, short_windows
from gptterm.engine.runtime import transformers_import
from gptterm.engine.runtime.device import is_out_of_memory
from gptterm.errors import ModelError
from gptterm.format import first_line

_SIZES = (5, 1, 2)
"""Tokens of the prompt, of a step, and of a later chunk."""
_SHORT_WINDOW = 3
"""Tokens of a window over which these go."""
_LIMITS = {torch.float32: (2e-5, 1e-4), torch.float16: (0.02, 0.1)}
_LIMIT_OF_OTHERS = (0.05, 0.3)
"""Largest difference of a logit from the reference, as a share of the logits' range: one that is
surely rounding, and the largest one that may be."""
_PLAIN_LAYERS = ("DynamicLayer", "DynamicSlidingWindowLayer")

_NOT_REPEATABLE = {
    "reformer": "its attention hashes at random, so its logits change with each pass"
}
"""By model type; a few tokens are too few for it to show."""


class Checked(NamedTuple):
    """Result of the check."""

    feeding: Feeding
    positions: int | None
    """Number of positions in a learned table, as far as it has one; None: not known."""
    notices: tuple[str, ...]
    cache_bytes_per_token: int


@torch.inference_mode()
def check(model: Any, context_length: int) -> Checked:
    """Find how to feed a model.

    Raises:
        ModelError: it is not a causal language model that `generate` feeds with ids alone, or the
            library cannot run it.
    """
    none = Feeding(model=model, state="none")
    reason = _NOT_REPEATABLE.get(model.config.model_type)
    if reason is not None:
        raise ModelError(f"{type(model).__name__} is not supported: {reason}")
    name = type(model).__name__
    ids = draw_ids(model, min(sum(_SIZES), context_length))
    tables = _PositionTables(ids.shape[1])
    with _refusing(f"transformers cannot run {name}"), tables:
        expected = none.run(ids, Past(None), 0, ids.shape[1])
    if bool(expected.isnan().any()):
        raise ModelError(
            f"{name} gives logits that are not numbers; its weights may be damaged, or --dtype"
            " float32 may help"
        )
    positions = min(tables.sizes, default=None)
    _check_inputs(model, ids, expected)
    sure, _ = limits = limits_of(model)
    best = _Attempt(none, math.inf, 0)
    for feeding in feedings(model):
        best = min(best, _attempt(feeding, ids, expected, sure), key=lambda found: found.error)
        if best.error <= sure:
            break
    if best.error <= limits[1]:
        return Checked(best.feeding, positions, (), best.bytes_per_token)
    _check_causal(none, ids, expected, limits[1])
    notice = (
        f"transformers keeps no state for {name} that gptterm can use: each token computes the"
        " whole text anew, which is slow"
    )
    return Checked(none, positions, (notice,), ids.itemsize)


@contextmanager
def _refusing(what: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise ModelError(f"{what}: {first_line(error)}") from error


def draw_ids(model: Any, count: int) -> Tensor:
    """(1, count) ids of ordinary tokens: those with a part of their own are avoided."""
    embeddings = model.get_input_embeddings()
    config = model.config.to_dict() | model.config.get_text_config().to_dict()
    special = {value for key, value in config.items() if "token" in key and isinstance(value, int)}
    vocabulary = int(embeddings.weight.shape[0])
    usual = [i for i in range(min(vocabulary, 1000)) if i not in special] or [0]
    ids = [usual[(i * 97 + 31) % len(usual)] for i in range(count)]
    return torch.tensor([ids], device=embeddings.weight.device)


def limits_of(model: Any) -> tuple[float, float]:
    if getattr(model, "is_quantized", False):
        return _LIMIT_OF_OTHERS
    return _LIMITS.get(model.dtype, _LIMIT_OF_OTHERS)


def difference(found: Tensor, expected: Tensor) -> float:
    """Largest difference of (…, vocabulary) logits, as a share of the range of the expected."""
    found, expected = found.float(), expected.float().to(found.device)
    if bool(found.isnan().any()):
        return math.inf
    found, expected = (x.nan_to_num(posinf=0.0, neginf=0.0) for x in (found, expected))
    size = (expected.amax(-1) - expected.amin(-1)).clamp_min(1e-6)
    return float(((found - expected).abs().amax(-1) / size).max())


class _Attempt(NamedTuple):
    """A way to feed a model, and the largest difference of its logits from the reference."""

    feeding: Feeding
    error: float
    bytes_per_token: int
    """By which the state grows."""


def _attempt(feeding: Feeding, ids: Tensor, expected: Tensor, limit: float) -> _Attempt:
    """Try a way to feed a model; what is not right about it is changed, if possible."""
    try:
        cache = TransformersCache(feeding)
        if _is_recurrent(cache):
            feeding = replace(feeding, one_by_one=True)
            cache = TransformersCache(feeding)
        errors = [_feed(cache, size, ids, expected) for size in _SIZES[:2]]
        size = cache.past.nbytes
        errors.append(_feed(cache, _SIZES[2], ids, expected))
        growth = (cache.past.nbytes - size) // _SIZES[2]
        if max(errors[:2]) <= limit < errors[2] and not feeding.one_by_one:
            feeding = replace(feeding, one_by_one=True)
            cache = TransformersCache(feeding)
            errors = [_feed(cache, size, ids, expected) for size in _SIZES]
        error = max(errors)
        if error <= limit and not _is_plain(cache):
            feeding, error = _check_rows_and_crop(feeding, cache, ids, expected, limit)
        if error <= limit:
            error = max(error, _check_windows(feeding, ids))
        return _Attempt(feeding, error, growth)
    except Exception as error:
        if is_out_of_memory(error):
            raise
        return _Attempt(feeding, math.inf, 0)


def _check_windows(feeding: Feeding, ids: Tensor) -> float:
    """Largest difference of the logits once the text is longer than what the state keeps of it."""
    kept = kept_tokens(feeding)
    if kept is None or kept <= _SHORT_WINDOW:
        return 0.0
    with short_windows(feeding.model, _SHORT_WINDOW):
        expected = replace(feeding, state="none").run(ids, Past(None), 0, ids.shape[1])
        cache = TransformersCache(feeding)
        return max(_feed(cache, size, ids, expected) for size in _SIZES)


def _is_recurrent(cache: TransformersCache) -> bool:
    """Whether a pass of several tokens may lose the state; after a few tokens too little is lost to
    be told from rounding.

    LFM2's convolution layers look like it, but hold only the inputs that a convolution reaches.
    """
    feeding = cache.feeding
    if feeding.state == "returned":
        return True
    types = getattr(feeding.model.config.get_text_config(), "layer_types", None) or ()
    layers = getattr(cache.past.value, "layers", ())
    return "conv" not in types and any(hasattr(layer, "recurrent_states") for layer in layers)


def _feed(cache: TransformersCache, count: int, ids: Tensor, expected: Tensor) -> float:
    """Feed the next ids; return the difference of the logits after the last one."""
    start = cache.length
    end = min(start + count, ids.shape[1])
    if end == start:  # the context is that short
        return 0.0
    logits = cache.feed(ids[:, start:end].expand(cache.ids.shape[0], -1), last=1)
    assert logits is not None
    return difference(logits[:, -1], expected[:, end - 1])


def _is_plain(cache: TransformersCache) -> bool:
    """Whether the state is one whose rows and length are known to be changeable."""
    past = cache.past.value
    return type(past).__name__ == "DynamicCache" and all(
        type(layer).__name__ in _PLAIN_LAYERS for layer in past.layers
    )


def _check_rows_and_crop(
    feeding: Feeding, cache: TransformersCache, ids: Tensor, expected: Tensor, limit: float
) -> tuple[Feeding, float]:
    """Crop the cache, and copy its sequence, in a way that is known to be right for plain ones."""
    count = ids.shape[1]
    if feeding.can_crop and cache.crop(count - 1) and _feed(cache, 1, ids, expected) > limit:
        feeding = replace(feeding, can_crop=False)
    cache = TransformersCache(feeding)
    _feed(cache, count - 1, ids, expected)
    rows = cache.fork([0, 0])
    if _feed(rows, 1, ids, expected) > limit:
        feeding = replace(feeding, batched=False)
        rows = cache.fork([0])
        return feeding, max(_feed(rows, 1, ids, expected), _feed(cache, 1, ids, expected))
    return feeding, _feed(cache, 1, ids, expected)


def _check_causal(none: Feeding, ids: Tensor, expected: Tensor, limit: float) -> None:
    size = _SIZES[0]
    prefix = none.run(ids[:, :size], Past(None), 0, 1)
    if ids.shape[1] > size and difference(prefix[:, -1], expected[:, size - 1]) > limit:
        raise ModelError(
            f"{type(none.model).__name__} does not predict the next token: its output for a token"
            " depends on later ones (a masked language model?); gptterm cannot continue text with"
            " it"
        )


def _check_inputs(model: Any, ids: Tensor, expected: Tensor) -> None:
    """Refuse a model that `generate` feeds with something else than the ids."""
    with transformers_import.transformers() as transformers:
        usual = transformers.GenerationMixin.prepare_inputs_for_generation
    prepare = getattr(type(model), "prepare_inputs_for_generation", usual)
    if prepare is usual:
        return
    try:
        inputs = model.prepare_inputs_for_generation(
            ids, attention_mask=torch.ones_like(ids), use_cache=False, is_first_iteration=True
        )
        logits = model(**inputs).logits
    except Exception as error:
        if is_out_of_memory(error):
            raise
        return  # inputs that a call of `generate` would complete
    if difference(logits[:, -1], expected[:, -1]) > limits_of(model)[1]:
        special = sorted(inputs.keys() - {"input_ids", *_USUAL_INPUTS})
        raise ModelError(
            f"{type(model).__name__} continues text with inputs of its own"
            f" ({', '.join(special) or 'other ids'}), which gptterm does not compute"
        )


_USUAL_INPUTS = ("attention_mask", "position_ids", "use_cache", "past_key_values")


class _PositionTables(TorchFunctionMode):
    """Finds tables of learned positions while a model runs over some ids.

    Attributes:
        sizes: for each, the number of positions it has. The first rows of a table may be of no
            position: RoBERTa counts from the row after the padding id's on.
    """

    def __init__(self, count: int) -> None:
        super().__init__()
        self.sizes: list[int] = []
        self._count = count

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func is torch.nn.functional.embedding and self._count > 1:
            row = args[0].reshape(-1)[: self._count].tolist()
            if row == list(range(row[0], row[0] + self._count)):
                self.sizes.append(args[1].shape[0] - row[0])
        return func(*args, **(kwargs or {}))
