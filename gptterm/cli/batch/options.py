"""Options of `gptterm batch` that are no settings."""

from typing import NamedTuple


class BatchOptions(NamedTuple):
    """Options that are not settings."""

    file: str | None
    plain: bool
    concurrency: int | None
    unordered: bool
    output: str | None
    resume: bool
    retry_errors: bool
    logprobs: int | None
    api_key: str
    quiet: bool
    verbose: bool
