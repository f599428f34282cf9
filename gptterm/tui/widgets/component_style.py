"""Component classes as partial Rich styles with blended colours."""

from rich.style import Style
from textual.color import Color
from textual.widget import Widget


def component_style(widget: Widget, name: str) -> Style:
    """Return what the component class `name` adds to the widget's own style.

    Textual's own partial style drops the alpha of a colour, so that muted text would be as bright
    as any other. Here it is blended with the widget's background. ANSI colours have no alpha;
    themes of ANSI colours mute by the text style `$muted`.
    """
    styles = widget.get_component_styles(name)
    _, background = widget.background_colors
    filled: Color | None = None
    if styles.has_rule("background") and styles.background.a > 0:
        filled = background = background + styles.background
    # `auto 60%` is kept apart from plain colours by the stylesheet.
    text: Color | None = None
    if styles.has_rule("auto_color") and styles.auto_color:
        text = background.get_contrast_text(styles.color.a)
    elif styles.has_rule("color") and styles.color.a > 0:
        text = styles.color
    colours = Style(
        color=None if text is None else (background + text).rich_color,
        bgcolor=None if filled is None else filled.rich_color,
    )
    return colours + styles.text_style
