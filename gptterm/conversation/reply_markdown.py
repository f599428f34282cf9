"""HTML of replies that are Markdown."""

import re
from collections.abc import Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING

from gptterm.terminal import printable

if TYPE_CHECKING:
    from markdown_it.token import Token

STYLES = """\
figure { margin: .8rem 0; border-radius: 8px; background: var(--shade); }
figcaption { font-size: .75rem; color: var(--dim); padding: .4rem .9rem 0; }
pre { margin: 0; padding: .6rem .9rem .8rem; overflow-x: auto; }
code { font: .9em/1.45 ui-monospace, monospace; }
:not(pre) > code { background: var(--shade); border-radius: 4px; padding: .1em .3em; }
.md > :first-child { margin-top: .2rem; }
.md > :last-child { margin-bottom: .2rem; }
.md h3, .md h4, .md h5, .md h6 { margin: 1.2rem 0 .4rem; font-size: 1rem; }
.md .h1 { font-size: 1.35rem; }
.md .h2 { font-size: 1.15rem; }
.md ul, .md ol { padding-left: 1.5rem; }
blockquote { margin: .8rem 0; padding-left: .9rem; color: var(--dim); }
blockquote { border-left: 3px solid var(--line); }
li:has(> .box, > p:first-child > .box) { list-style: none; }
.box { display: inline-block; width: 1.4em; margin-left: -1.4em; }
table { border-collapse: collapse; display: block; overflow-x: auto; overflow-wrap: normal; }
th, td { padding: .3rem .8rem; border-bottom: 1px solid var(--line); }
th, td { text-align: left; vertical-align: top; }
.right { text-align: right; }
.center { text-align: center; }
a { color: var(--accent); }
hr { border: none; border-top: 1px solid var(--line); }
.c-comment { color: var(--comment); font-style: italic; }
.c-string { color: var(--string); }
.c-number { color: var(--number); }
.c-keyword { color: var(--keyword); }
.c-name { color: var(--name); }
"""
_TAGS = {
    "p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "blockquote", "hr", "table", "thead",
    "tbody", "tr", "th", "td", "strong", "em", "s", "a",
}  # fmt: skip
_BOX = re.compile(r"\[([ xX])\] ")
"""Of a task list."""
_LINK = re.compile(r"https?://", re.IGNORECASE)


def markdown_html(source: str) -> str | None:
    """Render Markdown as HTML in which nothing is obeyed and nothing is fetched.

    HTML in it is text, links lead to http and https alone, and pictures are links.

    Returns:
        None for what is too large or too involved to be parsed.
    """
    # It takes 30 ms to import.
    from gptterm.conversation.markdown_parser import BudgetExceededError, parse_blocks

    env: dict[str, object] = {}
    try:
        return "".join(_blocks(parse_blocks(printable(source), env), env))
    except BudgetExceededError:
        return None


def _blocks(tokens: Sequence["Token"], env: dict[str, object]) -> Iterator[str]:
    from gptterm.conversation.markdown_parser import has_inline_marks, parse_inline

    begins_item = False
    for token in tokens:
        if token.type == "inline":
            text = token.content
            if begins_item and (box := _BOX.match(text)):
                yield f'<span class="box">{"☐" if box[1] == " " else "☑"} </span>'
                text = text[box.end() :]
            if has_inline_marks(text):
                yield from _inline(parse_inline(text, env))
            else:
                yield escape(text).replace("\n", "<br>\n")
        elif token.type in ("fence", "code_block"):
            yield _code(token.content, token.info.strip().partition(" ")[0])
        elif not token.hidden:
            yield _tag(token)
        begins_item = token.type == "list_item_open" or (
            begins_item and token.type == "paragraph_open"
        )


def _inline(tokens: Sequence["Token"]) -> Iterator[str]:
    for token in tokens:
        match token.type:
            case "text":
                yield escape(token.content)
            case "code_inline":
                yield f"<code>{escape(token.content)}</code>"
            case "softbreak" | "hardbreak":
                yield "<br>\n"
            case "image":
                yield _link(str(token.attrs.get("src", ""))) + escape(token.content) + "</a>"
            case "link_open":
                yield _link(str(token.attrs.get("href", "")))
            case _:
                yield _tag(token)


def _link(address: str) -> str:
    """The beginning of a link; one that leads elsewhere than to the web only tells its address."""
    kind = "href" if _LINK.match(address) else "title"
    return f'<a {kind}="{escape(address)}" rel="noopener noreferrer">'


def _tag(token: "Token") -> str:
    """A tag that has no text; headings are below those of the page."""
    if token.tag not in _TAGS:
        return escape(token.content)
    heading = re.fullmatch(r"h([1-6])", token.tag)
    tag = f"h{min(6, int(heading[1]) + 2)}" if heading else token.tag
    if token.nesting < 0:
        return f"</{tag}>\n" if token.block else f"</{tag}>"
    kind = f' class="h{heading[1]}"' if heading else ""
    if tag in ("td", "th") and (side := re.search(r"center|right", str(token.attrs.get("style")))):
        kind = f' class="{side[0]}"'
    if tag == "ol" and str(token.attrs.get("start", "")).isdigit():
        kind = f' start="{token.attrs["start"]}"'
    return f"<{tag}{kind}>"


def _code(code: str, language: str) -> str:
    """A block of code with its colours."""
    # Pygments takes as long again.
    from gptterm.conversation.code_colours import code_spans

    parts, done = [], 0
    for start, end, kind in code_spans(code, language):
        parts += [
            escape(code[done:start]),
            f'<span class="c-{kind}">{escape(code[start:end])}</span>',
        ]
        done = end
    head = f"<figcaption>{escape(language)}</figcaption>" if language else ""
    text = "".join([*parts, escape(code[done:])])
    return f"<figure>{head}<pre><code>{text}</code></pre></figure>\n"
