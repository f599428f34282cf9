"""Failures and slowness of the `tokenizers` library end as one line, and the tokenizer goes on."""

import time
from collections.abc import Callable

import pytest
from tokenizers import Regex, decoders, normalizers, pre_tokenizers

from gptterm.engine.gguf.patterns import PATTERNS
from gptterm.engine.text import library_calls
from gptterm.engine.text.library_calls import LibraryCalls, is_simple
from gptterm.engine.text.tokenizer import Tokenizer
from gptterm.errors import ModelError, UsageError
from tests.support.gpt2 import train_tokenizer


def splitting(pattern: str) -> Tokenizer:
    backend = train_tokenizer()
    split = pre_tokenizers.Split(Regex(pattern), "isolated")
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    return Tokenizer(backend)


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|a)*$", "(.*a){12}$"])
@pytest.mark.parametrize("length", [40, 1000])
def test_a_panic_of_the_library_is_one_line(pattern: str, length: int) -> None:
    of = splitting(pattern)
    with pytest.raises(ModelError, match=r"fails on this text: .*retry-limit") as caught:
        of.encode("a" * length + "!")
    assert "\n" not in str(caught.value)
    assert of.decode(of.encode("hello")) == "hello"


def test_a_text_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library_calls, "_SECONDS", 0.2)
    of = splitting("(?:a|a)*$")
    began = time.perf_counter()
    with pytest.raises(ModelError, match="takes longer"):
        of.encode(("a" * 18 + "!") * 60)
    assert time.perf_counter() - began < 2
    with pytest.raises(ModelError, match="still busy"):
        of.encode("hello")
    late = of._guard._late
    assert late is not None
    assert late.wait(60)
    assert of.decode(of.encode("hello")) == "hello"


def test_the_form_of_a_prompts_middle_outlives_a_text_that_takes_too_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(library_calls, "_SECONDS", 0.2)
    backend = train_tokenizer()
    split = pre_tokenizers.Split(Regex("(?:a|a)*$"), "isolated")
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=True, use_regex=False)
    backend.pre_tokenizer = pre_tokenizers.Sequence([split, byte_level])
    of = Tokenizer(backend)
    before = of.encode("king"), of.encode("king", "inside")
    with pytest.raises(ModelError, match="takes longer"):
        of.encode(("a" * 18 + "!") * 60, "inside")
    late = of._guard._late
    assert late is not None
    assert late.wait(60)
    assert (of.encode("king"), of.encode("king", "inside")) == before
    assert before[0] != before[1]


def test_the_patterns_of_known_tokenizers_need_no_thread() -> None:
    for name, pattern in PATTERNS.items():
        for split in pattern.splits:
            assert is_simple(split), name


@pytest.mark.parametrize(
    "pattern", ["(a+)+", "(a|a)*", "(a?){30}", "(a){2,}", r"(a)\1+", "a*a*a*a*$", "x|a+a+a+b"]
)
def test_patterns_that_may_backtrack(pattern: str) -> None:
    assert not is_simple(pattern)


def raising(error: BaseException) -> Callable[[], None]:
    def call() -> None:
        raise error

    return call


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3), UsageError("a")])
def test_what_is_no_failure_of_the_library_passes(error: BaseException) -> None:
    call = raising(error)
    with pytest.raises(type(error)), LibraryCalls("it fails"):
        call()


def test_a_text_is_not_multiplied() -> None:
    backend = train_tokenizer()
    backend.normalizer = normalizers.Sequence([normalizers.Replace("a", "aa")] * 40)
    with pytest.raises(ModelError, match="multiplies"):
        Tokenizer(backend)
    backend = train_tokenizer()
    backend.decoder = decoders.Sequence([decoders.Replace("a", "a" * 1_000_000)])
    with pytest.raises(ModelError, match="multiplies"):
        Tokenizer(backend)
