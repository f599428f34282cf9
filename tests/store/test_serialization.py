"""Token ids and runs between memory and rows."""

from hypothesis import given
from hypothesis import strategies as st

from gptterm.engine.api import SamplingParams, Timings, Usage
from gptterm.store.serialization import decode_run, encode_run, pack_ids, unpack_ids
from tests.store.chats import planned


@given(st.lists(st.integers(0, 2**32 - 1)) | st.lists(st.integers(0, 2**16 - 1)))
def test_ids_come_back(ids: list[int]) -> None:
    blob = pack_ids(ids)
    assert unpack_ids(blob) == tuple(ids)
    width = 2 if max(ids, default=0) < 1 << 16 else 4
    assert blob is None if not ids else len(blob or b"") == 1 + width * len(ids)


@given(st.binary())
def test_damaged_ids_are_none_or_numbers(blob: bytes) -> None:
    assert all(0 <= number < 2**32 for number in unpack_ids(blob))


@given(st.floats(allow_nan=False, max_value=1e300), st.integers(0, 2**63 - 1))
def test_a_run_comes_back(bias: float, seed: int) -> None:
    run = planned(seed=seed)
    sampling = SamplingParams(logit_bias=((1, bias), (2, float("-inf"))))
    run = type(run)(
        model="m\x1b[2J", sampling=sampling, seed=seed, changed_sampling=((4, sampling),),
        usage=Usage(prompt_tokens=1, completion_tokens=2, reused_tokens=3, dropped_tokens=4),
        timings=Timings(first_token_s=0.5, total_s=1.25, tokens_per_s=7.0), reason="length",
    )  # fmt: skip
    assert decode_run(encode_run(run)) == run
