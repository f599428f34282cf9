"""Samplers: one declaration each, from which every surface follows.

A declaration makes the option with its aliases, the `GPTTERM_*` variable, the key of config.toml
and of presets, the row of the sampling panel, the command at the prompt, its part of a reply's
attribution, and says whether a model's generation_config.json may set it. `SamplingParams` has the
field of the same name; `gptterm.engine.sampling` binds its functions. Both are checked on import:
a declared sampler that one of them lacks is an error, never a sampler that is passed over.

Imported for `gptterm --help`: no NumPy, no torch.
"""

from typing import Literal, NamedTuple, TypeVar

from gptterm.ranges import Range

Kind = Literal["temperature", "filter", "penalty"]

_Function = TypeVar("_Function")


class Sampler(NamedTuple):
    """One way to change the next-token distribution, with one number as its parameter."""

    name: str
    """Field of `SamplingParams`, key of config.toml and of JSON; with dashes, the option."""
    label: str
    """Name in the panel, in a reply's attribution and for a cut token."""
    help: str
    """Effect, with the range and the neutral value."""
    range: Range
    neutral: float
    """The value that leaves the distribution as it is."""
    default: float
    """The built-in value."""
    steps: tuple[float, ...]
    """Values that Left and Right step through in the panel."""
    kind: Kind = "filter"
    """A penalty changes logits by the tokens so far and comes first; the others are the steps of
    `ORDERS`, of which filters cut tokens."""
    aliases: tuple[str, ...] = ()
    """Other names of the option and of the command."""
    flag: str = ""
    """One-letter option."""
    neutral_word: str = "off"
    """Spelling of the neutral value in the panel and after a command; empty for none."""
    in_generation_config: bool = True
    """A model's generation_config.json may set it."""

    @property
    def options(self) -> list[str]:
        """`-t`, `--temperature`, `--temp`."""
        names = (self.name.replace("_", "-"), *self.aliases)
        return [*filter(None, [self.flag]), *(f"--{name}" for name in names)]


def _grid(first: int, last: int, step: int, scale: int) -> tuple[float, ...]:
    return tuple(number / scale for number in range(first, last + 1, step))


_MASS_STEPS = _grid(5, 85, 5, 100) + _grid(90, 100, 1, 100)
_MASS = Range(0, 1, open_low=True)

SAMPLERS: dict[str, Sampler] = {
    sampler.name: sampler
    for sampler in (
        Sampler(
            "temperature", "temperature", "divides the logits, 0 or more; 0 is greedy",
            Range(0), neutral=1.0, default=0.8,
            steps=(*_grid(0, 200, 5, 100), 2.5, 3.0, 4.0, 5.0),
            kind="temperature", aliases=("temp",), flag="-t", neutral_word="",
        ),
        Sampler(
            "top_k", "top-k", "keep the N likeliest tokens; 0 is off",
            Range(0, integer=True), neutral=0, default=40,
            steps=(0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 80, 100, 150, 200,
                   300, 500, 1000),
        ),
        Sampler(
            "top_p", "top-p",
            "keep a token while the mass above it is below X, in (0, 1]; 1 is off",
            _MASS, neutral=1.0, default=0.95, steps=_MASS_STEPS,
        ),
        Sampler(
            "min_p", "min-p",
            "keep tokens at least X times as likely as the likeliest, in [0, 1]; 0 is off",
            Range(0, 1), neutral=0.0, default=0.0,
            steps=(0.0, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0),
        ),
        Sampler(
            "typical_p", "typical-p",
            "keep the mass X nearest to the expected surprisal, in (0, 1]; 1 is off",
            _MASS, neutral=1.0, default=1.0, steps=_MASS_STEPS,
        ),
        Sampler(
            "repetition_penalty", "repetition",
            "weakens tokens of the prompt and the output, above 0; 1 is off",
            Range(0, open_low=True), neutral=1.0, default=1.0, steps=_grid(50, 200, 5, 100),
            kind="penalty", aliases=("repeat-penalty",),
        ),
        Sampler(
            "presence_penalty", "presence",
            "subtracted from the logit of each token of the output; 0 is off",
            Range(), neutral=0.0, default=0.0, steps=_grid(-20, 20, 1, 10),
            kind="penalty", in_generation_config=False,
        ),
        Sampler(
            "frequency_penalty", "frequency",
            "subtracted for each occurrence in the output; 0 is off",
            Range(), neutral=0.0, default=0.0, steps=_grid(-20, 20, 1, 10),
            kind="penalty", in_generation_config=False,
        ),
    )
}  # fmt: skip
"""By name, in the order of the help and of the panel."""

ORDERS: dict[str, tuple[str, ...]] = {
    "transformers": ("temperature", "top_k", "top_p", "min_p", "typical_p"),
    "llama": ("top_k", "typical_p", "top_p", "min_p", "temperature"),
}
"""Steps of the chain after the penalties, by the name of the order."""


def bind(chain: str, functions: dict[str, _Function], *, penalties: bool) -> dict[str, _Function]:
    """Return `functions`, which must be those of all declared penalties, or of all other samplers.

    Raises:
        LookupError: a declared sampler has no function in this chain, or a function no declaration.
    """
    declared = {s.name for s in SAMPLERS.values() if (s.kind == "penalty") == penalties}
    if missing := declared - functions.keys():
        raise LookupError(f"{chain} has no function for {', '.join(sorted(missing))}")
    if unknown := functions.keys() - declared:
        raise LookupError(f"{chain} has functions of no sampler: {', '.join(sorted(unknown))}")
    return functions


def check_orders() -> None:
    """Hold the orders against the declarations.

    Raises:
        LookupError: an order lacks a step, or has one twice or undeclared.
    """
    steps = sorted(sampler.name for sampler in SAMPLERS.values() if sampler.kind != "penalty")
    for name, order in ORDERS.items():
        if sorted(order) != steps:
            raise LookupError(f"the order {name} must have each of {', '.join(steps)} once")


check_orders()
