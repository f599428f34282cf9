"""Native code that never returns and holds the interpreter lock: only a timer in C still runs."""

from pathlib import Path

import pytest

from gptterm.engine.daemon import launcher
from tests.engine.daemon.test_server_faults import spec_of
from tests.support.daemon import Client, opened, the_pid
from tests.support.ipc_engines import failure_of, request, text_of
from tests.support.scripted import STALLED, Fault, Script, write_script
from tests.support.waiting import gone, wait_until

pytestmark = pytest.mark.slow


def test_an_engine_whose_interpreter_lock_is_held_ends_itself(folder: Path, tmp_path: Path) -> None:
    del folder
    log = tmp_path / "home/engine.log"
    fault = Fault(at="decode", how="hold_lock", token=1, generation=1)
    asked = write_script(tmp_path, Script.saying("one two", faults=(fault,)))
    assert launcher.launch(spec_of(asked, stall_limit_s=3.0, look_s=2.0))
    client, pid = Client(asked), the_pid()
    client.begin(request())
    wait_until(lambda: STALLED in log.read_text())
    assert "ended" in failure_of(client.ended()).message
    wait_until(lambda: gone(pid))
    traceback = log.read_text().partition(STALLED)[2]
    assert "Timeout (0:00:05)!" in traceback
    assert "in _break" in traceback
    # Another takes its place.
    asked = write_script(tmp_path, Script.saying("fine again"))
    assert text_of(list(opened(asked).generate(request()))) == "fine again"
