"""HTML export: the selected path as one static page without scripts or external resources."""

import datetime
from html import escape

from gptterm.conversation.attribution import generation_summary, speaker
from gptterm.conversation.nodes import Node
from gptterm.conversation.tinted_html import LEGEND, STYLES, tinted
from gptterm.conversation.tree import Conversation
from gptterm.terminal import one_line, printable

# The policy blocks scripts, images, fonts and links, should any ever get in.
_PAGE = """<!DOCTYPE html>
<html lang="">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="referrer" content="no-referrer">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="gptterm">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 44rem; margin: auto; padding: 1rem; }}
h1 {{ font-size: 1.4rem; }}
article {{ border-left: 3px solid #8888; margin: 1.5rem 0; padding-left: 1rem; }}
article.user {{ border-color: #48c; }}
h2 {{ font-size: .85rem; margin: 0; opacity: .7; }}
.text {{ white-space: pre-wrap; overflow-wrap: anywhere; unicode-bidi: isolate; }}
.reasoning {{ font-size: .9rem; opacity: .6; margin-bottom: .5rem; }}
footer {{ font-size: .75rem; opacity: .6; }}
{styles}
</style>
</head>
<body>
<h1 dir="auto">{title}</h1>
{turns}
{legend}
</body>
</html>
"""
_TURN = """<article class="{kind}">
<h2>{speaker}{time}</h2>
{reasoning}<div class="text" dir="auto">{text}</div>
{foot}</article>"""


def to_html(chat: Conversation) -> str:
    """Render the selected path. Every character is shown as itself, or as a visible stand-in."""
    system = [_turn("system", "System", _escape(chat.system))] if chat.system else []
    turns = [_node(chat.node(key)) for key in chat.path()]
    title = _escape(one_line(chat.title) or "Conversation")
    scored = any(chat.node(key).scores for key in chat.path())
    return _PAGE.format(
        title=title,
        turns="\n".join([*system, *turns]),
        styles=STYLES if scored else "",
        legend=f'<footer class="text">{LEGEND}</footer>' if scored else "",
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
    thought = f'<div class="text reasoning" dir="auto">{_escape(reasoning)}</div>\n'
    return _TURN.format(
        kind=kind,
        speaker=_escape(who),
        time=time,
        reasoning=thought if reasoning else "",
        text=html,
        foot=f"<footer>{_escape(foot)}</footer>\n" if foot else "",
    )


def _escape(text: str) -> str:
    # Most control characters cannot be written in HTML, not even escaped.
    return escape(printable(text))
