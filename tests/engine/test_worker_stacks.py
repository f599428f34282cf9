"""The kernels' workers where threads get small stacks, as on macOS."""

import subprocess
import sys

SCRIPT = """
import os, resource, sys, threading

if sys.argv[1] == "limit":
    resource.setrlimit(resource.RLIMIT_STACK, (512 << 10, 512 << 10))
    os.execv(sys.executable, [sys.executable, "-c", os.environ["SCRIPT"], "run"])


def multiply():
    import numpy as np
    from gptterm.engine.kernels import linear

    layer = linear.float32(np.ones((512, 4096), np.float32))
    layer._struct.threads = 3
    for _ in range(20):
        assert (layer(np.ones((300, 4096), np.float32)) == 4096).all()


threading.stack_size(16 << 20)
thread = threading.Thread(target=multiply)
thread.start()
thread.join()
print("done")
"""


def test_products_of_many_rows_fit_a_workers_stack() -> None:
    command = [sys.executable, "-c", SCRIPT, "limit"]
    done = subprocess.run(
        command, env={"SCRIPT": SCRIPT}, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
