"""Colours of code blocks by row."""

from gptterm.conversation.code_colours import code_spans
from gptterm.tui.widgets.transcript.lines import Span, spans_by_line


def highlight_code(code: str, language: str) -> dict[int, list[Span]]:
    """Return the coloured spans of a block: index of a row → its spans.

    Args:
        code: The block's text.
        language: Name of its language, in any case.
    """
    spans = (Span(start, end, f"code-{kind}") for start, end, kind in code_spans(code, language))
    return spans_by_line(code.split("\n"), spans)
