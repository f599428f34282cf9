"""LineParser: lines of our form, of OpenAI's and of plain text to jobs."""

from typing import Any

import msgspec

from gptterm.cli.batch import openai_lines
from gptterm.cli.batch.jobs import ASKED, BadLineError, Job, JobMaker, line_logprobs
from gptterm.cli.batch.reader import MOST_LINE_BYTES, Line
from gptterm.format import byte_size


class LineParser:
    """Parses lines into jobs.

    Args:
        plain: lines are prompts, not JSON.
    """

    def __init__(self, maker: JobMaker, *, plain: bool = False) -> None:
        self._maker = maker
        self._plain = plain

    def parse(self, line: Line) -> Job | None:
        """Return the job of a line; None for a blank one.

        Raises:
            BadLineError: it cannot be run.
        """
        if line.data is None:
            raise BadLineError(f"the line is longer than {byte_size(MOST_LINE_BYTES)}")
        if not line.data.strip():
            return None
        if self._plain:
            return self._maker.job(line.number, self._maker.settings, {"prompt": _text(line.data)})
        fields = _decoded(line.data)
        if "custom_id" in fields or "body" in fields:
            return openai_lines.parse(line.number, fields, self._maker)
        return _own(line.number, fields, self._maker)


def _own(number: int, fields: dict[str, Any], maker: JobMaker) -> Job:
    """Return the job of a line of our form."""
    id_ = _id(fields.pop("id", None))
    try:
        logprobs = line_logprobs(fields.pop("logprobs", maker.logprobs))
        asked = {key: fields.pop(key) for key in ASKED if key in fields}
        return maker.job(number, maker.with_fields(fields), asked, logprobs=logprobs, id_=id_)
    except ValueError as error:
        raise BadLineError(str(error), id_) from None


def _id(value: object) -> str | int | None:
    if value is None or isinstance(value, str) or type(value) is int:
        return value
    raise BadLineError("id must be a text or a whole number")


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise BadLineError(f"not valid UTF-8 (at byte {error.start})") from None


def _decoded(data: bytes) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(_text(data))
    except msgspec.MsgspecError as error:
        raise BadLineError(f"not valid JSON: {error} (--lines takes plain text)") from None
    except RecursionError:
        raise BadLineError("not valid JSON: it is nested too deeply") from None
    if not isinstance(value, dict):
        raise BadLineError("the line is no JSON object (--lines takes plain text)")
    return value
