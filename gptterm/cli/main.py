"""The click command. Heavy imports stay inside the commands."""

import click


@click.command()
def cli() -> None:
    """Chat, write and look inside language models from the terminal."""
