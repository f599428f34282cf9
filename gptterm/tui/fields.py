"""Fields of the sampling panel: labels, steps, and values as text."""

from bisect import bisect_left, bisect_right
from typing import NamedTuple

from gptterm.config.definitions import SETTINGS
from gptterm.engine.samplers import ORDERS, SAMPLERS
from gptterm.errors import UsageError
from gptterm.terminal import one_line


class Field(NamedTuple):
    """A setting that the panel can change."""

    name: str
    """Name of the setting."""
    label: str
    neutral: object
    """The value that has no effect."""
    neutral_word: str = ""
    """Shown for the neutral value."""
    steps: tuple[float, ...] = ()
    """The values that Left and Right step through."""
    decimals: int = 0
    typing_help: str = ""
    """Help that says how the value is typed, if the definition's does not."""

    @property
    def help(self) -> str:
        """Help and range."""
        return self.typing_help or SETTINGS[self.name].help

    def step(self, value: object, direction: int) -> object:
        """Return the next value above (1) or below (-1); at the end of the range, the same one."""
        if self.name == "sampler_order":
            orders = [*ORDERS]
            return orders[(orders.index(str(value)) + direction) % len(orders)]
        if self.name == "seed":
            return _step_seed(value, direction)
        if not self.steps or not isinstance(value, int | float):
            return value
        if direction > 0:
            at = bisect_right(self.steps, value)
            return self.steps[at] if at < len(self.steps) else value
        at = bisect_left(self.steps, value)
        return self.steps[at - 1] if at else value

    def fraction(self, value: object) -> float | None:
        """Return where a value is among the steps, from 0 to 1; None for what has no steps."""
        if not self.steps or not isinstance(value, int | float):
            return None
        return min(1.0, bisect_left(self.steps, value) / (len(self.steps) - 1))

    def format(self, value: object) -> str:
        """Format a value for the panel."""
        if self.neutral_word and value == self.neutral:
            return self.neutral_word
        if self.name == "temperature" and value == 0:
            return "greedy"
        if isinstance(value, tuple):
            return " ".join(quote(text) for text in value)
        if isinstance(value, float) and self.decimals:
            rounded = f"{value:.{self.decimals}f}"
            return rounded if float(rounded) == value else f"{value:g}"
        return one_line(str(value))

    def parse(self, text: str) -> object:
        """Parse a typed value.

        Raises:
            ValueError: It is no value, or out of range; the message says what is expected.
        """
        if self.name == "stop":
            return _parse_stop_texts(text)
        if text.strip() == self.neutral_word and self.neutral_word:
            return self.neutral
        return SETTINGS[self.name].type.parse(text)


FIELDS: tuple[Field, ...] = (
    *(
        Field(
            sampler.name, sampler.label, sampler.neutral, sampler.neutral_word, sampler.steps,
            0 if sampler.range.integer else 2,
        )
        for sampler in SAMPLERS.values()
    ),
    Field(
        "max_tokens", "max tokens", None, "",
        (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 768, 1024, 1536, 2048, 4096, 8192, 16384, 32768),
    ),
    Field("seed", "seed", None, "random"),
    Field(
        "stop", "stop", (), "off",
        typing_help='end before this text, which is left out; several as "a" "b\\n"; off for none',
    ),
    Field("sampler_order", "order", "transformers"),
)  # fmt: skip


def quote(text: str) -> str:
    r"""Quote a stop text on one line, as `/stop` reads it: `"né\n"`."""
    return f'"{"".join(map(_escape, text))}"'


def _escape(character: str) -> str:
    if character.isprintable() and character not in '"\\':
        return character
    # Not needed for the first frame.
    import json

    return json.dumps(character)[1:-1]


def _step_seed(value: object, direction: int) -> int | None:
    if not isinstance(value, int):
        return 0 if direction > 0 else None
    return value + direction if value + direction >= 0 else None


def _parse_stop_texts(text: str) -> object:
    """Parse stop texts like the argument of `/stop`."""
    # Not needed for the first frame.
    from gptterm.conversation import commands

    try:
        command = commands.parse_line(f"/stop {text}")
    except UsageError as error:
        raise ValueError(str(error).removeprefix("/stop ")) from None
    assert isinstance(command, commands.ChangeSetting)
    return command.value
