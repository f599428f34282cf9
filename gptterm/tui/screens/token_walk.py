"""Walk over the tokens of the transcript: the cursor in a turn, and what is said of it."""

from collections.abc import Callable, Sequence

from gptterm.charts.measures import SCALES
from gptterm.charts.runs import Run, legend
from gptterm.conversation.nodes import SYSTEM
from gptterm.tui.screens.stream_painter import StreamPainter
from gptterm.tui.screens.turn_views import TurnViews
from gptterm.tui.state.chat_tokens import WalkedToken
from gptterm.tui.state.controller import Controller
from gptterm.tui.state.events import NoticeKind
from gptterm.tui.widgets.transcript.tints import offset_at
from gptterm.tui.widgets.transcript.transcript import Transcript


class TokenWalk:
    """Moves the cursor over the tokens of the selected turn.

    Args:
        notify: shows one line to the user.
        painter: draws the text that is written, and the distribution in the token's place.
    """

    def __init__(
        self,
        controller: Controller,
        transcript: Transcript,
        views: TurnViews,
        notify: Callable[[NoticeKind, str], None],
        painter: StreamPainter,
    ) -> None:
        self._controller = controller
        self._transcript = transcript
        self._views = views
        self._notify = notify
        self._painter = painter
        self._waiting: tuple[str, int] | None = None
        """The step that is made once the model has read the chat."""

    def step(self, key: str, by: int) -> None:
        """Go to another token of a turn; have the model read the chat where that is not known."""
        tokens = self._controller.tokens
        left = tokens.walked
        if not tokens.is_behind(key, by) and tokens.walk(key, by):
            self._show(key, left)
        else:
            self._ask(key, by)

    def go_to(self, key: str, place: tuple[int, int]) -> None:
        """Go to the token at a place of a turn, where tokens are looked at and not Markdown.

        Args:
            place: line of the turn, and column in it.
        """
        tokens = self._controller.tokens
        left = tokens.walked
        if (tokens.measure is None and left is None) or not self._has(key):
            return
        self._painter.draw()
        turn = self._controller.chat.turn(key, self._controller.engine.info, tokens)
        if turn.markdown:
            return
        signs = self._views.signs
        at = offset_at(turn.text, turn.tints, turn.cursor, place, turn.raw, signs=signs)
        if tokens.walk_to(key, at):
            self._show(key, left)

    def _show(self, key: str, left: WalkedToken | None) -> None:
        """Draw the walked token of a turn, and no longer the one that was left."""
        self._controller.tokens.refresh()
        if left is not None and left.key != key:
            self._draw(left.key)
        self._draw(key, scroll=True)
        self._painter.refresh_distribution()

    def _ask(self, key: str, by: int) -> None:
        engine = self._controller.engine
        if engine.no_distribution:
            self._notify("info", f"no tokens to look at: {engine.no_distribution}")
        elif engine.is_remote and self._controller.tokens.measure and self._is_streaming(key):
            self._notify("info", "a server's reply has its tokens once it is written")
        elif engine.is_remote:
            self._notify("info", "a server tells tokens of its next replies only: t asks for them")
        elif not engine.ready:
            self._notify("info", "the tokens are shown once the model is ready")
        else:
            self._waiting = key, by
            self._controller.tokens.read(anew=True)

    def _is_streaming(self, key: str) -> bool:
        tree = self._controller.chat.tree
        return key in tree and tree.is_streaming(key)

    def update(self) -> None:
        """Make the step that waited, if the chat was read."""
        tokens, waiting = self._controller.tokens, self._waiting
        if waiting is None:
            return
        key, by = waiting
        if tokens.walk(key, by):
            self._waiting = None
            self.step(key, 0)
        elif tokens.problem or tokens.is_read:
            self._waiting = None
            self._notify("info", tokens.problem or "this text has no tokens to look at")

    def leave(self) -> None:
        """Look at no token."""
        walked = self._controller.tokens.walked
        self._waiting = None
        if walked is not None:
            self._controller.tokens.leave()
            self._draw(walked.key)
            self._painter.refresh_distribution()

    def leave_others(self, key: str | None) -> None:
        """Look at no token of another turn than the selected one."""
        walked = self._controller.tokens.walked
        if walked is not None and walked.key != key:
            self.leave()

    def _draw(self, key: str, *, scroll: bool = False) -> None:
        controller, chat = self._controller, self._controller.chat
        if not self._has(key):
            return
        self._painter.draw()
        turn = chat.turn(key, controller.engine.info, controller.tokens)
        view = self._views.show_cursor(chat.key, turn)
        if view is not None:
            self._transcript.refresh_turn(view)
            if scroll:
                self._transcript.show_cursor(view)

    def _has(self, key: str) -> bool:
        """Whether the open branch has a turn."""
        return key == SYSTEM or key in self._controller.chat.tree.path()

    @property
    def legend(self) -> Sequence[Run]:
        """The scale of the tints, as the text has them; nothing without."""
        measure = self._controller.tokens.measure
        return () if measure is None else legend(SCALES[measure], ramp=self._views.signs)

    def lacking(self, key: str) -> str:
        """Why a turn has no tints; empty if it has, or none are asked for."""
        tokens, tree = self._controller.tokens, self._controller.chat.tree
        scores = tree.node(key).scores if key in tree else b""
        if tokens.measure is None or tokens.tints(key, scores):
            return ""
        return tokens.problem or self._why_untinted()

    def _why_untinted(self) -> str:
        engine = self._controller.engine
        if engine.no_distribution:
            return f"no tints: {engine.no_distribution}"
        if engine.is_remote:
            return "a server scores its own next replies only"
        if not engine.ready:
            return "scored once a model is loaded"
        return "the model reads it" if self._controller.tokens.is_reading else "nothing to tint"
