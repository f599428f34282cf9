"""Inline tokens of Markdown to text with styled spans."""

import re
from collections.abc import Iterator, Sequence

from markdown_it.token import Token

from gptterm.terminal import display_text
from gptterm.tui.widgets.transcript.lines import LINK, Span, spans_by_line

STYLES = {"strong_open": "strong", "em_open": "emphasis", "s_open": "strike"}
NO_ALT_TEXT = "image"
_WEB = re.compile(r"https?://[!-~]{1,2000}")


def inline_text(tokens: Sequence[Token]) -> tuple[str, list[Span]]:
    """The text of inline tokens, with newlines at line breaks, and its spans, outermost first."""
    renderer = _InlineRenderer()
    renderer.render(tokens)
    return "".join(renderer.parts), renderer.spans


def split_lines(text: str, spans: Sequence[Span]) -> Iterator[tuple[str, Sequence[Span]]]:
    """The lines of a text, each with its part of the spans."""
    if "\n" not in text:
        yield text, spans
        return
    lines = text.split("\n")
    by_line = spans_by_line(lines, spans)
    for index, line in enumerate(lines):
        yield line, by_line.get(index, ())


def _decoded(text: str) -> str:
    """Sanitise text again after unescaping: an entity may be any character."""
    return display_text(text).replace("\n", " ")


def link_style(url: str) -> str:
    """The style of a link's text: one that can be clicked names its address.

    Only web addresses, and none with characters that a terminal could take for the end of one.
    """
    return f"{LINK}{url}" if _WEB.fullmatch(url) else "link"


class _InlineRenderer:
    def __init__(self) -> None:
        self.parts: list[str] = []
        self.spans: list[Span] = []
        self._length = 0
        self._open: list[tuple[str, int, int]] = []
        """Style, start and index of each span that is open; the index is -1 where there is none.

        Emphasis within emphasis has no span of its own, so few spans lie above each other.
        """
        self._links: list[tuple[Token, int]] = []
        """Links that are open, and the first of the parts of their texts."""

    def render(self, tokens: Sequence[Token]) -> None:
        for token in tokens:
            match token.type:
                case "text":
                    self._write(token.content)
                case "softbreak" | "hardbreak":
                    self._write("\n")
                case "text_special":
                    self._write(_decoded(token.content))
                case "code_inline":
                    self._write(token.content, "code")
                case "image":
                    self._image(token)
                case "link_open":
                    self._links.append((token, len(self.parts)))
                    self._begin(link_style(str(token.attrs.get("href", ""))))
                case "link_close":
                    self._end()
                    link, first = self._links.pop()
                    if link.info != "auto":
                        self._target(link, "href", "".join(self.parts[first:]))
                case _ if token.nesting > 0:
                    self._begin(STYLES[token.type])
                case _:
                    self._end()

    def _write(self, text: str, style: str = "") -> None:
        if style:
            self.spans.append(Span(self._length, self._length + len(text), style))
        self.parts.append(text)
        self._length += len(text)

    def _begin(self, style: str) -> None:
        is_new = all(style != name for name, _, _ in self._open)
        self._open.append((style, self._length, len(self.spans) if is_new else -1))
        if is_new:
            self.spans.append(Span(self._length, self._length, style))

    def _end(self) -> None:
        style, start, index = self._open.pop()
        if index >= 0:
            self.spans[index] = Span(start, self._length, style)

    def _image(self, token: Token) -> None:
        first = len(self.parts)
        self._begin(link_style(str(token.attrs.get("src", ""))))
        self.render(token.children or ())
        if first == len(self.parts):
            self._write(NO_ALT_TEXT)
        self._end()
        self._target(token, "src", "".join(self.parts[first:]))

    def _target(self, token: Token, attribute: str, label: str) -> None:
        """Write the URL of a link or an image, unless the label is the URL; and its title."""
        url = _decoded(str(token.attrs.get(attribute, "")))
        title = _decoded(str(token.attrs.get("title", "")))
        shown = [url] if url != label else []
        shown += [f'"{title}"'] if title else []
        if shown:
            self._write(f"{' ' if label else ''}({' '.join(shown)})", "faint")
