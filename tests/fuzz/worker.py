"""Run cases of one target, in a process that may crash: worker.py TARGET START STOP SEED FOLDER.

Prints the number of a case before it and its outcome after it, as lines of JSON. The module checks
errors, memory, remaining files and threads, writes outside the folder, programs and connections;
`run.py` checks the time, the exit status and C code.
"""

import contextlib
import faulthandler
import gc
import json
import os
import shutil
import sys
import tempfile
import time
import traceback
import warnings
import zlib
from pathlib import Path

import numpy as np
from failing import FAILING
from targets import TARGETS, Refused, finish

# Limits in megabytes: the peak of a case, what it keeps, and what all cases of a process keep.
_MEMORY, _KEPT, _KEPT_BY_ALL = 1500, 200, 800
_THREADS = 8
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC
_CHANGES = {
    *("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate"),
    *("os.chmod", "os.chown", "shutil.move"),
}
_NEVER = {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "socket.connect"}
# The child processes of the package, and the connections to its server.
ALLOWED = ("from skfer._worker import _serve", "_model_file import _predict_once", "127.0.0.1")


class Guard:
    def __init__(self):
        self.folder = None
        self.events = []
        sys.addaudithook(self._audit)

    def _audit(self, event, arguments):
        if self.folder is None:
            return
        if event in _NEVER:
            if not any(allowed in repr(arguments) for allowed in ALLOWED):
                self.events.append(f"{event} {arguments[0]!r}")
        elif event == "open":
            path, _, flags = arguments
            if isinstance(path, str | bytes) and flags & _WRITING:
                self._check(path, "writes")
        elif event in _CHANGES and isinstance(arguments[0], str | bytes):
            self._check(arguments[0], event)

    def _check(self, path, action):
        if not os.path.isabs(path):
            return  # relative to an open folder, which only strace knows
        path = os.path.realpath(os.fsdecode(path))
        if path != "/dev/null" and not path.startswith(f"{self.folder}{os.sep}"):
            self.events.append(f"{action} {path}")


def memory(name):
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) // 1000
    return 0


def open_files():
    files = set()
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            files.add(f"{number} {os.readlink(f'/proc/self/fd/{number}')}")
    return {file for file in files if not file.endswith("/fd")}


def threads():
    return len(os.listdir("/proc/self/task"))


def case_data(target, seeds, number):
    rng = np.random.default_rng(number)
    name = sorted(seeds)[int(rng.integers(len(seeds)))]
    return name, target.change(seeds[name], rng, list(seeds.values()))


def find_leak(files, n_threads, before, first):
    for _ in range(20):
        new = open_files() - files
        more = threads() - n_threads
        if not new and more <= _THREADS:
            break
        gc.collect()
        time.sleep(0.1)
    if new:
        return f"it leaves files open: {sorted(new)[:5]}"
    if more > _THREADS:
        return f"it leaves {more} threads"
    if (now := memory("VmRSS")) > min(before + _KEPT, first + _KEPT_BY_ALL):
        gc.collect()
        now = memory("VmRSS")
    if now > before + _KEPT:
        return f"it keeps {now - before} MB of memory"
    if now > first + _KEPT_BY_ALL:
        return f"cases keep {now - first} MB of memory together"
    return None


def main():
    name, (start, stop, seed), top = sys.argv[1], map(int, sys.argv[2:5]), Path(sys.argv[5])
    faulthandler.enable()
    warnings.simplefilter("ignore")
    target = (TARGETS | FAILING)[name]
    folder = Path(os.path.realpath(top)) / "case"
    os.chdir(top)
    report = _reporter()

    temporary = folder / "tmp"
    os.environ["TMPDIR"] = tempfile.tempdir = str(temporary)

    def empty_folder():
        shutil.rmtree(folder, ignore_errors=True)
        temporary.mkdir(parents=True)
        return folder

    seeds = target.seeds(empty_folder())
    # Valid files must be accepted. Modules that are loaded once are loaded here.
    for source, data in seeds.items():
        try:
            target.run(data, source, empty_folder())
        except Refused:
            if source not in ("fer2013new.csv", "pam"):
                raise
    guard = Guard()
    report("ready")
    first, kept = memory("VmRSS"), 0
    for case in range(start, stop):
        source, data = case_data(target, seeds, [seed, zlib.crc32(name.encode()), case])
        empty_folder()
        Path("/proc/self/clear_refs").write_text("5")  # resets VmHWM, the peak of memory
        before, files, n_threads = memory("VmRSS"), open_files(), threads()
        report("case", case=case)
        _mark(f"case/{case}")
        start_time, problem, outcome = time.process_time(), None, "accepted"
        guard.folder, guard.events = str(folder), []
        try:
            target.run(data, source, folder)
        except Refused:
            outcome = "refused"
        except BaseException:
            problem = traceback.format_exc()
        guard.folder = None
        _mark("end")
        seconds, taken = time.process_time() - start_time, memory("VmHWM") - before
        if guard.events:
            problem = f"outside its folder: {guard.events[:5]}"
        elif taken > _MEMORY:
            problem = f"it takes {taken} MB of memory"
        elif left := [path.name for path in temporary.iterdir()]:
            problem = f"it leaves temporary files: {left[:5]}"
        problem = problem or find_leak(files, n_threads, before, first)
        kept = memory("VmRSS") - first
        if problem:
            outcome = "failed"
            (top / f"{name}-{case}-{source}").write_bytes(data)
            first = min(first + _KEPT_BY_ALL, memory("VmRSS"))  # report a leak once
        figures = {"seconds": round(seconds, 3), "taken": taken, "kept": kept}
        report("done", case=case, outcome=outcome, problem=problem, **figures)


def _mark(name):
    """Mark a case in the trace of strace."""
    with contextlib.suppress(OSError):
        os.open(f"/fuzz/{name}", os.O_RDONLY)


def _reporter():
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def report(event, **values):
        print(json.dumps({"event": event, **values}), file=out, flush=True)

    return report


if __name__ == "__main__":
    try:
        main()
    finally:
        finish()
