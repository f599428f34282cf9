"""Messages for errors of downloads."""

import errno
import os

import pytest

from gptterm.models.hub import explain


def raised(error: Exception, cause: Exception | None = None) -> Exception:
    """An error as it is caught, with what led to it."""
    try:
        raise error from cause
    except Exception as caught:
        return caught


def system(code: int) -> OSError:
    return OSError(code, os.strerror(code), "/somewhere")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (raised(system(errno.ENOSPC)), "the disk is full: gpt2 does not fit in"),
        (raised(RuntimeError("download failed"), system(errno.ENOSPC)), "the disk is full"),
        (raised(RuntimeError("IO: No space left on device (os error 28)")), "the disk is full"),
        (raised(system(errno.EDQUOT)), "the disk is full"),
        (raised(system(errno.EROFS)), "which is not writable; set HF_HOME"),
        (raised(system(errno.EACCES)), "which is not writable; set HF_HOME"),
        (
            raised(ValueError("failed due to the above"), system(errno.ECONNREFUSED)),
            "the download of gpt2 failed ([Errno 111] Connection refused",
        ),
        (raised(TimeoutError()), "failed (TimeoutError); run `gptterm models pull gpt2` again"),
        (raised(OSError("one line\nand \x1b[31m another")), "failed (one line);"),
        (raised(OSError("\x1b]0;title\x07")), "failed (␛]0;title␇)"),
    ],
)
def test_one_line_that_says_what_to_do(error: Exception, expected: str) -> None:
    message = explain(error, "gpt2")
    assert expected in message
    assert message.isprintable()


def test_a_chain_that_bites_its_tail() -> None:
    error, other = ValueError("a"), ValueError("b")
    error.__cause__, other.__cause__ = other, error
    assert "failed (b)" in explain(error, "gpt2")
