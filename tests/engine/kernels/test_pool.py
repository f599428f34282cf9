"""The thread pool: the core that it leaves to others for a time."""

import time

import numpy as np
import pytest

from gptterm.engine.kernels.compiled import address, loaded_library

THREADS = 2
LEAVE_NS = 50_000_000
OWN_S = 0.1
TRIES = 1000


@pytest.fixture(autouse=True)
def rank() -> None:
    """The pool is the same for the kernels of every CPU."""
    loaded_library().pool_leave_core(0)


def run_job(x: np.ndarray) -> None:
    loaded_library().activation_forward(0, address(x), 0, x.size, THREADS)


def of_others() -> float:
    """Processor time of all threads but this one."""
    return time.process_time() - time.thread_time()


def test_a_worker_computes_nothing_while_its_core_is_left_to_others() -> None:
    x = np.ones(1 << 18, np.float32)
    before, end = of_others(), time.thread_time() + OWN_S
    while time.thread_time() < end:
        loaded_library().pool_leave_core(LEAVE_NS)
        run_job(x)
    assert of_others() - before < OWN_S / 2


@pytest.mark.parametrize("asked", [(0,), (1,), (2**62,), (LEAVE_NS, 0)])
def test_it_computes_again_afterwards(asked: tuple[int, ...]) -> None:
    """However long was asked for: a client may ask for anything."""
    x = np.ones(1 << 18, np.float32)
    for nanoseconds in asked:
        loaded_library().pool_leave_core(nanoseconds)
    before = of_others()
    for _ in range(TRIES):
        run_job(x)
        if of_others() - before > OWN_S / 10:
            return
    raise AssertionError("the worker never came back")


def test_numbers_are_the_same() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal(1 << 18, np.float32)
    here, there = x.copy(), x.copy()
    run_job(here)
    loaded_library().pool_leave_core(LEAVE_NS)
    run_job(there)
    assert (here == there).all()
