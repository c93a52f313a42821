"""`Worker`: functions called in a child process, within limits on memory and time."""

from __future__ import annotations

import contextlib
import mmap
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from multiprocessing import reduction, spawn
from multiprocessing.connection import Connection
from typing import Any, BinaryIO, Literal

# How often a waiting caller asks whether its result is still wanted.
_ASK_EVERY = 0.2
_WATCH_EVERY = 1.0
_START_SECONDS = 120.0
# A worker that still has more memory than this after its work is not used again.
_KEPT_MEMORY = 512 * 2**20
# Results with arrays from this size on travel in shared memory: so many bytes at a time, and at
# least so many results.
_LARGE = 65_536
_UNDER_WAY = 16 * 2**20
_FEWEST = 3
# Few arenas and one thread of OpenBLAS, as each more reserves memory. Freed frames are kept for the
# next ones: to give them back and take them again costs more than to decode them.
_ENVIRONMENT = {
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_MMAP_THRESHOLD_": str(32 * 2**20),
    "MALLOC_TRIM_THRESHOLD_": str(64 * 2**20),
    "OPENBLAS_NUM_THREADS": "1",
}
# What a new process runs. Not multiprocessing's "spawn", which would import the caller's script.
_CHILD = "import sys; sys.path[:] = {path!r}; from skfer._worker import _serve; _serve({fd})"


class WorkerError(ValueError):
    """Work in a child process that exceeded a limit, or ended the process.

    Parameters
    ----------
    message : str
    reason : {"memory", "time", "crash", "abandoned"}
    """

    def __init__(self, message: str, reason: Literal["memory", "time", "crash", "abandoned"]):
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class WorkLimits:
    """Limits for work in a child process.

    Parameters
    ----------
    memory : int, default=2_000_000_000
        Bytes of memory that the child process may use. Enforced on Linux only.
    seconds : float, default=None
        Time until the work must be done, including the time in which the caller handles its
        results. None sets no limit.

    Raises
    ------
    ValueError
        If a limit is too small or not finite.

    Examples
    --------
    >>> from skfer.video import WorkLimits
    >>> WorkLimits(seconds=60).memory
    2000000000
    """

    memory: int = 2_000_000_000
    seconds: float | None = None

    def __post_init__(self) -> None:
        # Python, NumPy and a decoder need about 100 MB before they have read anything.
        if isinstance(self.memory, bool) or not 200_000_000 <= self.memory < 2**62:
            raise ValueError(f"memory must be at least 200,000,000 bytes; got {self.memory!r}.")
        if self.seconds is not None and not 0 < self.seconds < float("inf"):
            raise ValueError(f"seconds must be above 0, or None; got {self.seconds!r}.")


class Worker:
    """A child process that calls one function after another.

    It is for work on files of unknown origin that may need any amount of memory or time, or crash
    a C library. The process starts at the first call and is kept for the next ones. It is killed
    if a limit is exceeded, if a stream is closed before its end, and by `close`; a later call
    starts a new one. It also ends when the calling process ends. A worker serves one call at a
    time and is not for several threads at once.

    The limits protect against excess and crashes. They are no sandbox: the child process has the
    rights of the user.

    Functions must be importable from a module (no lambdas, nothing from ``__main__``); arguments
    and results are pickled. The child imports the function's module and nothing else, so a
    function that only decodes belongs in a module that does not import TensorFlow.

    Parameters
    ----------
    memory : int, default=2_000_000_000
        Bytes of memory that the process may use. Enforced on Linux only.

    Examples
    --------
    >>> import math
    >>> from skfer._worker import Worker
    >>> with Worker() as worker:
    ...     worker.call(math.sqrt, 16.0, seconds=60)
    4.0
    """

    def __init__(self, memory: int = 2_000_000_000):
        self._memory = memory
        self._process: subprocess.Popen[bytes] | None = None
        self._ready = False
        self._shared: mmap.mmap | None = None
        self._end: Callable[[], Any] = lambda: None
        self._connection: Connection | None = None

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """Process id of the child; None if there is none."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Start the process, if there is none, without waiting for it."""
        if self._process is not None:
            return
        ours, theirs = socket.socketpair()
        with theirs:
            os.set_inheritable(theirs.fileno(), True)
            code = _CHILD.format(path=sys.path, fd=theirs.fileno())
            self._process = subprocess.Popen(
                [os.fsdecode(spawn.get_executable()), "-c", code],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env=os.environ | _ENVIRONMENT,
            )
        self._connection = Connection(ours.detach())
        self._end = weakref.finalize(self, _end, self._process, self._connection)
        with contextlib.suppress(OSError):  # a child that ended already is found by `call`
            self._connection.send((os.getpid(), self._memory))

    def call(
        self,
        function: Callable[..., Any],
        *args: Any,
        seconds: float | None = None,
        abandoned: Callable[[], bool] | None = None,
    ) -> Any:
        """Call a function in the child process.

        Parameters
        ----------
        function : callable
        *args : object
        seconds : float, default=None
            Time after which the process is killed. None sets no limit.
        abandoned : callable, default=None
            Asked several times a second; once it returns True, the process is killed.

        Returns
        -------
        object
            What the function returned.

        Raises
        ------
        WorkerError
            If a limit was exceeded or the process ended.
        Exception
            What the function raised.
        """
        results = self._results(function, args, None, seconds, abandoned)
        return next(results)

    def stream(
        self,
        function: Callable[..., Iterator[Any]],
        *args: Any,
        file: BinaryIO | None = None,
        seconds: float | None = None,
        abandoned: Callable[[], bool] | None = None,
    ) -> Iterator[Any]:
        """Iterate over a generator that runs in the child process.

        The child runs ahead by no more than a pipe holds. Closing the iterator before its end
        kills the process.

        Parameters
        ----------
        function : callable
            Returns an iterator.
        *args : object
        file : binary file with a descriptor, default=None
            An open file, which need not have a name. The function gets a file of its own for it
            as its first argument; both share one position.
        seconds, abandoned
            As for `call`.

        Yields
        ------
        object

        Raises
        ------
        WorkerError
            If a limit was exceeded or the process ended.
        Exception
            What the function raised.
        """
        yield from self._results(function, args, file, seconds, abandoned, streamed=True)

    def kill(self) -> None:
        """Kill the process while another thread waits for it, which then gets a WorkerError."""
        if (process := self._process) is not None:
            process.kill()

    def close(self) -> None:
        """Kill the process, if there is one."""
        self._end()
        self._process = self._connection = self._shared = None
        self._ready = False

    def _results(
        self,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        file: BinaryIO | None,
        seconds: float | None,
        abandoned: Callable[[], bool] | None,
        streamed: bool = False,
    ) -> Iterator[Any]:
        """Yield what the child answers, the one result of a call or those of a stream."""
        job = reduction.ForkingPickler.dumps((function, args, file is not None, streamed))
        whole = False
        try:
            self.start()
            assert self._connection is not None
            assert self._process is not None
            if not self._ready:  # its start is no fault of the work
                self._wait(time.monotonic() + _START_SECONDS, _START_SECONDS, abandoned)
                self._ready = bool(self._received())
            due = None if seconds is None else time.monotonic() + seconds
            try:
                self._connection.send_bytes(job)
                if file is not None:
                    reduction.send_handle(self._connection, file.fileno(), self._process.pid)
            except OSError as error:
                raise self._crash() from error
            while True:
                self._wait(due, seconds, abandoned)
                kind, value = self._received()
                if kind == "item":
                    yield value
                    continue
                # Not after "last": the process is too large to be kept.
                whole = kind in ("end", "error")
                if kind == "memory":
                    raise WorkerError(
                        f"It needs more than the {self._memory / 1e6:,.0f} MB of memory that are "
                        "allowed.",
                        "memory",
                    )
                if kind == "error":
                    raise value
                if not streamed:
                    yield value
                return
        finally:
            if not whole:
                self.close()

    def _received(self) -> tuple[str, Any]:
        """Return the next answer of the child: its kind and value."""
        assert self._connection is not None  # called while it runs
        try:
            kind, data, sizes, offset, length = self._connection.recv()
        except (EOFError, OSError) as error:
            raise self._crash() from error
        if length:
            descriptor = reduction.recv_handle(self._connection)
            # The result of a call is its caller's, in the shared memory itself: nothing is copied.
            ours = kind != "item"
            access = mmap.ACCESS_COPY if ours else mmap.ACCESS_READ
            shared = mmap.mmap(descriptor, length, access=access)
            os.close(descriptor)
            if ours:
                view, ends = memoryview(shared), list(accumulate(sizes))
                parts = [view[end - size : end] for size, end in zip(sizes, ends, strict=True)]
                return kind, pickle.loads(data, buffers=parts)
            self._shared = shared
        buffers = []
        for size in sizes:
            assert self._shared is not None
            buffers.append(bytearray(memoryview(self._shared)[offset : offset + size]))
            offset += size
        if sizes:
            self._connection.send_bytes(b"")  # its place in the shared memory is free
        return kind, pickle.loads(data, buffers=buffers)

    def _wait(
        self, due: float | None, seconds: float | None, abandoned: Callable[[], bool] | None
    ) -> None:
        assert self._connection is not None  # called while it runs
        while True:
            left = None if due is None else due - time.monotonic()
            if left is not None and left <= 0:
                raise WorkerError(f"It took more than {seconds:g} seconds.", "time")
            if abandoned is not None:
                if abandoned():
                    raise WorkerError("Its result is no longer wanted.", "abandoned")
                left = _ASK_EVERY if left is None else min(left, _ASK_EVERY)
            if self._connection.poll(left):
                return

    def _crash(self) -> WorkerError:
        """The error for a process that ended without an answer."""
        process = self._process
        assert process is not None  # it was started
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)  # its connection is closed: it is ending
        code = process.poll()
        how = f"exit code {code}"
        if code is not None and code < 0:
            with contextlib.suppress(ValueError):
                how = signal.Signals(-code).name
        return WorkerError(f"It ended the process that worked on it ({how}).", "crash")


class WorkerPool:
    """Idle workers, kept for the next work.

    Parameters
    ----------
    memory : int
        As for `Worker`.

    Examples
    --------
    >>> import math
    >>> from skfer._worker import WorkerPool
    >>> pool = WorkerPool(memory=500_000_000)
    >>> with pool.worker() as worker:
    ...     worker.call(math.factorial, 5)
    120
    >>> pool.close()
    """

    def __init__(self, memory: int):
        self._memory = memory
        self._lock = threading.Lock()
        self._idle: list[Worker] = []
        self._lent: set[Worker] = set()

    def start(self, count: int) -> None:
        """Start processes, without waiting for them, so that as many are idle.

        Parameters
        ----------
        count : int
        """
        with contextlib.ExitStack() as stack:
            for _ in range(count):
                stack.enter_context(self.worker()).start()

    @contextlib.contextmanager
    def worker(self) -> Iterator[Worker]:
        """Lend a worker, a new one if none is idle.

        Yields
        ------
        Worker
        """
        with self._lock:
            worker = self._idle.pop() if self._idle else Worker(self._memory)
            self._lent.add(worker)
        try:
            yield worker
        finally:
            with self._lock:
                kept = worker in self._lent and worker.pid is not None  # not after `close`
                self._lent.discard(worker)
                if kept:
                    self._idle.append(worker)
            if not kept:
                worker.close()

    def close(self) -> None:
        """Kill all processes, also those of lent workers."""
        with self._lock:
            idle, lent = self._idle, self._lent
            self._idle, self._lent = [], set()
        for worker in lent:
            worker.kill()
        for worker in idle:
            worker.close()


def _end(process: subprocess.Popen[bytes], connection: Connection) -> None:
    process.kill()
    process.wait()
    connection.close()


def _serve(descriptor: int) -> None:
    """Do the work of the child process: run jobs until the parent closes the connection."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends this one
    connection = Connection(descriptor)
    try:
        parent, memory = connection.recv()
        _limit_memory(memory)
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
        answers = _Answers(connection)
        answers.send("ready", None)
        while True:
            _run(connection, answers)
    except (EOFError, _GoneError):
        os._exit(0)


def _run(connection: Connection, answers: _Answers) -> None:
    """Receive a job and send its results."""
    job = connection.recv_bytes()
    try:
        function, args, with_file, streamed = pickle.loads(job)
        if with_file:
            args = (os.fdopen(reduction.recv_handle(connection), "rb"), *args)
        value = function(*args)
        if streamed:
            for item in value:
                answers.send("item", item)
            value = None
        answers.send("last" if _memory_used() > _KEPT_MEMORY else "end", value)
    except _GoneError:
        raise
    except MemoryError:
        answers.send("memory", None)
    except Exception as error:
        try:
            answers.send("error", error)
        except (TypeError, AttributeError, pickle.PicklingError):
            answers.send("error", RuntimeError(f"{type(error).__name__}: {error}"))
    answers.drain()


class _GoneError(Exception):
    """The parent process has closed the connection."""


class _Answers:
    """Sends answers to the parent; large arrays through shared memory.

    The parent confirms each large answer of a stream. Its place in the shared memory is used again
    after that. The result of a call gets shared memory of its own, which the parent keeps.
    """

    def __init__(self, connection: Connection):
        self._connection = connection
        self._shared: mmap.mmap | None = None
        self._size = self._slots = self._slot = self._unconfirmed = 0

    def send(self, kind: str, value: Any) -> None:
        """Send one answer."""
        arrays: list[pickle.PickleBuffer] = []
        data = pickle.dumps(value, protocol=5, buffer_callback=arrays.append)
        raw = [array.raw() for array in arrays]
        total = sum(view.nbytes for view in raw)
        if total < _LARGE or not hasattr(os, "memfd_create"):
            self._send((kind, pickle.dumps(value, protocol=5), [], 0, 0), None)
            return
        descriptor = self._room(total, given=kind != "item")
        assert self._shared is not None
        offset = start = self._slot * self._size
        for view in raw:
            self._shared[offset : offset + view.nbytes] = view
            offset += view.nbytes
        length = 0 if descriptor is None else len(self._shared)
        if kind == "item":
            self._slot = (self._slot + 1) % self._slots
            self._unconfirmed += 1
        else:  # the parent keeps it
            self._shared, self._size = None, 0
        self._send((kind, data, [view.nbytes for view in raw], start, length), descriptor)

    def drain(self) -> None:
        """Wait until everything is confirmed."""
        while self._unconfirmed:
            self._confirm()

    def _room(self, total: int, given: bool) -> int | None:
        """Make a place free; return the descriptor of new shared memory if there is some."""
        if total <= self._size and not given:
            if self._unconfirmed == self._slots:
                self._confirm()
            return None
        self.drain()
        descriptor = os.memfd_create("skfer")
        slots = 1 if given else max(_FEWEST, _UNDER_WAY // total)
        self._size, self._slots, self._slot = total, slots, 0
        os.ftruncate(descriptor, self._slots * total)
        self._shared = mmap.mmap(descriptor, self._slots * total)
        return descriptor

    def _confirm(self) -> None:
        try:
            self._connection.recv_bytes()
        except (EOFError, OSError) as error:
            raise _GoneError from error
        self._unconfirmed -= 1

    def _send(self, answer: Any, descriptor: int | None) -> None:
        try:
            self._connection.send(answer)
            if descriptor is not None:
                reduction.send_handle(self._connection, descriptor, os.getppid())
                os.close(descriptor)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise _GoneError from error


def _limit_memory(memory: int) -> None:
    if not sys.platform.startswith("linux"):
        return  # other systems don't keep to it
    import resource

    # Of private memory, not of addresses: a library's file or a reserved range costs nothing.
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # If the machine is short of memory, this process goes first.
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")


def _memory_used() -> int:
    """Return the bytes of memory that this process has now; 0 where that is not known."""
    # Not getrusage's ru_maxrss, which begins with that of the process this one was forked from.
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def _end_with(parent: int) -> None:
    """End this process when its parent has ended, also in the middle of a job."""
    while os.getppid() == parent:
        time.sleep(_WATCH_EVERY)
    os._exit(1)
