"""The settings: names, ranges, defaults and what each means.

One row serves an option, a `GPTTERM_*` variable, a key of config.toml and a preset. What it says
about ranges agrees with the engine's contract, which checks them again.
"""

from typing import NamedTuple

from gptterm.config.value_types import (
    Boolean,
    Integer,
    KeepAlive,
    Number,
    Seed,
    Text,
    TextList,
    ValueType,
    Word,
)
from gptterm.engine.samplers import ORDERS, SAMPLERS
from gptterm.ranges import Range


class Setting(NamedTuple):
    """One row of the table."""

    type: ValueType
    default: object
    help: str
    """What it does, with its unit and the value that turns it off."""
    sampling: bool = False
    """Belongs to the samplers: a preset or a model's own defaults may set it."""


SETTINGS: dict[str, Setting] = {
    "model": Setting(
        Text("the name of a model", empty=False), "gpt2",
        "a Hub id, an alias, a directory with a model, or tiny (the bundled model, which also "
        "stands in where the default cannot be had)",
    ),
    "system": Setting(Text(), None, "system text of a chat"),
    "preset": Setting(
        Text("the name of a preset", empty=False), None,
        "a named set of sampler values; explicit values win",
    ),
    **{
        sampler.name: Setting(
            Integer(sampler.range) if sampler.range.integer else Number(sampler.range),
            sampler.default, sampler.help, True,
        )
        for sampler in SAMPLERS.values()
    },
    "sampler_order": Setting(
        Word.of(*ORDERS), "transformers", "order in which the samplers run", True
    ),
    "seed": Setting(
        Seed(), None, "the same model, settings, device and seed give the same text"
    ),
    "max_tokens": Setting(
        Integer(Range(1, integer=True)), 256, "stop after N tokens, 1 or more", True
    ),
    "stop": Setting(TextList(), (), "end before this text, which is not printed; repeatable"),
    "form": Setting(
        Word.of("auto", "raw", "chat"), "auto",
        "raw: the model continues the prompt; chat: it answers; auto: chat if the model has a "
        "chat template",
    ),
    "device": Setting(
        Word(
            "auto|cpu|cuda[:N]|mps", "auto, cpu, cuda, cuda:N or mps",
            r"auto|cpu|mps|cuda(:\d{1,3})?",
        ),
        "auto", "where the model runs",
    ),
    "dtype": Setting(
        Word.of("auto", "float32", "bfloat16", "float16", "int8"), "auto",
        "number format of the weights",
    ),
    "keep_alive": Setting(
        KeepAlive(), "off",
        "keep the engine, with the model loaded, for so long after its last use: the next prompt "
        "finds it warm",
    ),
    "overflow": Setting(
        Word.of("error", "truncate"), "truncate",
        "a prompt too long for the context: drop its oldest tokens, keeping room for the reply, "
        "and say so, or fail with exit code 5",
    ),
    "offline": Setting(Boolean(), False, "ask nothing of the network"),
    "save": Setting(Boolean(), True, "keep chats and prompts in the history"),
}  # fmt: skip

TRANSCRIPT: dict[str, Setting] = {
    "preamble": Setting(Text(), None, "stands before the first turn"),
    "user": Setting(Text("a name", empty=False), None, "the user's name in the transcript"),
    "assistant": Setting(Text("a name", empty=False), None, "the model's name in it"),
}
"""How a chat is written down for a model without a chat template; defaults are the engine's."""

TUI: dict[str, Setting] = {
    "theme": Setting(Text("the name of a theme", empty=False), "auto", "colours of the TUI"),
    "mouse": Setting(Boolean(), True, "use the mouse"),
    "reduced_motion": Setting(Boolean(), False, "nothing blinks or slides"),
}

_NEUTRAL: dict[str, object] = {sampler.name: sampler.neutral for sampler in SAMPLERS.values()}
"""Every sampler off."""

BUILT_IN_PRESETS: dict[str, dict[str, object]] = {
    # The model's own distribution.
    "neutral": _NEUTRAL,
    # Answers: few surprises.
    "focused": _NEUTRAL | {"temperature": 0.3, "top_k": 40, "top_p": 0.9, "min_p": 0.05},
    # Stories: a hot distribution with its tail cut relative to the likeliest token.
    "creative": _NEUTRAL | {"temperature": 1.1, "min_p": 0.05, "repetition_penalty": 1.05},
    # Small base models, which loop without a penalty.
    "base": _NEUTRAL
    | {"temperature": 0.9, "top_k": 50, "top_p": 0.95, "repetition_penalty": 1.15},
}  # fmt: skip


def env_variable(name: str) -> str:
    """The environment variable of a setting."""
    return f"GPTTERM_{name.upper()}"
