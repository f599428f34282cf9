"""Fidelity of a converted model: its KL divergence from the same model in float32."""

import numpy as np

from gptterm.engine.decoders.native_decoder import NativeDecoder
from gptterm.engine.sampling.distribution import log_softmax

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
"""A story, a fact and a program; the same text for every model."""


def mean_kl(exact: NativeDecoder, converted: NativeDecoder, ids: list[int]) -> float:
    """Mean KL divergence of the next token's distributions over a text, in nats a token.

    Args:
        ids: the text; what exceeds the context is cut.
    """
    text = np.array(ids[: exact.context_length])
    each = []
    for pair in zip(exact.all_logits(text), converted.all_logits(text), strict=True):
        reference, found = map(log_softmax, pair)
        each.append(np.sum(np.exp(reference) * (reference - found), dtype=np.float64))
    return float(np.mean(each))
