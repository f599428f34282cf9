"""What a daemon's model is to a client."""

from gptterm.engine.api import LoadRequest, ModelInfo, ModelSource
from gptterm.engine.daemon.fingerprint import as_requested


def test_a_notice_of_both_is_said_once() -> None:
    source = ModelSource(name="m", directory="/m", notices=("an adapter", "mine"))
    info = ModelInfo(
        name="other",
        revision="",
        architecture="GPT2LMHeadModel",
        decoder="native",
        device="cpu",
        dtype="float32",
        parameters=1,
        context_length=2,
        vocab_size=3,
        has_chat_template=False,
        notices=("an adapter", "its own"),
    )
    found = as_requested(info, LoadRequest(source=source), 7, 0.5)
    assert (found.name, found.warm_pid) == ("m", 7)
    assert found.notices == ("an adapter", "mine", "its own")
