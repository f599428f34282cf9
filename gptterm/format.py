"""Format values for people: byte sizes, durations, rates, counts, shortened text."""

import math

from gptterm.terminal import one_line


def byte_size(count: float) -> str:
    """Format a number of bytes in powers of 1,000, as disks are sold: `548 MB`."""
    unit = "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if count < 999.5:
            break
        count, unit = count / 1000, larger
    return f"{count:.1f} {unit}" if unit != "bytes" and count < 10 else f"{count:.0f} {unit}"


def latency(seconds: float) -> str:
    """Format a wait for something: `340 ms`, `1.2 s`."""
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def duration(seconds: float) -> str:
    """Format a stretch of time in its natural unit: `40 s`, `5 min`, `1.5 h`."""
    seconds = max(seconds, 0.0)
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def token_rate(per_second: float) -> str:
    """Format a decoding speed, with a decimal below 100: `45.2 tok/s`, `168 tok/s`."""
    digits = 0 if per_second >= 100 else 1
    return f"{per_second:.{digits}f} tok/s"


def perplexity(value: float, digits: int = 3) -> str:
    """Format a perplexity in so many significant digits: `24.5`, `8,270`, `8.27e6` from 10^6 on."""
    rounded = float(f"{value:.{digits}g}")
    if rounded < 1000 or not math.isfinite(rounded):
        return f"{rounded:.{digits}g}"
    if rounded < 1e6:
        return f"{rounded:,.0f}"
    mantissa, _, exponent = f"{rounded:.{digits - 1}e}".partition("e")
    return f"{mantissa}e{int(exponent)}"


def parameter_count(parameters: int) -> str:
    """Format the size of a model: `124.4 M parameters`."""
    return f"{parameters / 1e6:,.1f} M parameters"


def plural(number: int, noun: str, several: str = "") -> str:
    """Format a count with its noun: `1 chat`, `3 chats`, `1,024 tokens`; or another plural."""
    return f"{number:,} {noun if number == 1 else several or f'{noun}s'}"


def shorten(text: str, limit: int) -> str:
    """Return `text` as one printable line of at most `limit` characters, its end cut off."""
    text = one_line(text)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def escaped(name: str) -> str:
    r"""Escape what is not printable in a name or path, and cut it to 200 characters.

    Each character of a name counts, so none is dropped as `one_line` would: a newline becomes
    `\n`, a zero-width space `\u200b`. The middle is cut out, since a path's end tells more.
    """
    if len(name) > 200:
        name = f"{name[:100]}…{name[-99:]}"
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in name)


def first_line(error: BaseException) -> str:
    """Return the first line of an exception's message, or the exception's name if it has none.

    The messages of libraries can run to pages. A line that ends in a colon begins a list, whose
    lines belong to it.
    """
    message = str(error).strip()
    line = message.partition("\n")[0]
    message = message if line.endswith(":") else line
    return shorten(message, 300) or type(error).__name__


def short_name(model: str) -> str:
    """Return the last part of a model's path or Hub id: `Qwen/Qwen3-0.6B` is `Qwen3-0.6B`.

    Of a model on a server, without the server's address.
    """
    name, at, _ = model.rpartition("@http")
    model = name if at else model
    return one_line(model.rstrip("/").rpartition("/")[2] or model)


def setting_value(value: object) -> str:
    """Format a setting's value as one would type it."""
    return f"{value:g}" if isinstance(value, float) else one_line(str(value))
