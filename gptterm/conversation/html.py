"""HTML export: a chat with all its branches as one static page without scripts or other resources.

The selected path is open; the other versions of a turn, each with what follows it, unfold.
"""

import datetime
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from gptterm.conversation.attribution import generation_summary, speaker
from gptterm.conversation.html_page import escaped, page
from gptterm.conversation.nodes import Node
from gptterm.conversation.reply_form import is_markdown
from gptterm.conversation.reply_markdown import STYLES as MARKDOWN_STYLES
from gptterm.conversation.reply_markdown import markdown_html
from gptterm.conversation.tinted_html import LEGEND, STYLES, tinted
from gptterm.conversation.tree import Conversation
from gptterm.format import plural
from gptterm.terminal import one_line

_STYLES = """:root {
  --paper: #fbfaf7; --ink: #24262c; --dim: #6b6f78; --shade: #f0eee8; --line: #d9d6cd;
  --accent: #2f5fb3; --reply: #9a5b0a;
  --comment: #77736a; --string: #3f7a33; --number: #a3480f; --keyword: #7b3fa0; --name: #2f5fb3;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #12141b; --ink: #d5d9e6; --dim: #9397a3; --shade: #1b1e29; --line: #343948;
    --accent: #7aa2f7; --reply: #dfaf68;
    --comment: #7d8295; --string: #9ece6a; --number: #ff9e64; --keyword: #bb9af7; --name: #7dcfff;
  }
}
body { background: var(--paper); color: var(--ink); max-width: 48rem; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.5rem; margin: 0 0 1.5rem; }
article { margin: .4rem 0 1.2rem; padding: .5rem 1rem; border-left: 3px solid transparent; }
article.user { background: var(--shade); border-color: var(--accent); border-radius: 0 8px 8px 0; }
article.system { border-color: var(--line); }
h2 { font-size: .85rem; margin: 0 0 .2rem; color: var(--reply); }
.user h2 { color: var(--accent); }
.system h2, time { color: var(--dim); font-weight: normal; }
.text { white-space: pre-wrap; overflow-wrap: anywhere; unicode-bidi: isolate; }
.md { overflow-wrap: anywhere; unicode-bidi: isolate; }
.reasoning { font-size: .9rem; color: var(--dim); margin: .3rem 0 .8rem; padding-left: .8rem; }
.reasoning { border-left: 2px solid var(--line); }
footer, summary { font-size: .8rem; color: var(--dim); }
article footer { margin-top: .4rem; }
summary { cursor: pointer; }
details.versions { margin: -.6rem 0 1.2rem 1rem; padding-left: .8rem; }
details.versions { border-left: 1px dashed var(--line); }
details.versions[open] > summary { margin-bottom: .6rem; }
"""
_TURN = """<article class="{kind}">
<h2>{speaker}{time}</h2>
{reasoning}{text}
{foot}</article>"""


class _Branch(NamedTuple):
    """A version of a turn with what follows it, to be rendered in this place."""

    key: str


def to_html(chat: Conversation) -> str:
    """Render all turns. Every character is shown as itself, or as a visible stand-in."""
    title = one_line(chat.title) or "Conversation"
    parts = [f'<h1 dir="auto">{escaped(title)}</h1>']
    if chat.system:
        parts.append(_turn("system", "System", _plain(escaped(chat.system))))
    # Versions within versions may be as deep as one likes: no recursion.
    rendering = [_path(chat, chat.selected_child(None))]
    while rendering:
        part = next(rendering[-1], None)
        if part is None:
            rendering.pop()
        elif isinstance(part, _Branch):
            rendering.append(_path(chat, part.key, versions=False))
        else:
            parts.append(part)
    scored = any(node.scores for node in chat.nodes())
    if scored:
        parts.append(f'<footer class="text">{LEGEND}</footer>')
    styles = _STYLES + MARKDOWN_STYLES + (STYLES if scored else "")
    return page(title, styles, "\n".join(parts))


def _path(chat: Conversation, key: str | None, *, versions: bool = True) -> Iterator[str | _Branch]:
    """Yield a turn and the selected ones after it, each followed by its other versions.

    Args:
        chat: The chat.
        key: The first turn.
        versions: Whether the other versions of the first turn follow it.
    """
    while key is not None:
        yield _node(chat, chat.node(key))
        others = [other for other in chat.siblings(key) if other != key] if versions else []
        if others:
            yield (f'<details class="versions"><summary>{_versions(chat, others)}</summary>')
            yield from map(_Branch, others)
            yield "</details>"
        key, versions = chat.selected_child(key), True


def _versions(chat: Conversation, keys: Sequence[str]) -> str:
    """`2 other versions: calmer, in verse`."""
    names = [escaped(one_line(name)) for key in keys if (name := chat.node(key).name)]
    count = plural(len(keys), "other version")
    return f"{count}: {', '.join(names)}" if names else count


def _node(chat: Conversation, node: Node) -> str:
    created = datetime.datetime.fromtimestamp(node.created, datetime.UTC)
    time = f' <time datetime="{created:%Y-%m-%dT%H:%M:%SZ}">{created:%Y-%m-%d %H:%M} UTC</time>'
    position = chat.sibling_position(node.id)
    version = f"version {position.number} of {position.total}" if position.total > 1 else ""
    summary = generation_summary(node.generations) if node.generations else ""
    foot = " · ".join(filter(None, (one_line(node.name), version, summary)))
    return _turn(
        node.role, speaker(node), _text(chat, node), time=time, foot=foot, reasoning=node.reasoning
    )


def _text(chat: Conversation, node: Node) -> str:
    """The text of a turn: Markdown, or as it was written; tokens that have scores are tinted."""
    drawn = markdown_html(node.text) if is_markdown(chat, node) else None
    if drawn is None:
        return _plain(tinted(node))
    shown = f'<div class="md" dir="auto">{drawn}</div>'
    if not node.scores:
        return shown
    return f"{shown}\n<details><summary>its tokens</summary>{_plain(tinted(node))}</details>"


def _plain(html: str) -> str:
    return f'<div class="text" dir="auto">{html}</div>'


def _turn(
    kind: str, who: str, html: str, *, time: str = "", foot: str = "", reasoning: str = ""
) -> str:
    thought = f'<div class="text reasoning" dir="auto">{escaped(reasoning)}</div>\n'
    return _TURN.format(
        kind=kind,
        speaker=escaped(who),
        time=time,
        reasoning=thought if reasoning else "",
        text=html,
        foot=f"<footer>{escaped(foot)}</footer>\n" if foot else "",
    )
