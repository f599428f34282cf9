"""The settings: names, ranges, defaults and what each means.

One row serves an option, a `GPTTERM_*` variable, a key of config.toml and a preset. What it says
about ranges agrees with the engine's contract, which checks them again.
"""

from typing import NamedTuple

from gptterm.config.value_types import (
    Boolean,
    Choice,
    Device,
    Integer,
    KeepAlive,
    Number,
    Seed,
    Text,
    TextList,
    ValueType,
)


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
    "temperature": Setting(
        Number("a number, 0 or more", 0), 0.8, "divides the logits, 0 or more; 0 is greedy", True
    ),
    "top_k": Setting(
        Integer("a whole number, 0 or more", 0), 40, "keep the N likeliest tokens; 0 is off", True
    ),
    "top_p": Setting(
        Number("a number above 0, up to 1", 0, 1, low_open=True), 0.95,
        "keep a token while the mass above it is below X, in (0, 1]; 1 is off", True,
    ),
    "min_p": Setting(
        Number("a number from 0 to 1", 0, 1), 0.0,
        "keep tokens at least X times as likely as the likeliest, in [0, 1]; 0 is off", True,
    ),
    "typical_p": Setting(
        Number("a number above 0, up to 1", 0, 1, low_open=True), 1.0,
        "keep the mass X nearest to the expected surprisal, in (0, 1]; 1 is off", True,
    ),
    "repetition_penalty": Setting(
        Number("a number above 0", 0, low_open=True), 1.0,
        "weakens tokens of the prompt and the output, above 0; 1 is off", True,
    ),
    "presence_penalty": Setting(
        Number("a finite number"), 0.0,
        "subtracted from the logit of each token of the output; 0 is off", True,
    ),
    "frequency_penalty": Setting(
        Number("a finite number"), 0.0,
        "the same for each time it occurs; 0 is off", True,
    ),
    "sampler_order": Setting(
        Choice("transformers", "llama"), "transformers", "which order the samplers run in", True
    ),
    "seed": Setting(
        Seed(), None, "the same model, settings, device and seed give the same text"
    ),
    "max_tokens": Setting(
        Integer("a whole number, 1 or more", 1), 256, "stop after N tokens, 1 or more", True
    ),
    "stop": Setting(TextList(), (), "end before this text, which is not printed; repeatable"),
    "form": Setting(
        Choice("auto", "raw", "chat"), "auto",
        "raw: the model continues the prompt; chat: it answers; auto: chat if the model has a "
        "chat template",
    ),
    "device": Setting(Device(), "auto", "where the model runs"),
    "dtype": Setting(
        Choice("auto", "float32", "bfloat16", "float16", "int8"), "auto",
        "number format of the weights",
    ),
    "keep_alive": Setting(
        KeepAlive(), "off",
        "keep the engine, with the model loaded, for so long after its last use: the next prompt "
        "finds it warm",
    ),
    "overflow": Setting(
        Choice("error", "truncate"), "truncate",
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

BUILT_IN_PRESETS: dict[str, dict[str, object]] = {
    # Every sampler off: the model's own distribution.
    "neutral": {
        "temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "typical_p": 1.0,
        "repetition_penalty": 1.0, "presence_penalty": 0.0, "frequency_penalty": 0.0,
    },
    # Answers: few surprises.
    "focused": {
        "temperature": 0.3, "top_k": 40, "top_p": 0.9, "min_p": 0.05, "typical_p": 1.0,
        "repetition_penalty": 1.0, "presence_penalty": 0.0, "frequency_penalty": 0.0,
    },
    # Stories: a hot distribution with its tail cut relative to the likeliest token.
    "creative": {
        "temperature": 1.1, "top_k": 0, "top_p": 1.0, "min_p": 0.05, "typical_p": 1.0,
        "repetition_penalty": 1.05, "presence_penalty": 0.0, "frequency_penalty": 0.0,
    },
    # Small base models, which loop without a penalty.
    "base": {
        "temperature": 0.9, "top_k": 50, "top_p": 0.95, "min_p": 0.0, "typical_p": 1.0,
        "repetition_penalty": 1.15, "presence_penalty": 0.0, "frequency_penalty": 0.0,
    },
}  # fmt: skip


def env_variable(name: str) -> str:
    """The environment variable of a setting."""
    return f"GPTTERM_{name.upper()}"
