"""Biases are kept with the document, by model; a ban is no number in JSON."""

import math

from msgspec.structs import replace

from gptterm.document.biases import biases_of, set_bias
from gptterm.document.settings import decode, encode
from gptterm.document.tree import Document
from tests.document.test_tree import INFO


def test_biases_by_model_are_kept_with_the_settings() -> None:
    document, other = Document(), replace(INFO, name="other")
    assert biases_of(document, INFO) == biases_of(document, None) == {}
    set_bias(document, INFO, 7, -math.inf)
    set_bias(document, INFO, 8, 2.0)
    set_bias(document, other, 7, 1.0)
    document.settings = decode(encode(document.settings))
    assert biases_of(document, INFO) == {7: -math.inf, 8: 2.0}
    assert biases_of(document, other) == {7: 1.0}
    set_bias(document, INFO, 7, 0.0)
    assert biases_of(document, INFO) == {8: 2.0}
