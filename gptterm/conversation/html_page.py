"""Page of an HTML export: one file without scripts or external resources."""

from html import escape

from gptterm.terminal import printable

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
{styles}
</style>
</head>
<body>
{body}
</body>
</html>
"""


def page(title: str, styles: str, body: str) -> str:
    """Render a page from its title, as text, its style rules and its elements."""
    return _PAGE.format(title=escaped(title), styles=styles, body=body)


def escaped(text: str) -> str:
    """Escape a text; control characters become visible.

    Most of them cannot be written in HTML, not even escaped.
    """
    return escape(printable(text))
