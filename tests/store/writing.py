"""A writer in a process of its own, to be killed: it edits a document and tells what is saved.

    python -m tests.store.writing FILE

Lines on stdout: the length of the text and its version, once they are on the disk.
"""

import os
import sys
from pathlib import Path

from gptterm.conversation.nodes import Generation
from gptterm.store import History
from tests.document.test_tree import end, write


def main() -> None:
    """Write until killed: type, continue, undo, save."""
    with History.open(Path(sys.argv[1])) as history:
        saver = history.open_document("story.txt")
        document = saver.document
        number = 0
        while True:
            number += 1
            at = number * 7919 % (len(document.text) + 1)
            if number % 5 == 0:
                versions = document.begin(at, Generation(model="m"), 2)
                for version in versions:
                    write(document, version, [0, 1, 4])
                    saver.save()
                    end(document, version)
            elif number % 7 == 0:
                document.undo()
            else:
                document.replace(at, at, f" {number}", typing=True)
            saver.save()
            if number % 4 == 0 and saver.flush(60):
                os.write(1, f"{len(document.text)} {document.current}\n".encode())


if __name__ == "__main__":
    main()
