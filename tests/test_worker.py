"""Functions in a child process: results, limits, crashes, and no process left behind."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time

import _work as work
import numpy as np
import pytest

from skfer._worker import Worker, WorkerError, WorkerPool, WorkLimits

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX")
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits memory on Linux")


@pytest.fixture
def worker():
    with Worker(memory=400_000_000) as worker:
        yield worker


def has_ended(pid):
    """Wait for the end of a process."""
    for _ in range(300):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


def test_calls_and_streams_share_one_process(worker):
    assert worker.call(work.process_id) != os.getpid()
    assert worker.call(work.process_id) == worker.call(work.process_id) == worker.pid
    assert list(worker.stream(work.count, 3)) == [0, 1, 2]
    assert worker.call(work.process_id) == worker.pid


def test_arrays_of_any_size_arrive_unchanged(worker):
    sizes = (1, 10**5, 10, 10**6, 10**5) * 6
    received = list(worker.stream(work.arrays, sizes))
    for index, (size, array) in enumerate(zip(sizes, received, strict=True)):
        np.testing.assert_array_equal(array, np.full(size, index))
        array[0] = -1  # the array is writable
    # A late confirmation would be taken for the next job.
    assert worker.call(len, "four") == 4


def test_large_results_of_calls_are_independent(worker):
    first, second = (worker.call(work.filled, 1_000_000, value) for value in (1, 2))
    assert (first == 1).all()
    first[:] = 3
    assert (second == 2).all()
    assert first.dtype == second.dtype == np.uint8


def test_a_worker_imports_no_more_than_the_function_needs(worker):
    loaded = worker.call(work.modules_after_decoding)
    assert "av" in loaded
    assert not {"tensorflow", "keras", "sklearn", "cv2", "pandas", "onnxruntime"} & loaded


def test_errors_of_the_function_are_raised_and_the_process_is_kept(worker):
    with pytest.raises(KeyError, match="which"):
        worker.call(work.fail)
    pid = worker.pid
    assert worker.call(work.process_id) == pid
    with pytest.raises(RuntimeError, match="UnpicklableError: it was so"):
        worker.call(work.fail_strangely)


@linux
def test_memory_beyond_the_limit_is_an_error(worker):
    with pytest.raises(WorkerError, match=r"more than the 400 MB of memory") as caught:
        worker.call(work.fill_memory, 2_000_000_000)
    assert caught.value.reason == "memory"
    assert worker.call(len, "a new process") == 13


@pytest.mark.slow
def test_time_beyond_the_limit_ends_the_process(worker):
    worker.call(len, "")
    pid = worker.pid
    with pytest.raises(WorkerError, match=r"more than 0\.5 seconds") as caught:
        worker.call(time.sleep, 1000, seconds=0.5)
    assert caught.value.reason == "time"
    assert has_ended(pid)
    # The time of the caller counts too.
    stream = worker.stream(work.count, 1000, seconds=4)
    next(stream)
    time.sleep(4.1)
    with pytest.raises(WorkerError, match="seconds"):
        list(stream)


def test_abandoned_calls_and_closed_streams_end_the_process(worker):
    stream = worker.stream(work.count, 10**9)
    assert next(stream) == 0
    pid = worker.pid
    stream.close()
    assert has_ended(pid)
    assert worker.call(len, "ab") == 2
    pid = worker.pid
    answers = iter([False, False, True])
    with pytest.raises(WorkerError) as caught:
        worker.call(time.sleep, 1000, abandoned=lambda: next(answers))
    assert caught.value.reason == "abandoned"
    assert has_ended(pid)


@pytest.mark.parametrize(("function", "how"), [(os.abort, "SIGABRT"), (work.leave, "exit code 7")])
def test_a_crash_is_an_error(worker, function, how):
    with pytest.raises(WorkerError, match=how) as caught:
        worker.call(function)
    assert caught.value.reason == "crash"


def test_a_file_without_a_name_is_handed_over(worker):
    with tempfile.TemporaryFile(buffering=0) as file:
        file.write(b"content")
        file.seek(0)
        assert list(worker.stream(work.read_file, file=file)) == [b"content"]


def test_workers_of_a_pool_are_used_again_and_end_with_it():
    pool = WorkerPool(memory=400_000_000)
    with pool.worker() as one, pool.worker() as two:
        pids = {one.call(work.process_id), two.call(work.process_id)}
    assert len(pids) == 2
    with pool.worker() as one:
        assert one.call(work.process_id) in pids
        pool.close()
        with pytest.raises(WorkerError):
            one.call(time.sleep, 1000)
    assert all(map(has_ended, pids))


def test_the_process_ends_with_its_parent():
    code = (
        "import os, sys, time; from skfer._worker import Worker; worker = Worker(); "
        "worker.start(); worker.call(len, ''); print(worker.pid, flush=True); "
        "worker.call(time.sleep, 1000)"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as parent:
        pid = int(parent.stdout.readline())
        parent.kill()
    assert has_ended(pid)


@pytest.mark.parametrize(
    "limits",
    [{"memory": 1000}, {"memory": True}, {"seconds": 0}, {"seconds": -1}, {"seconds": np.nan}],
)
def test_invalid_limits_are_errors(limits):
    with pytest.raises(ValueError, match=next(iter(limits))):
        WorkLimits(**limits)
