"""How far a model with converted weights is from itself in float32."""

import torch
from torch import Tensor

from gptterm.engine.decoders.native import NativeDecoder

TEXT = """\
The harbour was quiet when Anna came down the steps that morning. Two boats lay against the wall, \
and an old man was mending a net. He did not look up. "You are late," he said. "The tide will not \
wait for you." She laughed and threw her bag into the smaller boat.

Water boils at a lower temperature on a mountain than at the sea, because the air presses less on \
it. That is why potatoes take longer to cook in a hut at 3,000 metres. In 1804 two travellers \
measured it with a thermometer, a kettle and a great deal of patience.

def mean(values):
    total = 0
    for value in values:
        total += value
    return total / len(values)
"""
"""A story, a fact and a program: what is measured has to be the same for every model."""


def mean_kl(exact: NativeDecoder, converted: NativeDecoder, ids: list[int]) -> float:
    """Mean over a text's tokens of the KL divergence of the next token's distributions, in nats.

    Args:
        ids: the text, from the model's first position on.
    """
    text = torch.tensor(ids[: exact.context_length])
    reference, found = (_log_probabilities(x.all_logits(text)) for x in (exact, converted))
    each = torch.sum(reference.exp() * (reference - found), dim=1)
    return float(each.mean())


def _log_probabilities(logits: Tensor) -> Tensor:
    return torch.log_softmax(logits, dim=1)
