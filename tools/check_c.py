"""Check the C kernels: strict warnings, and their tests under AddressSanitizer, UBSan and TSan.

    python -m tools.check_c

1. The sources are compiled as they are released, every warning an error.
2. tests/engine/kernels/driver.c calls every entry point from several threads, under ASan with UBSan
   and under TSan.
3. The Python tests of the kernels run on a library that was built with ASan and UBSan.

Needs Linux and GCC with its sanitizer runtimes; CC names another compiler.
"""

import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parent.parent
KERNELS = Path("gptterm/engine/kernels")
SOURCES = sorted((ROOT / KERNELS / "source").glob("*.c"))
DRIVER = ROOT / "tests" / "engine" / "kernels" / "driver.c"

CC = os.environ.get("CC", "gcc")
COMMON = ["-std=gnu11", "-fPIC", "-pthread", f"-I{ROOT / KERNELS / 'source'}"]
STRICT = [
    *("-O3", "-Werror", "-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-Wdouble-promotion"),
    *("-Wstrict-prototypes", "-Wmissing-prototypes", "-Wpointer-arith", "-Wcast-qual", "-Wundef"),
    *("-Wvla", "-Wwrite-strings"),
]
# -fexpensive-optimizations contracts to FMA, as -O3 does: the tests' bounds are for that.
SANITIZED = ["-O1", "-fexpensive-optimizations", "-g", "-fno-omit-frame-pointer"]
SANITIZERS = {
    "address": ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"],
    "thread": ["-fsanitize=thread"],
}
# One for each sanitizer: its report must contain the word.
FAULTS = {
    "heap-buffer-overflow": (
        "address",
        "#include <stdlib.h>\n"
        "int main(int n, char **v) { (void)v; char *p = malloc(4); return p[n + 3]; }",
    ),
    "runtime error": ("address", "int main(int n, char **v) { (void)v; return 1 << (n + 40); }"),
    "data race": (
        "thread",
        # One after the other, by what orders nothing: of two accesses at the very same moment the
        # sanitizer may miss both.
        "#include <pthread.h>\nstatic int x, done;\n"
        "static void *add(void *p) { x++; __atomic_store_n(&done, 1, __ATOMIC_RELAXED);"
        " return p; }\n"
        "int main(void) { pthread_t t; pthread_create(&t, 0, add, 0);"
        " while (!__atomic_load_n(&done, __ATOMIC_RELAXED)) {} x++;"
        " return pthread_join(t, 0); }",
    ),
}


Pool = ThreadPoolExecutor
Objects = Callable[[], list[Path]]
"""Waits until the objects are compiled and returns their files."""


class CheckError(Exception):
    """A check failed; the message is shown."""


def execute(
    command: Sequence[str | Path], cwd: Path = ROOT, env: Mapping[str, str] = os.environ
) -> str:
    """Run a command and return its output.

    Raises:
        CheckError: it failed.
    """
    status, text = attempt(command, cwd, env)
    if status:
        raise CheckError(f"{' '.join(map(str, command))}\n{text}\nfailed with status {status}")
    return text


def attempt(
    command: Sequence[str | Path], cwd: Path = ROOT, env: Mapping[str, str] = os.environ
) -> tuple[int, str]:
    """Run a command; returns its exit status and output."""
    out = subprocess.PIPE
    done = subprocess.run(
        command, cwd=cwd, env=env, stdout=out, stderr=subprocess.STDOUT, text=True, check=False
    )
    if "unexpected memory mapping" in done.stdout and command[0] != "setarch":
        # Older runtimes do not know the address space layouts of newer kernels.
        return attempt(["setarch", platform.machine(), "-R", *command], cwd, env)
    return done.returncode, done.stdout


def check_tools(work: Path) -> None:
    """Check the compiler and the sanitizers: each must report a known fault.

    Raises:
        CheckError: one is missing.
    """
    if shutil.which(CC) is None:
        raise CheckError(f"there is no C compiler {CC!r}: install GCC (Debian: gcc), or set CC")
    for number, (report, (sanitizer, source)) in enumerate(FAULTS.items()):
        file, program = work / f"fault{number}.c", work / f"fault{number}"
        file.write_text(source)
        flags = [*SANITIZERS[sanitizer], *COMMON, "-w", "-O0"]
        status, text = attempt([CC, *flags, file, "-o", program])
        if status:
            raise CheckError(
                f"{CC} cannot build for -fsanitize={sanitizer}: install its runtimes (Debian:"
                f" libasan, libubsan and libtsan of GCC's version)\n{text}"
            )
        if report not in (text := attempt([program])[1]):
            raise CheckError(f"-fsanitize={sanitizer} does not report a {report}:\n{text}")


def compile_all(sources: Sequence[Path], flags: Sequence[str], folder: Path, pool: Pool) -> Objects:
    """Start to compile sources to objects in a folder."""
    folder.mkdir()
    objects = [folder / f"{source.stem}.o" for source in sources]
    started = [
        pool.submit(execute, [CC, *COMMON, *flags, "-c", source, "-o", target])
        for source, target in zip(sources, objects, strict=True)
    ]

    def wait() -> list[Path]:
        for each in started:
            each.result()
        return objects

    return wait


def run_driver(objects: list[Path], sanitizer: str) -> str:
    """Link and run the driver.

    Raises:
        CheckError: a result is wrong, or the sanitizer reports something.
    """
    program = objects[0].parent / "driver"
    execute([CC, *SANITIZERS[sanitizer], *objects, "-pthread", "-lm", "-o", program])
    return f"driver, -fsanitize={sanitizer}:\n{execute([program])}"


def run_tests(objects: list[Path], work: Path) -> str:
    """Run the kernels' Python tests on a library with ASan and UBSan, in a copy of the package.

    Raises:
        CheckError: a test fails, or a sanitizer reports something.
    """
    tree = work / "tree"
    for folder in ("gptterm", "tests"):
        ignored = shutil.ignore_patterns("_kernels*", "__pycache__", "__snapshots__")
        shutil.copytree(ROOT / folder, tree / folder, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", tree)
    library = tree / KERNELS / f"_kernels{sysconfig.get_config_var('EXT_SUFFIX')}"
    flags = [*SANITIZERS["address"], "-shared", "-pthread"]
    sources = [file for file in objects if file.stem != DRIVER.stem]
    execute([CC, *flags, *sources, "-lm", "-o", library])
    (tree / "conftest.py").write_text(
        "from gptterm.engine.kernels.compiled import library\n"
        f"assert library() is not None and library()._name == {str(library)!r}\n"
    )
    runtimes = [
        execute([CC, f"-print-file-name=lib{name}.so"]).strip() for name in ("asan", "ubsan")
    ]
    environment = os.environ | {
        "LD_PRELOAD": " ".join(runtimes),
        "ASAN_OPTIONS": "detect_leaks=0",  # CPython's own
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "tests/engine/kernels",
    ]
    report = execute(command, tree, environment)
    return f"Python tests, -fsanitize=address,undefined:\n{report.splitlines()[-1]}\n"


def check(work: Path) -> None:
    """Run all checks, on as many threads as there are cores.

    Raises:
        CheckError: something failed.
    """
    check_tools(work)
    with Pool(os.cpu_count()) as pool:
        address, thread = (
            compile_all([*SOURCES, DRIVER], [*SANITIZED, *flags], work / name, pool)
            for name, flags in SANITIZERS.items()
        )
        strict = compile_all([*SOURCES, DRIVER], STRICT, work / "strict", pool)
        results: list[Future[str]] = [
            pool.submit(run_tests, address(), work),
            pool.submit(run_driver, address(), "address"),
            pool.submit(run_driver, thread(), "thread"),
        ]
        strict()
        print("compiled without warnings:", " ".join(STRICT))
        for result in results:
            print(result.result(), end="")


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="check-c-") as work:
        try:
            check(Path(work))
        except CheckError as error:
            sys.exit(f"check-c: {error}")


if __name__ == "__main__":
    main()
