"""`gptterm` and `python -m gptterm`."""


def main() -> None:
    """Run the command line."""
    from gptterm.cli.main import cli

    cli()


if __name__ == "__main__":
    main()
