"""The generation engine. Importing this package imports nothing heavy."""

import os

# Read once by libgomp and by the tokenizers library when they are loaded, so set before either.
# libgomp's default lets a thread spin for milliseconds at each barrier: with another process on
# one of the cores, tokens/s fall from 57 to between 1 and 17 (GPT-2 124M, two cores). With short
# spins they fall to 20, and an idle machine loses nothing.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "5000")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
