"""Actions on the alternatives of a token: grow a reply on from one, ban it, bias it."""

import math

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
        case "ban":
            ban(view, candidate)
        case "more":
            bias(view, candidate, BIAS_STEP)
        case "less":
            bias(view, candidate, -BIAS_STEP)


# ------------------------------------------------------------------------------------ growing


class _Refusal(Exception):  # noqa: N818 (it is no error)
    """Why a reply cannot be grown on from a token; for the user."""


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
            raise _Refusal("← and → choose a token of a reply first")
        if walked != now:
            raise _Refusal("the alternatives of this token are on their way: press it once more")
        if info is None or not controller.engine.ready:
            raise _Refusal("a reply grows on once a model is loaded")
        version = _version(view, now, candidate, info)
    except _Refusal as refusal:
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
        _Refusal: it cannot be one.
    """
    controller = view.controller
    tree, name = controller.chat.tree, piece_text(candidate.piece)
    if walked.key == SYSTEM or tree.node(walked.key).role != "assistant":
        raise _Refusal("only a reply grows on from a token: e edits a message")
    if candidate.cut == "ban":
        raise _Refusal(f"{name} is banned: b lifts that")
    node = tree.node(walked.key)
    if walked.within_character:
        raise _Refusal("this token is inside a character: go to the one that begins it")
    try:
        piece = "" if candidate.special else candidate.piece.decode()
    except UnicodeDecodeError:
        raise _Refusal(f"{name} is only a part of a character") from None
    before = node.text[: walked.start]
    text = f"{before}{piece}" if before else piece.lstrip()
    if not text:
        raise _Refusal("nothing would be left of the reply: r makes another one")
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


def ban(view: ChatView, candidate: Candidate) -> None:
    """Never draw a token again, or lift that."""
    name = piece_text(candidate.piece)
    if view.controller.biases.get(candidate.id) == -math.inf:
        _set(view, candidate, 0.0, f"{name} is no longer banned")
    else:
        _set(view, candidate, -math.inf, f"{name} is banned: never drawn until b lifts it")


def bias(view: ChatView, candidate: Candidate, by: float) -> None:
    """Make a token likelier, or less likely."""
    before = view.controller.biases.get(candidate.id, 0.0)
    value = by if before == -math.inf else before + by
    value = min(max(value, -BIAS_MOST), BIAS_MOST)
    said = f"bias {value:+g}" if value else "no bias"
    _set(view, candidate, value, f"{piece_text(candidate.piece)}: {said}")


def _set(view: ChatView, candidate: Candidate, value: float, said: str) -> None:
    engine = view.controller.engine
    if engine.is_remote or candidate.id == NO_ID or view.controller.tokens.only_kept:
        view.show_notice("info", "only tokens of a model on this machine can be banned or biased")
        return
    view.controller.set_bias(candidate.id, value)
    view.show_notice("info", said)
