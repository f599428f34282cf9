"""How much of the KV cache the next prompt keeps."""

from hypothesis import given
from hypothesis import strategies as st

from gptterm.engine.generation.prefix_cache import reusable_prefix

ids = st.lists(st.integers(0, 2), max_size=12)


@given(ids, ids)
def test_it_is_the_longest_common_prefix_that_leaves_a_token_to_feed(
    cached: list[int], prompt: list[int]
) -> None:
    count = reusable_prefix(cached, prompt)
    assert cached[:count] == prompt[:count]
    longer = count + 1
    assert longer >= len(prompt) or longer > len(cached) or cached[:longer] != prompt[:longer]
    assert count == 0 or count < len(prompt)


@given(ids)
def test_the_same_prompt_again_feeds_its_last_token_only(prompt: list[int]) -> None:
    assert reusable_prefix(prompt, tuple(prompt)) == max(0, len(prompt) - 1)
