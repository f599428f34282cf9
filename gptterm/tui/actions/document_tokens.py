"""Actions on the alternatives of a document's token: swap it, ban or bias one."""

import math

from gptterm.charts.cells import piece_text
from gptterm.document.biases import biases_of, set_bias
from gptterm.engine.api import Alternative, Candidate
from gptterm.tui.actions.tokens import Refusal, changed_bias, spelled
from gptterm.tui.actions.write_view import WriteView
from gptterm.tui.state.chat_tokens import WalkedToken


def act(screen: WriteView, action: str, candidate: Candidate, walked: WalkedToken | None) -> None:
    """Run an action of the pane's keys on an alternative to the token under the cursor."""
    info = screen.writing.controller.engine.info
    if action == "grow":
        try:
            swap(screen, candidate, walked)
        except Refusal as refusal:
            screen.show_notice("info", str(refusal))
    elif info is not None:
        document = screen.writing.document
        value, said = changed_bias(action, candidate, biases_of(document, info))
        set_bias(document, info, candidate.id, value)
        screen.writing.use_samplers()
        screen.show_notice("info", f"{said}, in this text")


def swap(screen: WriteView, candidate: Candidate, walked: WalkedToken | None) -> None:
    """Put a candidate in the place of the token under the cursor, and continue from there.

    Raises:
        Refusal: it cannot take the place.
    """
    writing = screen.writing
    if walked is None or walked != writing.text_tokens.at(screen.area.place):
        raise Refusal("the alternatives of this token are on their way: press it once more")
    info = writing.controller.engine.info
    if candidate.cut == "ban" and candidate.id not in biases_of(writing.document, info):
        name = piece_text(candidate.piece)
        raise Refusal(f"{name} would complete a banned word: Alt+W, WORD 0 lifts that")
    text = spelled(candidate, within_character=walked.within_character)
    logprob = math.log(candidate.raw) if candidate.raw > 0 else -math.inf
    token = Alternative(id=candidate.id, piece=candidate.piece, logprob=logprob)
    problem = writing.swap(walked, text, token)
    if problem:
        raise Refusal(problem)
    if candidate.special:
        screen.show_notice("info", "the text ends here, as another version")
    else:
        screen.grow_on(walked.start + len(text))
        screen.show_notice("info", f"from {piece_text(candidate.piece)} on, as another version")
