"""Definitions of the settings: names, value types, defaults and help.

One row serves an option, a `GPTTERM_*` variable, a key of config.toml and of a preset. Those of the
samplers follow from their declarations, as the engine's own checks do.
"""

from typing import NamedTuple

from gptterm.config.value_types import (
    AdapterList,
    Boolean,
    EndList,
    Integer,
    KeepAlive,
    Number,
    Seed,
    Text,
    TextList,
    TextPairs,
    ValueType,
    Word,
)
from gptterm.engine.samplers import ORDERS, SAMPLERS
from gptterm.ranges import Range


class Setting(NamedTuple):
    """Definition of one setting."""

    type: ValueType
    default: object
    help: str
    """Effect, with its unit and the neutral value."""
    sampling: bool = False
    """A preset, or a model's generation_config.json, may set it."""


SETTINGS: dict[str, Setting] = {
    "model": Setting(
        Text("the name of a model", empty=False), "gpt2",
        "a Hub id, an alias, a model directory, openai/NAME, or tiny (the bundled model, also used "
        "where the default model is not available)",
    ),
    "server": Setting(
        Text("the address or the name of a server", empty=False), None,
        "an OpenAI-compatible server instead of this machine: its URL, or a name of [servers] in "
        "config.toml; -m names its model, which may be left out where it has only one",
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
    "until": Setting(
        EndList(), (),
        "end behind this text, which is printed: a text, a /regular expression/, sentence, "
        "paragraph or line; repeatable",
    ),
    "form": Setting(
        Word.of("auto", "raw", "chat"), "auto",
        "raw: the model continues the prompt; chat: it answers; auto: chat if the model has a "
        "chat template",
    ),
    "device": Setting(
        Word(
            "auto|cpu|cuda[:N]|mps", "auto, cpu, cuda, cuda:N or mps",
            r"auto|cpu|mps|cuda(:[0-9]{1,3})?",
        ),
        "auto", "where the model runs",
    ),
    "dtype": Setting(
        Word.of("auto", "float32", "bfloat16", "float16", "int8"), "auto",
        "number format of the weights",
    ),
    "kv_dtype": Setting(
        Word.of("auto", "float32", "float16", "int8"), "auto",
        "number format of the KV cache, for models with a decoder of gptterm's own, on the CPU: "
        "int8 takes half the memory of float16, at a loss that is measured; auto is float32 where "
        "the weights are, and float16 elsewhere",
    ),
    "context": Setting(
        Integer(Range(2, integer=True)), None,
        "the most tokens of prompt and reply together, at most what the model holds: a shorter "
        "context bounds the memory of a long chat",
    ),
    "adapter": Setting(
        AdapterList(), (),
        "a LoRA adapter for the model, in a directory as peft saves it; its changes times SCALE; "
        "repeatable",
    ),
    "keep_alive": Setting(
        KeepAlive(), "off",
        "how long the engine stays, with the model loaded, after its last use: the next prompt "
        "starts at once",
    ),
    "overflow": Setting(
        Word.of("error", "truncate"), "truncate",
        "a prompt too long for the context: drop its oldest tokens, with room left for the reply "
        "and a notice, or fail with exit code 5",
    ),
    "offline": Setting(Boolean(), False, "do not use the network"),
    "save": Setting(Boolean(), True, "save chats and prompts in the history"),
}  # fmt: skip

TRANSCRIPT: dict[str, Setting] = {
    "preamble": Setting(Text(), None, "text before the first turn"),
    "user": Setting(Text("a name", empty=False), None, "the user's name in the transcript"),
    "assistant": Setting(Text("a name", empty=False), None, "the model's name in the transcript"),
}
"""Transcript form of a chat, for a model without a chat template; defaults are the engine's."""

SERVER: dict[str, Setting] = {
    "url": Setting(
        Text("an address", empty=False), None, "base address, such as http://gpu:8000/v1"
    ),
    "key_env": Setting(Text("the name of a variable"), "", "environment variable that has the key"),
    "key_file": Setting(Text("the path of a file"), "", "file that has the key, with mode 0600"),
    "api": Setting(
        Word.of("auto", "chat", "completions"),
        "auto",
        "completions: its models continue texts; chat: they answer",
    ),
    "timeout": Setting(
        Number(Range(0, open_low=True)), 300.0, "seconds to wait for the next part of a reply"
    ),
}
"""A server of config.toml, `[servers.NAME]`; `headers` is a table of its own."""

TASK: dict[str, Setting] = {
    "prompt": Setting(
        Text("a template with {input}", empty=False), "", "what a base model continues"
    ),
    "about": Setting(Text(), "", "one line for lists"),
    "example": Setting(Text(), "", "one example in the prompt, with {input} and {output}"),
    "examples": Setting(TextPairs(), (), "pairs of an input and its output"),
    "chat": Setting(Text(), "", "what a chat model is asked"),
    "labels": Setting(TextList(), (), "the possible outputs"),
    "source": Setting(Text(), "", "where the prompt comes from"),
}
"""A task of config.toml, `[tasks.NAME]`, which may also set `TASK_SETTINGS`."""

TASK_SETTINGS = {
    name: setting
    for name, setting in SETTINGS.items()
    if setting.sampling or name in ("stop", "until")
}

TUI: dict[str, Setting] = {
    "theme": Setting(Text("the name of a theme", empty=False), "auto", "colours of the TUI"),
    "mouse": Setting(Boolean(), True, "use the mouse"),
    "reduced_motion": Setting(Boolean(), False, "no blinking and no animation"),
    "panes": Setting(
        Word.of("both", "chats", "sampling", "none"),
        "both",
        "panes beside the transcript where there is room: one from 100 columns on, both from 140",
    ),
}

PRESET = {name: setting for name, setting in SETTINGS.items() if setting.sampling}
"""A preset of config.toml, `[presets.NAME]`."""

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
