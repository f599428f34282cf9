"""Linux's OOM killer, called by the limit of a memory cgroup: it is named, not only its signal."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.daemon import Client, private_runtime_directory, the_pid
from tests.support.ipc_engines import collect, failure_of, hosted, new_client, request, text_of
from tests.support.scripted import Fault, Script, write_script
from tests.support.waiting import gone, until, wait_until

pytestmark = pytest.mark.slow

LIMIT = 300 << 20
"""Bytes; an engine without a model takes a tenth of it."""
CGROUPS = {
    Path("/sys/fs/cgroup/memory"): ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes"),
    Path("/sys/fs/cgroup"): ("memory.max", "memory.swap.max"),
}
"""Roots of version 1 and 2 → the limits of memory, and of it with the swap."""
FILLS = Script.saying(
    "one two three", faults=(Fault(at="decode", how="fill_memory", token=1, generation=1),)
)


@pytest.fixture
def cgroup() -> Iterator[Path]:
    """A cgroup with little memory; skips where this user may not make one."""
    root = next((root for root, (limit, _) in CGROUPS.items() if (root / limit).exists()), None)
    root = root or next((root for root in CGROUPS if root.is_dir()), Path("/nowhere"))
    made = root / f"gptterm-test-{os.getpid()}"
    try:
        made.mkdir()
    except OSError as error:
        pytest.skip(f"no cgroup of one's own: {error.strerror}")
    try:
        limit, swap = next(names for path, names in CGROUPS.items() if path == root)
        try:
            (made / limit).write_text(str(LIMIT))
        except OSError as error:
            pytest.skip(f"no memory limit: {error.strerror}")
        with contextlib.suppress(OSError):
            (made / swap).write_text(str(LIMIT))
        yield made
    finally:
        wait_until(lambda: not (made / "cgroup.procs").read_text())
        made.rmdir()


async def test_of_an_engine_of_ones_own(cgroup: Path, tmp_path: Path) -> None:
    async with hosted(tmp_path, FILLS) as client:
        assert text_of(await collect(client, request(max_tokens=1))) == "one"
        pid = client.pid
        (cgroup / "cgroup.procs").write_text(str(pid))
        failure = failure_of(await collect(client, request()))
        assert failure.kind == "out_of_memory"
        assert "the system ran out of memory and killed the engine (SIGKILL)" in failure.message
        assert "try a smaller model" in failure.message
        await until(lambda: not client.alive)
    async with new_client(tmp_path) as client:
        await client.load(write_script(tmp_path, Script.saying("fine again")))
        assert text_of(await collect(client, request())) == "fine again"


def test_of_a_warm_engine(cgroup: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with private_runtime_directory(monkeypatch, tmp_path / "home"):
        client = Client(write_script(tmp_path, FILLS))
        pid = the_pid()
        (cgroup / "cgroup.procs").write_text(str(pid))
        client.begin(request())
        failure = failure_of(client.ended())
        assert failure.kind == "out_of_memory"
        assert f"the warm engine (process {pid}) ended" in failure.message
        assert "the system ran out of memory; try a smaller model" in failure.message
        wait_until(lambda: gone(pid))
