"""Go to the prompt, and scroll the transcript from anywhere."""

from gptterm.tui.actions.chat_view import ChatView


def focus_prompt(view: ChatView) -> None:
    """Go to the prompt."""
    view.focus_prompt()


def page_up(view: ChatView) -> None:
    """Scroll the transcript up."""
    view.transcript.scroll_page_up(animate=False)


def page_down(view: ChatView) -> None:
    """Scroll the transcript down."""
    view.transcript.scroll_page_down(animate=False)


def scroll_to_begin(view: ChatView) -> None:
    """Scroll to the beginning of the transcript."""
    view.transcript.scroll_home(animate=False)


def scroll_to_end(view: ChatView) -> None:
    """Scroll to the end of the transcript and follow it."""
    view.transcript.follow_end()
