"""Offers: models worth having where only the bundled one is on this machine."""

from typing import NamedTuple

from gptterm.models.cache import cached_models, is_offline


class Offer(NamedTuple):
    """A model on the Hub that is small enough for any machine."""

    name: str
    purpose: str
    size: int
    """Bytes that are downloaded."""


OFFERS = (
    Offer("HuggingFaceTB/SmolLM2-135M-Instruct", "to talk with", 272_600_000),
    Offer("gpt2", "to write with", 550_500_000),
)


def offers() -> list[Offer]:
    """List the offers; none offline, or if there is a usable model in the cache."""
    if is_offline() or any(not model.problem for model in cached_models()):
        return []
    return list(OFFERS)
