"""The rows of the sampling panel: what each setting is called there and how it is stepped."""

from bisect import bisect_left, bisect_right
from typing import NamedTuple

from gptterm.config.definitions import SETTINGS
from gptterm.engine.samplers import ORDERS, SAMPLERS
from gptterm.errors import UsageError
from gptterm.terminal import one_line


class Field(NamedTuple):
    """A setting that the panel can change."""

    name: str
    """As in the table of settings."""
    label: str
    neutral: object
    """The value at which it does nothing."""
    word: str = ""
    """Shown for the neutral value."""
    ladder: tuple[float, ...] = ()
    """The values that Left and Right go through."""
    decimals: int = 0
    manual: str = ""
    """Help that says how the value is typed, where the definition's does not."""

    @property
    def help(self) -> str:
        """Help and range."""
        return self.manual or SETTINGS[self.name].help


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
        manual='end before this text, which is not printed; several as "a" "b\\n"; off for none',
    ),
    Field("sampler_order", "order", "transformers"),
)  # fmt: skip


def step(field: Field, value: object, direction: int) -> object:
    """The value one step above (1) or below (-1); the same one at the end of the range."""
    if field.name == "sampler_order":
        orders = [*ORDERS]
        return orders[(orders.index(str(value)) + direction) % len(orders)]
    if field.name == "seed":
        return _step_seed(value, direction)
    if not field.ladder or not isinstance(value, int | float):
        return value
    if direction > 0:
        at = bisect_right(field.ladder, value)
        return field.ladder[at] if at < len(field.ladder) else value
    at = bisect_left(field.ladder, value)
    return field.ladder[at - 1] if at else value


def _step_seed(value: object, direction: int) -> int | None:
    if not isinstance(value, int):
        return 0 if direction > 0 else None
    return value + direction if value + direction >= 0 else None


def shown(field: Field, value: object) -> str:
    """The value as the panel writes it."""
    if field.word and value == field.neutral:
        return field.word
    if field.name == "temperature" and value == 0:
        return "greedy"
    if isinstance(value, tuple):
        return " ".join(quoted(text) for text in value)
    if isinstance(value, float) and field.decimals:
        rounded = f"{value:.{field.decimals}f}"
        return rounded if float(rounded) == value else f"{value:g}"
    return one_line(str(value))


def quoted(text: str) -> str:
    r"""A stop text on one line, as `/stop` reads it: `"né\n"`."""
    return f'"{"".join(map(_escaped, text))}"'


def _escaped(character: str) -> str:
    if character.isprintable() and character not in '"\\':
        return character
    # Not needed for the first frame.
    import json

    return json.dumps(character)[1:-1]


def parse(field: Field, text: str) -> object:
    """The value that was typed.

    Raises:
        ValueError: it is none, or out of range; the message says what is wanted.
    """
    if field.name == "stop":
        return _stop_texts(text)
    if text.strip() == field.word and field.word:
        return field.neutral
    return SETTINGS[field.name].type.parse(text)


def _stop_texts(text: str) -> object:
    """Stop texts that `/stop` with this argument sets."""
    # Not needed for the first frame.
    from gptterm.conversation import commands

    try:
        command = commands.parse_line(f"/stop {text}")
    except UsageError as error:
        raise ValueError(str(error).removeprefix("/stop ")) from None
    assert isinstance(command, commands.ChangeSetting)
    return command.value
