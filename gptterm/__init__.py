"""gptterm: chat, write and look inside language models from the terminal."""

__version__ = "0.1.0"
