"""The kernels' sources without those of x86-64: the portable ones compile fastest."""

from pathlib import Path

import gptterm

SOURCES = Path(gptterm.__file__).parent / "engine" / "kernels" / "source"


def copy_portable_sources(folder: Path) -> None:
    for file in SOURCES.iterdir():
        text = file.read_text()
        (folder / file.name).write_text(text.replace("defined(__x86_64__)", "0"))
