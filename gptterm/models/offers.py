"""Offers: models on the Hub that are worth having, with what is known before a download."""

from typing import Literal, NamedTuple

from gptterm.models.cache import cached_models, is_offline


class Offer(NamedTuple):
    """A model on the Hub that a small machine can run."""

    name: str
    purpose: str
    size: int
    """Bytes that are downloaded."""
    parameters: int
    context: int
    """Tokens."""

    @property
    def kind(self) -> Literal["chat", "base"]:
        """Whether it was made to talk with."""
        return "chat" if self.purpose == _TALK else "base"


_TALK, _WRITE = "to talk with", "to write with"
OFFERS = (
    Offer("HuggingFaceTB/SmolLM2-135M-Instruct", _TALK, 272_600_000, 134_515_008, 8192),
    Offer("gpt2", _WRITE, 550_500_000, 124_439_808, 1024),
    Offer("HuggingFaceTB/SmolLM2-360M-Instruct", _TALK, 726_000_000, 361_821_120, 8192),
    Offer("gpt2-medium", _WRITE, 1_522_000_000, 354_823_168, 1024),
    Offer("gpt2-large", _WRITE, 3_250_000_000, 774_030_080, 1024),
    Offer("gpt2-xl", _WRITE, 6_433_000_000, 1_557_611_200, 1024),
    Offer("distilgpt2", _WRITE, 355_000_000, 81_912_576, 1024),
    Offer("gpt1", _WRITE, 481_000_000, 116_534_784, 512),
    Offer("gpt-neo-125m", _WRITE, 528_000_000, 125_198_592, 2048),
)
"""The first of each purpose is the one for a first try."""


def offers() -> list[Offer]:
    """List what to fetch first; nothing offline, or if there is a usable model in the cache."""
    if is_offline() or any(not model.problem for model in cached_models()):
        return []
    return list(OFFERS[:2])
