"""The local engine for a process of its own: torch is imported together with this module.

So the process can be started while the model is still being looked for or downloaded, and has
the seconds that this import takes behind it when the load begins.
"""

from gptterm.engine.decoders import native
from gptterm.engine.generation import engine
from gptterm.engine.generation.loader import load_engine
from gptterm.engine.text import tokenizer

__all__ = ["engine", "load_engine", "native", "tokenizer"]
