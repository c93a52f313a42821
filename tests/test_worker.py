from __future__ import annotations

import os
import signal
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


def test_calls_and_streams(worker):
    assert worker.call(work.process_id) != os.getpid()
    assert worker.call(work.process_id) == worker.call(work.process_id) == worker.pid
    assert list(worker.stream(work.count, 3)) == [0, 1, 2]
    assert worker.call(work.process_id) == worker.pid
    with Worker(WorkLimits(memory=4e8).memory) as other:
        assert other.call(work.process_id) == other.pid


def test_sizes_of_arrays(worker):
    sizes = (1, 10**5, 10, 10**6, 10**5) * 6
    received = list(worker.stream(work.arrays, sizes))
    for index, (size, array) in enumerate(zip(sizes, received, strict=True)):
        np.testing.assert_array_equal(array, np.full(size, index))
        array[0] = -1  # must be writable
    # The next call must not receive a confirmation of the stream.
    assert worker.call(len, "four") == 4


def test_large_results(worker):
    first, second = (worker.call(work.filled, 1_000_000, value) for value in (1, 2))
    assert (first == 1).all()
    first[:] = 3
    assert (second == 2).all()
    assert first.dtype == second.dtype == np.uint8


def test_imports_of_a_worker(worker):
    modules = worker.call(work.modules_after_decoding)
    assert "av" in modules
    assert not {"tensorflow", "keras", "sklearn", "cv2", "pandas", "onnxruntime"} & modules


def test_errors_of_the_function(worker):
    with pytest.raises(KeyError, match="key"):
        worker.call(work.fail)
    pid = worker.pid
    assert worker.call(work.process_id) == pid
    with pytest.raises(RuntimeError, match="UnpicklableError: reason"):
        worker.call(work.fail_unpicklable)


@linux
def test_memory_limit(worker):
    with pytest.raises(WorkerError, match=r"more than the 400 MB of memory") as caught:
        worker.call(work.fill_memory, 2_000_000_000)
    assert caught.value.reason == "memory"
    assert worker.call(len, "a new process") == 13


@pytest.mark.slow
def test_time_limit(worker):
    worker.call(len, "")
    pid = worker.pid
    with pytest.raises(WorkerError, match=r"more than 0\.5 seconds") as caught:
        worker.call(time.sleep, 1000, seconds=0.5)
    assert caught.value.reason == "time"
    assert has_ended(pid)


@pytest.mark.slow
def test_time_limit_of_a_stream_includes_its_caller(worker):
    stream = worker.stream(work.count, 1000, seconds=4)
    next(stream)
    time.sleep(4.1)
    with pytest.raises(WorkerError, match="seconds"):
        list(stream)


def test_closed_streams(worker):
    stream = worker.stream(work.count, 10**9)
    assert next(stream) == 0
    pid = worker.pid
    stream.close()
    assert has_ended(pid)
    assert worker.call(len, "ab") == 2


def test_abandoned_calls(worker):
    assert worker.call(len, "ab") == 2
    pid = worker.pid
    abandoned = iter([False, False, True])
    with pytest.raises(WorkerError, match="no longer waits") as caught:
        worker.call(time.sleep, 1000, abandoned=lambda: next(abandoned))
    assert caught.value.reason == "abandoned"
    assert has_ended(pid)


@pytest.mark.parametrize(
    ("function", "message"), [(os.abort, "SIGABRT"), (work.leave, "exit code 7")]
)
def test_crashes(worker, function, message):
    with pytest.raises(WorkerError, match=message) as caught:
        worker.call(function)
    assert caught.value.reason == "crash"


def test_open_files(worker):
    with tempfile.TemporaryFile(buffering=0) as file:
        file.write(b"content")
        file.seek(0)
        assert list(worker.stream(work.read_file, file=file)) == [b"content"]


def test_pool():
    pool = WorkerPool(memory=400_000_000)
    with pool.worker() as first, pool.worker() as second:
        pids = {first.call(work.process_id), second.call(work.process_id)}
    assert len(pids) == 2
    with pool.worker() as worker:
        assert worker.call(work.process_id) in pids
    os.kill(worker.pid, signal.SIGKILL)  # while it is idle
    while worker.pid is not None:
        time.sleep(0.01)
    with pool.worker() as worker:
        pids.add(worker.call(work.process_id))
        assert len(pids) == 3
        pool.close()
        with pytest.raises(WorkerError):
            worker.call(time.sleep, 1000)
    assert all(map(has_ended, pids))


def test_end_of_the_parent():
    code = (
        "import os, sys, time; from skfer._worker import Worker; worker = Worker(10**9); "
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
def test_invalid_limits(limits):
    with pytest.raises(ValueError, match=next(iter(limits))):
        WorkLimits(**limits)
