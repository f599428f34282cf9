"""The local engine for a process of its own: what a native decoder needs is imported with this
module.

So the process can be started while the model is still being looked for or downloaded, and has that
import behind it when the load begins. torch comes with a model that needs it.
"""

from gptterm.engine.decoders import native
from gptterm.engine.generation import engine
from gptterm.engine.generation.loader import load_engine
from gptterm.engine.text import tokenizer

__all__ = ["engine", "load_engine", "native", "tokenizer"]
