"""`Worker` and `WorkerPool`: function calls in child processes with limits on memory and time."""

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

# Seconds between calls of `abandoned`, and between checks that the parent process still runs.
_POLL_SECONDS = 0.2
_WATCH_SECONDS = 1.0
_START_SECONDS = 120.0
# A worker that has more memory than this after a call is not used again.
_KEPT_MEMORY = 512 * 2**20
# Python, NumPy and a decoder need about 100 MB.
MIN_MEMORY = 200_000_000
# Results with arrays of at least this size use shared memory, which has this total size and at
# least this number of slots.
_SHARED_FROM = 65_536
_SHARED_SIZE = 16 * 2**20
_FEWEST_SLOTS = 3
# More arenas and threads reserve more memory. Freed frames are reused: to return them to the
# system costs more time than the decoding.
_ENVIRONMENT = {
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_MMAP_THRESHOLD_": str(32 * 2**20),
    "MALLOC_TRIM_THRESHOLD_": str(64 * 2**20),
    "OPENBLAS_NUM_THREADS": "1",
}
# Code of a new process. The "spawn" method of multiprocessing would import the caller's script.
_CHILD = "import sys; sys.path[:] = {path!r}; from skfer._worker import _serve; _serve({fd})"


class WorkerError(ValueError):
    """Error of a call that exceeded a limit or ended the child process."""

    def __init__(self, message: str, reason: Literal["memory", "time", "crash", "abandoned"]):
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class WorkLimits:
    """Limits for work in a child process.

    Parameters
    ----------
    memory : int, default=2_000_000_000
        Largest memory of the child process in bytes. Enforced on Linux only.
    seconds : float, default=None
        Largest time, including that of the caller between results. None means no limit.

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
        if isinstance(self.memory, bool) or not MIN_MEMORY <= self.memory < 2**62:
            raise ValueError(f"memory={self.memory!r} must be at least {MIN_MEMORY:,} bytes.")
        if self.seconds is not None and not 0 < self.seconds < float("inf"):
            raise ValueError(f"seconds={self.seconds!r} must be above 0, or None.")


class Worker:
    """A child process that calls one function after another.

    It is for files of unknown origin, which may need any amount of memory or time, or crash a C
    library. The limits are not a sandbox: the process has the rights of the user.

    The process starts at the first call. It is killed if a limit is exceeded, if a stream is
    closed before its end, and by `close`; the next call starts a new one. It also ends with the
    parent process. A worker must not be used by several threads at once.

    Functions must be importable from a module, whose imports the child repeats. Arguments and
    results are pickled. `memory` is as in `WorkLimits`.
    """

    def __init__(self, memory: int):
        self._memory = int(memory)  # setrlimit takes no float
        self._process: Any = None
        self._ready = False
        self._shared: Any = None
        self._end: Callable[[], Any] = lambda: None
        self._connection: Any = None

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """Id of the process; None if it does not run."""
        is_running = self._process is not None and self._process.poll() is None
        return self._process.pid if is_running else None

    def start(self) -> None:
        """Start the process without waiting for it."""
        if self._process is not None:
            return
        ours, theirs = socket.socketpair()
        with ours, theirs:
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
        self._end = weakref.finalize(self, _kill, self._process, self._connection)
        with contextlib.suppress(OSError):  # `call` reports a process that ended already
            self._connection.send((os.getpid(), self._memory))

    def call(
        self,
        function: Callable[..., Any],
        *args: Any,
        seconds: float | None = None,
        abandoned: Callable[[], bool] | None = None,
    ) -> Any:
        """Call a function in the child process and return its result.

        The process is killed after `seconds`, and when `abandoned` returns True, which is called
        several times a second. A limit that is exceeded and a crash raise `WorkerError`.
        """
        return next(self._results(function, args, None, seconds, abandoned))

    def stream(
        self,
        function: Callable[..., Iterator[Any]],
        *args: Any,
        file: BinaryIO | None = None,
        seconds: float | None = None,
        abandoned: Callable[[], bool] | None = None,
    ) -> Iterator[Any]:
        """Iterate over a generator that runs in the child process.

        The child continues while results wait in the pipe and in shared memory. An open `file`
        with a descriptor, which both processes share, is the first argument of the function.
        """
        yield from self._results(function, args, file, seconds, abandoned, streamed=True)

    def kill(self) -> None:
        """Kill the process. A thread that waits for it gets a WorkerError."""
        if (process := self._process) is not None:
            process.kill()

    def close(self) -> None:
        """Kill the process."""
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
        """Yield the result of a call, or the results of a stream."""
        job = reduction.ForkingPickler.dumps((function, args, file is not None, streamed))
        keep = False
        try:
            self.start()
            if not self._ready:  # the limit of the call excludes the start
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
                # After "last", the process has too much memory to be used again.
                keep = kind in ("end", "error")
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
            if not keep:
                self.close()

    def _received(self) -> tuple[str, Any]:
        """Return the kind and value of the next message of the child."""
        try:
            kind, data, sizes, offset, length = self._connection.recv()
        except (EOFError, OSError) as error:
            raise self._crash() from error
        if length:
            descriptor = reduction.recv_handle(self._connection)
            # The result of a call stays in shared memory, without a copy.
            owned = kind != "item"
            access = mmap.ACCESS_COPY if owned else mmap.ACCESS_READ
            shared = mmap.mmap(descriptor, length, access=access)
            os.close(descriptor)
            if owned:
                view, ends = memoryview(shared), list(accumulate(sizes))
                parts = [view[end - size : end] for size, end in zip(sizes, ends, strict=True)]
                return kind, pickle.loads(data, buffers=parts)
            self._shared = shared
        buffers = []
        for size in sizes:
            buffers.append(bytearray(memoryview(self._shared)[offset : offset + size]))
            offset += size
        if sizes:
            self._connection.send_bytes(b"")  # confirms that the slot is free
        return kind, pickle.loads(data, buffers=buffers)

    def _wait(
        self, due: float | None, seconds: float | None, abandoned: Callable[[], bool] | None
    ) -> None:
        while True:
            left = None if due is None else due - time.monotonic()
            if left is not None and left <= 0:
                raise WorkerError(f"It took more than {seconds:g} seconds.", "time")
            if abandoned is not None:
                if abandoned():
                    raise WorkerError("The caller no longer waits for it.", "abandoned")
                left = _POLL_SECONDS if left is None else min(left, _POLL_SECONDS)
            if self._connection.poll(left):
                return

    def _crash(self) -> WorkerError:
        process = self._process
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)  # its connection is closed
        code = process.poll()
        cause = f"exit code {code}"
        if code is not None and code < 0:
            with contextlib.suppress(ValueError):
                cause = signal.Signals(-code).name
        return WorkerError(f"It crashed the child process ({cause}).", "crash")


class WorkerPool:
    """Workers that are reused. `memory` is as in `WorkLimits`."""

    def __init__(self, memory: int):
        self._memory = memory
        self._lock = threading.Lock()
        self._idle: list[Worker] = []
        self._busy: set[Worker] = set()

    def start(self, count: int) -> None:
        """Start `count` idle processes without waiting for them."""
        with contextlib.ExitStack() as stack:
            for _ in range(count):
                stack.enter_context(self.worker()).start()

    @contextlib.contextmanager
    def worker(self) -> Iterator[Worker]:
        """Provide an idle or new worker."""
        with self._lock:
            worker = self._idle.pop() if self._idle else Worker(self._memory)
            self._busy.add(worker)
        if worker.pid is None:  # ended while idle: the kernel ends these processes first
            worker.close()
        try:
            yield worker
        finally:
            with self._lock:
                kept = worker in self._busy and worker.pid is not None
                self._busy.discard(worker)
                if kept:
                    self._idle.append(worker)
            if not kept:
                worker.close()

    def close(self) -> None:
        """Kill all processes."""
        with self._lock:
            idle, busy = self._idle, self._busy
            self._idle, self._busy = [], set()
        for worker in busy:
            worker.kill()
        for worker in idle:
            worker.close()


def _kill(process: subprocess.Popen[bytes], connection: Connection) -> None:
    process.kill()
    process.wait()
    connection.close()


def _serve(descriptor: int) -> None:
    """Run jobs in the child process until the parent closes the connection."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C
    connection = Connection(descriptor)
    try:
        parent, memory = connection.recv()
        _limit_memory(memory)
        threading.Thread(target=_exit_after, args=(parent,), daemon=True).start()
        sender = _Sender(connection)
        sender.send("ready", None)
        while True:
            _run(connection, sender)
    except (EOFError, _GoneError):
        os._exit(0)


def _run(connection: Connection, sender: _Sender) -> None:
    job = connection.recv_bytes()
    try:
        function, args, with_file, streamed = pickle.loads(job)
        if with_file:
            args = (os.fdopen(reduction.recv_handle(connection), "rb"), *args)
        value = function(*args)
        if streamed:
            for item in value:
                sender.send("item", item)
            value = None
        sender.send("last" if _memory_used() > _KEPT_MEMORY else "end", value)
    except _GoneError:
        raise
    except MemoryError:
        sender.send("memory", None)
    except Exception as error:
        try:
            sender.send("error", error)
        except (TypeError, AttributeError, pickle.PicklingError):
            sender.send("error", RuntimeError(f"{type(error).__name__}: {error}"))
    sender.drain()


class _GoneError(Exception):
    """The parent process closed the connection."""


class _Sender:
    """Sender of results to the parent, with large arrays in shared memory.

    The parent confirms each large item of a stream, whose slot is then used again. The result of
    a call has shared memory of its own, which the parent keeps.
    """

    def __init__(self, connection: Connection):
        self._connection = connection
        self._shared: Any = None
        self._size = self._slots = self._slot = self._unconfirmed = 0

    def send(self, kind: str, value: Any) -> None:
        """Send a message with its kind."""
        arrays: list[pickle.PickleBuffer] = []
        data = pickle.dumps(value, protocol=5, buffer_callback=arrays.append)
        raw = [array.raw() for array in arrays]
        total = sum(view.nbytes for view in raw)
        if total < _SHARED_FROM or not hasattr(os, "memfd_create"):
            self._send((kind, pickle.dumps(value, protocol=5), [], 0, 0), None)
            return
        descriptor = self._reserve(total, given=kind != "item")
        offset = start = self._slot * self._size
        for view in raw:
            self._shared[offset : offset + view.nbytes] = view
            offset += view.nbytes
        length = 0 if descriptor is None else len(self._shared)
        if kind == "item":
            self._slot = (self._slot + 1) % self._slots
            self._unconfirmed += 1
        else:
            self._shared, self._size = None, 0
        self._send((kind, data, [view.nbytes for view in raw], start, length), descriptor)

    def drain(self) -> None:
        """Wait until the parent has confirmed all items."""
        while self._unconfirmed:
            self._confirm()

    def _reserve(self, total: int, given: bool) -> int | None:
        """Reserve a slot; return the descriptor of new shared memory, if any."""
        if total <= self._size and not given:
            if self._unconfirmed == self._slots:
                self._confirm()
            return None
        self.drain()
        descriptor = os.memfd_create("skfer")
        slots = 1 if given else max(_FEWEST_SLOTS, _SHARED_SIZE // total)
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

    def _send(self, message: Any, descriptor: int | None) -> None:
        try:
            self._connection.send(message)
            if descriptor is not None:
                reduction.send_handle(self._connection, descriptor, os.getppid())
                os.close(descriptor)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise _GoneError from error


def _limit_memory(memory: int) -> None:
    if not sys.platform.startswith("linux"):
        return  # other systems ignore the limit
    import resource

    # Private memory, without mapped libraries and reserved addresses.
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # If the machine has too little memory, the kernel ends this process first.
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")


def _memory_used() -> int:
    """Return the memory of this process in bytes; 0 if unknown."""
    # ru_maxrss of getrusage would include the parent process before the fork.
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def _exit_after(parent: int) -> None:
    """Exit, also during a job, when the parent process has ended."""
    while os.getppid() == parent:
        time.sleep(_WATCH_SECONDS)
    os._exit(1)
