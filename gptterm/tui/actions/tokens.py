"""Actions on the alternatives of a token: grow a reply on from one, ban it, bias it."""

import math
from collections.abc import Mapping

import msgspec

from gptterm.charts.cells import piece_text
from gptterm.conversation.nodes import SYSTEM, Generation, Node
from gptterm.conversation.token_scores import ScoredToken, pack, unpack
from gptterm.engine.api import NO_ID, Candidate, ModelInfo
from gptterm.tui.actions.busy import refuse_if_busy
from gptterm.tui.actions.chat_view import ChatView
from gptterm.tui.state.chat_tokens import WalkedToken

BIAS_STEP = 1.0
"""In nats: the odds of the token change by e."""
BIAS_MOST = 100.0


def act(view: ChatView, action: str, candidate: Candidate, walked: WalkedToken | None) -> None:
    """Run an action of the pane's keys on an alternative to the walked token."""
    match action:
        case "grow":
            grow(view, candidate, walked)
        case "ban" | "more" | "less":
            _bias(view, action, candidate)


# ------------------------------------------------------------------------------------ growing


class Refusal(Exception):  # noqa: N818 (it is no error)
    """Why a text cannot be grown on from a token; for the user."""


def spelled(candidate: Candidate, *, within_character: bool) -> str:
    """Return the text of a candidate that is to take a token's place; empty for one that ends it.

    Args:
        within_character: the token's place is inside a character.

    Raises:
        Refusal: it cannot take the place.
    """
    name = piece_text(candidate.piece)
    if candidate.cut == "ban":
        raise Refusal(f"{name} is banned: b lifts that")
    if within_character:
        raise Refusal("this token is inside a character: go to the one that begins it")
    try:
        return "" if candidate.special else candidate.piece.decode()
    except UnicodeDecodeError:
        raise Refusal(f"{name} is only a part of a character") from None


def grow(view: ChatView, candidate: Candidate, walked: WalkedToken | None) -> None:
    """Make another version of the walked reply: its text before the token, then the candidate.

    It is written on from there, unless the candidate is the end of the reply.
    """
    controller = view.controller
    info = controller.engine.info
    if refuse_if_busy(view):
        return
    try:
        if (now := controller.tokens.walked) is None:
            raise Refusal("← and → choose a token of a reply first")
        if walked != now:
            raise Refusal("the alternatives of this token are on their way: press it once more")
        if info is None or not controller.engine.ready:
            raise Refusal("a reply grows on once a model is loaded")
        version = _version(view, now, candidate, info)
    except Refusal as refusal:
        view.show_notice("info", str(refusal))
        return
    controller.tokens.leave()
    grown = controller.grow(now.key, version, goes_on=not candidate.special)
    view.transcript.resume(grown)
    name = piece_text(candidate.piece)
    said = "the reply ends here" if candidate.special else f"from {name} on, as another version"
    view.show_notice("info", said)


def _version(view: ChatView, walked: WalkedToken, candidate: Candidate, info: ModelInfo) -> Node:
    """The reply up to the candidate, as a version that has ended there.

    Raises:
        Refusal: it cannot be one.
    """
    controller = view.controller
    tree = controller.chat.tree
    if walked.key == SYSTEM or tree.node(walked.key).role != "assistant":
        raise Refusal("only a reply grows on from a token: e edits a message")
    node = tree.node(walked.key)
    piece = spelled(candidate, within_character=walked.within_character)
    before = node.text[: walked.start]
    text = f"{before}{piece}" if before else piece.lstrip()
    if not text:
        raise Refusal("nothing would be left of the reply: r makes another one")
    ids = controller.tokens.ids_before(walked) if node.written_by(info) else ()
    if ids and not candidate.special:
        ids = (*ids, candidate.id) if candidate.id != NO_ID else ()
    scores = _scores(node, walked.start, candidate, len(text))
    run = node.generation or Generation.for_model(info, controller.settings.sampling)
    run = msgspec.structs.replace(
        run,
        start=0,
        tokens=walked.number + (not candidate.special),
        reason="eos" if candidate.special else "cancelled",
        stop=None,
        error="",
        usage=None,
        timings=None,
    )
    return msgspec.structs.replace(node, text=text, ids=ids, scores=scores, generations=(run,))


def _scores(node: Node, start: int, candidate: Candidate, end: int) -> bytes:
    """Scores that stay valid, and the candidate's."""
    kept = [token for token in unpack(node.scores) if token.end <= start]
    if not kept or candidate.special or candidate.raw <= 0:
        return pack(kept)
    logprob = math.log(candidate.raw)
    return pack([*kept, ScoredToken(candidate.id, candidate.piece, start, end, logprob)])


# ------------------------------------------------------------------------------------- biases


def changed_bias(
    action: str, candidate: Candidate, biases: Mapping[int, float]
) -> tuple[float, str]:
    """Return the bias that an action gives to a token, and a line that says so.

    Args:
        action: `ban` bans it, or lifts that; `more` and `less` change its odds.
        biases: those so far.
    """
    name, before = piece_text(candidate.piece), biases.get(candidate.id, 0.0)
    if action == "ban":
        if before == -math.inf:
            return 0.0, f"{name} is no longer banned"
        return -math.inf, f"{name} is banned: never drawn until b lifts it"
    by = BIAS_STEP if action == "more" else -BIAS_STEP
    value = by if before == -math.inf else before + by
    value = min(max(value, -BIAS_MOST), BIAS_MOST)
    return value, f"{name}: bias {value:+g}" if value else f"{name}: no bias"


def _bias(view: ChatView, action: str, candidate: Candidate) -> None:
    controller = view.controller
    if controller.engine.is_remote or candidate.id == NO_ID or controller.tokens.only_kept:
        view.show_notice("info", "only tokens of a model on this machine can be banned or biased")
        return
    value, said = changed_bias(action, candidate, controller.biases)
    controller.set_bias(candidate.id, value)
    view.show_notice("info", said)
