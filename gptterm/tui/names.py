"""What things are called on the screen."""

from gptterm.terminal import one_line


def short_name(model: str) -> str:
    """A model's name without where it lies: the last part of a path or of a Hub id."""
    return one_line(model.rstrip("/").rpartition("/")[2] or model)


def written(value: object) -> str:
    """A setting's value as one would type it."""
    return f"{value:g}" if isinstance(value, float) else one_line(str(value))
