"""Start-up of whole commands: wall time, time to the first byte of text, peak memory.

The processes are new, the files in the page cache: each command runs once unmeasured.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.model import sizes
from benchmarks.report import Row

PROMPT = b"Once upon a time there was a king who"
TRANSFORMERS_SCRIPT = """
import sys
from transformers import AutoModelForCausalLM, AutoTokenizer
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
model = AutoModelForCausalLM.from_pretrained(sys.argv[1])
inputs = tokenizer(sys.stdin.read(), return_tensors="pt")
output = model.generate(
    **inputs, do_sample=True, temperature=0.8, top_k=40, top_p=0.95, max_new_tokens=1
)
print(tokenizer.decode(output[0, inputs.input_ids.shape[1]:]))
"""


class CommandFailedError(Exception):
    """A measured command failed; the message has its last line."""


@dataclass
class Command:
    """A command line to measure."""

    arguments: Sequence[str]
    stdin: bytes = b""
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Run:
    """One execution."""

    wall_s: float
    first_byte_s: float
    """Until the first byte on stdout."""
    peak_mib: float
    """Peak resident memory of the process itself."""


def run(command: Command, home: Path) -> Run:
    """Run a command to its end, with gptterm's own files in `home`.

    Raises:
        CommandFailedError: it exited with an error, or printed nothing.
    """
    with tempfile.TemporaryFile() as errors:
        environment = {
            **os.environ,
            "GPTTERM_HOME": str(home),
            "HF_HUB_OFFLINE": "1",
            **command.environment,
        }
        started = time.perf_counter()
        process = subprocess.Popen(
            command.arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=environment,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(command.stdin)
            process.stdin.close()
        first = process.stdout.read(1)
        first_byte = time.perf_counter()
        process.stdout.read()
        process.stdout.close()
        _, status, usage = os.wait4(process.pid, 0)
        ended = time.perf_counter()
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode or (command.stdin and not first):
            errors.seek(0)
            words = errors.read().decode(errors="replace").strip().splitlines() or ["no message"]
            raise CommandFailedError(f"{' '.join(command.arguments)[:60]}: {words[-1]}")
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return Run(ended - started, first_byte - started, usage.ru_maxrss / unit)


def measure(commands: Mapping[str, Command], rounds: int) -> dict[str, list[Run]]:
    """Run every command in each round; the first round only warms up.

    The rounds share a home, and so the caches of the first one.
    """
    runs: dict[str, list[Run]] = {name: [] for name in commands}
    with tempfile.TemporaryDirectory() as home:
        for i in range(rounds + 1):
            for name, command in commands.items():
                result = run(command, Path(home))
                print(f"  {name}: {result.wall_s:.3f} s", file=sys.stderr)
                if i:
                    runs[name].append(result)
    return runs


def _row(what: str, unit: str, runs: Mapping[str, list[float]], reach: str = "") -> Row:
    return Row(what=what, unit=unit, runs=dict(runs), lower_is_better=True, reach=reach)


def executable(name: str) -> list[str]:
    """A console script of this environment."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    return [found] if found else [sys.executable, "-m", name]


def help_rows(rounds: int) -> list[Row]:
    """Measure `--help`: the cost of every start before any work."""
    runs = measure(
        {
            "gptterm": Command([*executable("gptterm"), "--help"]),
            "python -c pass": Command([sys.executable, "-c", "pass"]),
            "transformers": Command([*executable("transformers"), "--help"]),
        },
        rounds,
    )
    walls = {name: [one.wall_s for one in all_] for name, all_ in runs.items()}
    return [_row("--help", "s", walls, "≤ 0.15 s")]


COLD_DTYPES = ("float32", "int8")


def cold_rows(directory: Path, rounds: int) -> Iterator[Row]:
    """Measure one token of a new process, beside a transformers script and the memory it needs."""
    scripts = {"transformers script": Command(
        [sys.executable, "-c", TRANSFORMERS_SCRIPT, str(directory)], PROMPT
    )}  # fmt: skip
    torch_alone = Command([sys.executable, "-c", "import torch"])
    for dtype in COLD_DTYPES:
        options = ["-m", str(directory), "-n", "1", "--dtype", dtype, "--raw"]
        commands = {"gptterm": Command([*executable("gptterm"), *options], PROMPT)}
        runs = measure({**commands, **scripts, "import torch": torch_alone}, rounds)
        scripts = {}  # once is enough: it has no dtype option
        what = f"cold, one token, {dtype}"
        walls = {name: [one.wall_s for one in all_] for name, all_ in runs.items()}
        yield _row(f"{what}: wall", "s", walls, "≤ 1.5 s")
        peaks = {name: [one.peak_mib for one in all_] for name, all_ in runs.items()}
        weights = 1.15 * sizes(directory).weight_bytes(dtype) / (1 << 20)
        allowed = [peak + weights for peak in peaks.pop("import torch")]
        peaks["import torch + 1.15 × the weights"] = allowed
        yield _row(f"{what}: peak memory", "MiB", peaks, "≥ 1 × the last")


def first_run_rows(rounds: int) -> list[Row]:
    """Measure the first command of a new user without a network, which runs the bundled model."""
    with tempfile.TemporaryDirectory() as empty:
        offline = {"HF_HOME": empty, "HF_HUB_CACHE": empty}
        command = Command([*executable("gptterm"), "--offline", "-n", "20"], PROMPT, offline)
        runs = measure({"gptterm": command}, rounds)
    times = {name: [one.first_byte_s for one in all_] for name, all_ in runs.items()}
    return [_row("first run offline: first text", "s", times, "≤ 2.5 s")]
