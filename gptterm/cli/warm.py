"""A prompt's way to a warm engine."""

import os

from gptterm.cli.signals import Signals
from gptterm.cli.streams import Streams
from gptterm.config import Settings
from gptterm.engine.api import Engine, ModelSource
from gptterm.errors import GpttermError, ModelError, OutOfMemoryError


def warm_engine(
    settings: Settings, source: ModelSource, streams: Streams, signals: Signals
) -> Engine | None:
    """Attach to the warm engine for a model; with `keep_alive` on, start one if there is none.

    None where there is none, or where none can be had: a process of one's own does it, too.

    Raises:
        ModelError: the engine cannot load the model.
        OutOfMemoryError: there is no room for it.
    """
    keep_alive_s = settings.keep_alive_s
    if os.name != "posix":
        if keep_alive_s is not None:
            streams.note("keep_alive does nothing on this system")
        return None
    from gptterm.engine.warm import place

    def wait(ahead: int) -> None:
        prompts = "prompt is" if ahead == 1 else "prompts are"
        streams.note(f"the engine is busy: {ahead} other {prompts} before this one")

    try:
        if keep_alive_s is None and place.folder(make=False) is None:
            return None
        from gptterm.engine.warm.remote import open_engine

        return open_engine(
            settings.load_request(source),
            keep_alive_s,
            on_wait=wait,
            interrupted=lambda: signals.pending is not None,
        )
    except (ModelError, OutOfMemoryError):
        raise
    except (GpttermError, OSError) as error:
        if keep_alive_s is not None:
            streams.note(f"no warm engine: {error}")
        return None
