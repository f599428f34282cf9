"""Biases are kept with the document, by model; a ban is no number in JSON."""

import math

from msgspec.structs import replace

from gptterm.conversation.nodes import Generation
from gptterm.document.biases import biases_of, set_bias, set_word, words_of
from gptterm.document.settings import DocumentSettings, decode, encode
from gptterm.document.tree import Document
from gptterm.engine.api import SamplingParams, Token
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


def test_words_are_biased_for_any_model_and_in_what_is_written() -> None:
    document = Document()
    set_word(document, "fox", -math.inf)
    set_word(document, "the moon", 2.0)
    document.settings = decode(encode(document.settings))
    assert words_of(document) == {"fox": -math.inf, "the moon": 2.0}
    set_word(document, "fox", 0.0)
    assert words_of(document) == {"the moon": 2.0}
    assert decode('{"words": {"": 1.0}}') == DocumentSettings()
    # A run that is going on remembers from which token on.
    (version,) = document.begin(0, Generation(model="m"))
    document.apply_event(version, Token(sample=0, id=1, text="a", piece=b"a"))
    changed = SamplingParams(word_bias=tuple(words_of(document).items()))
    document.change_sampling(changed)
    document.finish(version, "cancelled")
    run = document.edit(version).run
    assert run is not None
    assert run.changed_sampling == ((1, changed),)
