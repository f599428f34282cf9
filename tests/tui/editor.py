"""An editor for the tests: it writes in capitals."""

import stat
import sys
from pathlib import Path

path = Path(sys.argv[1])
if stat.S_IMODE(path.stat().st_mode) != 0o600:
    sys.exit("others can read what is edited")
path.write_text(path.read_text().upper() + ", edited\n")
