"""The rest of the suite says little if it runs without them."""

from gptterm.engine.kernels.library import library


def test_the_kernels_were_built() -> None:
    assert library() is not None, "install a C compiler (Debian: gcc), then gptterm again"
