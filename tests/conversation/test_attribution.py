"""The line that says what a reply was made with."""

from msgspec.structs import replace

from gptterm.conversation.attribution import generation_summary
from gptterm.conversation.nodes import Generation
from gptterm.conversation.tree import Conversation
from gptterm.engine.api import NEUTRAL, SamplingParams, Timings


def test_the_summary_says_what_a_reply_was_made_with() -> None:
    run = Generation(
        model="gpt2", seed=7, tokens=128, reason="cancelled",
        sampling=SamplingParams(temperature=0.5, top_k=0, top_p=0.9, min_p=0.1),
        timings=Timings(first_token_s=0.1, total_s=1, tokens_per_s=45.25),
    )  # fmt: skip
    assert generation_summary([run]) == (
        "gpt2 · temperature 0.5 · top-p 0.9 · min-p 0.1 · seed 7 · 128 tokens · 45.2 tok/s"
        " · stopped"
    )
    greedy = Generation(model="\x1b[31mx", sampling=SamplingParams(temperature=0), tokens=1)
    assert generation_summary([greedy]) == "␛[31mx · temperature 0 · 1 token · unfinished"


def test_what_is_not_neutral_is_named() -> None:
    sampling = replace(
        NEUTRAL, top_k=5, typical_p=0.5, repetition_penalty=1.1, presence_penalty=-1,
        frequency_penalty=0.5, order="llama",
    )  # fmt: skip
    run = Generation(
        model="m", sampling=sampling, seed=1, stop_texts=("a b", "\n"), tokens=2, reason="eos"
    )
    assert generation_summary([run]) == (
        "m · temperature 1 · top-k 5 · typical-p 0.5 · repetition 1.1 · presence -1"
        ' · frequency 0.5 · order llama · seed 1 · stop "a b" "\\n" · 2 tokens'
    )


def test_what_was_changed_on_the_way_follows() -> None:
    begun = replace(NEUTRAL, temperature=0.8, top_k=40)
    run = Generation(
        model="m", seed=5, sampling=replace(NEUTRAL, temperature=2), tokens=9, reason="length",
        changed_sampling=(
            (0, begun), (3, replace(NEUTRAL, temperature=1.5)), (3, replace(begun, temperature=0)),
            (5, replace(begun, top_k=0)),
        ),
    )  # fmt: skip
    more = Generation(model="n", sampling=begun, seed=6, tokens=4, reason="eos")
    nothing = Generation(model="n", sampling=begun, seed=7, reason="eos")
    assert generation_summary([run]) == (
        "m · temperature 0.8 · top-k 40 · seed 5 · then temperature 0 · then temperature 0.8"
        " · top-k off · 9 tokens · stopped at max tokens"
    )
    assert generation_summary([run, more, nothing]) == (
        "m · temperature 0.8 · top-k 40 · seed 5 · then temperature 0 · then temperature 0.8"
        " · top-k off · then n · top-k 40 · seed 6 · 13 tokens"
    )
    assert generation_summary([nothing]) == "n · temperature 0.8 · top-k 40 · seed 7 · 0 tokens"


def test_a_reply_remembers_the_system_text_it_was_written_under() -> None:
    chat = Conversation("Be terse.\nAlways.")
    run = Generation(model="m", sampling=NEUTRAL, tokens=1)
    reply = chat.begin_reply(chat.add_user("hi"), run)
    chat.finish(reply, "eos")
    chat.system = "Be verbose."
    chat.continue_reply(reply, run)
    chat.finish(reply, "eos")
    node = chat.node(reply)
    assert [run.system for run in node.generations] == ["Be terse.\nAlways.", "Be verbose."]
    told = generation_summary([replace(run, tokens=1) for run in node.generations])
    assert "system Be terse. Always. · then system Be verbose." in told
    # It is no part of a raw continuation.
    raw = chat.begin_reply(chat.add_user("go on"), replace(run, raw=True))
    chat.finish(raw, "eos")
    assert chat.node(raw).generations[0].system == ""


def test_an_imported_reply_has_a_model_at_most() -> None:
    """Its samplers are not known, and not made up."""
    theirs = Generation(model="gpt-4o\x1b[2J", origin="ChatGPT", reason="eos")
    assert generation_summary([theirs]) == "gpt-4o␛[2J · from ChatGPT"
    assert generation_summary([Generation(model="", origin="Claude")]) == "from Claude"
    ours = Generation(model="m", tokens=3, reason="eos")
    assert generation_summary([theirs, ours]) == generation_summary([ours])
