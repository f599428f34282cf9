"""Start-up of whole commands: wall time, time to the first byte of text, peak memory.

The processes are new, the files in the page cache: each command runs once unmeasured.
"""

import contextlib
import importlib.util
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
LLAMA_CPP_SCRIPT = """
import sys
from llama_cpp import Llama
model = Llama(sys.argv[1], n_ctx=1024, verbose=False)
print(model(sys.stdin.read(), max_tokens=1)["choices"][0]["text"])
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


COLD_REACH = {"float32": "≤ 0.45 s", "bfloat16": "≤ 0.6 s", "int8": "≤ 0.45 s"}
"""By dtype; of the wall time."""
ALLOWANCE_MIB = 90
"""Of a process beside its weights: Python, NumPy, the tokenizer, a KV cache."""


def cold_rows(directory: Path, rounds: int) -> Iterator[Row]:
    """Measure one token of a new process, and its memory beside that of the weights."""
    scripts = {"transformers script": Command(
        [sys.executable, "-c", TRANSFORMERS_SCRIPT, str(directory)], PROMPT
    )}  # fmt: skip
    imports = Command([sys.executable, "-c", "import click, msgspec, numpy, tokenizers"])
    for dtype, reach in COLD_REACH.items():
        options = ["-m", str(directory), "-n", "1", "--dtype", dtype, "--raw"]
        commands = {"gptterm": Command([*executable("gptterm"), *options], PROMPT)}
        commands |= {**scripts, **_llama_cpp(directory, dtype), "its imports alone": imports}
        scripts = {}  # once is enough: it has no dtype option
        runs = measure(commands, rounds)
        weights = sizes(directory).weight_bytes(dtype) / (1 << 20)
        share = 1 if dtype == "float32" else 1.15
        allowed = share * weights + ALLOWANCE_MIB
        yield from _cold(f"cold, one token, {dtype}", runs, reach, f"≤ {allowed:.0f} MiB")
    options = ["-m", "tiny", "-n", "1", "--raw"]
    runs = measure({"gptterm": Command([*executable("gptterm"), *options], PROMPT)}, rounds)
    yield from _cold("cold, one token, tiny", runs, "≤ 0.35 s", f"≤ {ALLOWANCE_MIB} MiB")


def _cold(
    what: str, runs: Mapping[str, Sequence[Run]], reach: str, memory_reach: str
) -> Iterator[Row]:
    walls = {name: [one.wall_s for one in all_] for name, all_ in runs.items()}
    yield _row(f"{what}: wall", "s", walls, reach)
    peaks = {name: [one.peak_mib for one in all_] for name, all_ in runs.items()}
    yield _row(f"{what}: peak memory", "MiB", peaks, memory_reach)


def _llama_cpp(directory: Path, dtype: str) -> dict[str, Command]:
    """llama.cpp with the same weights, where it is installed and has the dtype.

    The file is made by another process: a child's peak memory begins with that of its parent, so
    this one imports no torch.
    """
    if dtype not in ("float32", "int8") or importlib.util.find_spec("llama_cpp") is None:
        return {}
    code = (
        "import sys, pathlib, benchmarks.optional;"
        " print(benchmarks.optional.gguf_file(pathlib.Path(sys.argv[1]), sys.argv[2]))"
    )
    made = subprocess.run(
        [sys.executable, "-c", code, str(directory), dtype],
        stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    script = [sys.executable, "-c", LLAMA_CPP_SCRIPT, made.stdout.strip()]
    return {"llama.cpp": Command(script, PROMPT)}


def first_run_rows(rounds: int) -> list[Row]:
    """Measure the first command of a new user without a network, which runs the bundled model."""
    with tempfile.TemporaryDirectory() as empty:
        offline = {"HF_HOME": empty, "HF_HUB_CACHE": empty}
        command = Command([*executable("gptterm"), "--offline", "-n", "20"], PROMPT, offline)
        runs = measure({"gptterm": command}, rounds)
    times = {name: [one.first_byte_s for one in all_] for name, all_ in runs.items()}
    return [_row("first run offline: first text", "s", times, "≤ 2.5 s")]
