"""The local engine for a process of its own: torch is imported together with this module.

So the process can be started while the model is still being looked for or downloaded, and has
the seconds that this import takes behind it when the load begins.
"""

from gptterm.engine import pipeline, tokenizer
from gptterm.engine.decoders import native
from gptterm.engine.local import load_engine

__all__ = ["load_engine", "native", "pipeline", "tokenizer"]
