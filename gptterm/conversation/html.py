"""HTML export: the selected path as one static page without scripts or external resources."""

import datetime

from gptterm.conversation.attribution import generation_summary, speaker
from gptterm.conversation.html_page import escaped, page
from gptterm.conversation.nodes import Node
from gptterm.conversation.tinted_html import LEGEND, STYLES, tinted
from gptterm.conversation.tree import Conversation
from gptterm.terminal import one_line

_STYLES = """h1 { font-size: 1.4rem; }
article { border-left: 3px solid #8888; margin: 1.5rem 0; padding-left: 1rem; }
article.user { border-color: #48c; }
h2 { font-size: .85rem; margin: 0; opacity: .7; }
.text { white-space: pre-wrap; overflow-wrap: anywhere; unicode-bidi: isolate; }
.reasoning { font-size: .9rem; opacity: .6; margin-bottom: .5rem; }
footer { font-size: .75rem; opacity: .6; }
"""
_TURN = """<article class="{kind}">
<h2>{speaker}{time}</h2>
{reasoning}<div class="text" dir="auto">{text}</div>
{foot}</article>"""


def to_html(chat: Conversation) -> str:
    """Render the selected path. Every character is shown as itself, or as a visible stand-in."""
    system = [_turn("system", "System", escaped(chat.system))] if chat.system else []
    turns = [_node(chat.node(key)) for key in chat.path()]
    title = one_line(chat.title) or "Conversation"
    scored = any(chat.node(key).scores for key in chat.path())
    heading = f'<h1 dir="auto">{escaped(title)}</h1>'
    legend = f'<footer class="text">{LEGEND}</footer>' if scored else ""
    return page(
        title,
        _STYLES + (STYLES if scored else ""),
        "\n".join([heading, *system, *turns, legend]),
    )


def _node(node: Node) -> str:
    created = datetime.datetime.fromtimestamp(node.created, datetime.UTC)
    time = f' · <time datetime="{created:%Y-%m-%dT%H:%M:%SZ}">{created:%Y-%m-%d %H:%M} UTC</time>'
    foot = generation_summary(node.generations) if node.generations else ""
    return _turn(
        node.role, speaker(node), tinted(node), time=time, foot=foot, reasoning=node.reasoning
    )


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
