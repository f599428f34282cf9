"""An editor for the tests: it writes in capitals."""

import sys
from pathlib import Path

path = Path(sys.argv[1])
path.write_text(path.read_text().upper() + ", edited\n")
