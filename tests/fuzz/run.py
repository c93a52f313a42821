"""Read randomly changed files in monitored processes.

    python tests/fuzz/run.py --cases 20000 --output benchmarks/results/fuzz.json

A case fails if it raises an undocumented error, exceeds the processor time of its target or five
minutes, takes more than 1.5 GB of memory or keeps 200 MB, leaves files or threads behind, writes
outside its folder, starts a program, opens a connection, or ends its process. If strace is
installed, C code is monitored too. The script prints the folder with the files of failed cases. The
exit code is the number of failures, up to 99.
"""

import argparse
import contextlib
import json
import os
import platform
import re
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
STRACE = shutil.which("strace")
MAX_SECONDS = 300.0
_MAX_STARTUP_SECONDS = 300.0
_CHUNK = 1000


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--targets", nargs="*", help="names; all by default")
    parser.add_argument("--output", type=Path, help="a JSON file for the figures")
    arguments = parser.parse_args()
    start = time.monotonic()
    shares = _shares(arguments.targets)
    total = sum(shares.values())
    chunks = []
    for name, share in shares.items():
        cases = round(arguments.cases * share / total)
        chunks += [(name, i, min(i + _CHUNK, cases)) for i in range(0, cases, _CHUNK)]
    folder = Path(tempfile.mkdtemp(prefix="skfer-fuzz-"))
    with ThreadPoolExecutor(arguments.jobs) as pool:
        results = list(pool.map(lambda chunk: _run(*chunk, arguments.seed, folder), chunks))
    figures = _figures(shares, [record for records in results for record in records])
    figures |= {
        "seed": arguments.seed,
        "seconds": round(time.monotonic() - start),
        "python": platform.python_version(),
        "strace": bool(STRACE),
    }
    print(json.dumps(figures, indent=1))
    if arguments.output:
        arguments.output.write_text(json.dumps(figures, indent=1) + "\n")
    if figures["failures"]:
        print(f"Files of failed cases: {folder}", file=sys.stderr)
    else:
        shutil.rmtree(folder)
    return min(len(figures["failures"]), 99)


def _targets():
    sys.path.insert(0, str(HERE))
    from failing import FAILING
    from targets import TARGETS

    return TARGETS | FAILING


def _shares(chosen):
    targets = _targets()
    names = chosen or [name for name in targets if not name.startswith("fails_")]
    return {name: targets[name].share for name in names}


def _run(name, start, stop, seed, folder):
    from targets import WITH_TRIAL

    records = []
    while start < stop:
        records += (new := _run_process(name, start, stop, seed, folder, {}))
        cases = [record["case"] for record in new if record["case"] is not None]
        start = max(cases, default=stop) + 1
    if name == "model_used":
        # Repeat failed cases with the trial in a child process, which may refuse the file.
        for i, record in enumerate(records):
            if record["outcome"] == "failed" and record["case"] is not None:
                case = record["case"]
                (repeated,) = _run_process(name, case, case + 1, seed, folder, {WITH_TRIAL: "1"})
                records[i] = repeated | {"by_trial": repeated["outcome"] == "refused"}
    return records


def _run_process(name, start, stop, seed, parent, variables):
    records = []
    folder = Path(tempfile.mkdtemp(dir=parent))
    with (folder / "errors.txt").open("w+b") as errors:
        failure = _monitor(name, start, stop, seed, folder, errors, records, variables)
        errors.seek(0)
        output = errors.read().decode(errors="replace")[-3000:]
    if failure is not None:
        case, problem = failure
        failed = {"target": name, "case": case, "outcome": "failed", "seconds": 0.0}
        records.append(failed | {"problem": f"{problem}\n{output}"})
    for case, calls in _read_trace(folder).items():
        for record in records:
            if record["case"] == case and record["outcome"] != "failed":
                record |= {"outcome": "failed", "problem": f"in C, outside its folder: {calls[:5]}"}
    return records


def _read_trace(folder):
    """Return the system calls of each case that are not allowed."""
    from worker import ALLOWED

    calls = {}
    case = None
    trace = folder / "trace.txt"
    if not trace.exists():
        return calls
    own = rf"{re.escape(os.path.realpath(folder))}/case[/>\"]"
    inside = re.compile(rf'[<"](?:{own}|/dev/null|/dev/shm/|/proc/self/)|"case')
    with trace.open(errors="replace") as lines:
        for line in lines:
            if mark := re.search(r'"/fuzz/(?:case/(\d+)|end)"', line):
                case = int(mark[1]) if mark[1] else None
            elif case is None or (" = -1 " in line and "connect(" not in line):
                continue
            elif re.search(r"\bopen(?:at)?\(", line):
                if re.search(r"O_(?:WRONLY|RDWR|CREAT)", line) and not inside.search(line):
                    calls.setdefault(case, []).append(line.strip())
            elif re.search(r"\b(?:execve|connect|creat|mkdir|rename|unlink|link|symlink)", line):
                permitted = inside.search(line) or any(allowed in line for allowed in ALLOWED)
                if not permitted and "AF_UNIX" not in line and "resumed>" not in line:
                    calls.setdefault(case, []).append(line.strip())
    trace.unlink()
    return calls


_TRACED = (
    "open,openat,creat,mkdir,mkdirat,rename,renameat,renameat2,unlink,unlinkat,link,linkat,symlink,"
    "symlinkat,execve,connect"
)


def _monitor(name, start, stop, seed, folder, errors, records, variables):
    script, numbers = str(HERE / "worker.py"), map(str, (start, stop, seed))
    command = [sys.executable, script, name, *numbers, str(folder)]
    if STRACE:
        # -D: the worker stays a child of this process. --seccomp-bpf: only traced calls are slow.
        options = ("-f", "-qq", "-D", "--seccomp-bpf", "-s", "300", "-y", "-e", "signal=none")
        trace = str(folder / "trace.txt")
        command = [STRACE, *options, "-e", f"trace={_TRACED}", "-o", trace, *command]
    environment = os.environ | {
        "PYTHONDONTWRITEBYTECODE": "1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "OPENCV_LOG_LEVEL": "OFF",
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        **variables,
    }
    worker = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, env=environment)
    assert worker.stdout is not None
    seconds = _targets()[name].seconds
    case, since, used, limit = None, time.monotonic(), 0.0, _MAX_STARTUP_SECONDS
    pending, finished = b"", False
    try:
        while True:
            if select.select([worker.stdout], [], [], 0.5)[0]:
                piece = os.read(worker.stdout.fileno(), 1 << 16)
                if not piece:
                    break
                *lines, pending = (pending + piece).split(b"\n")
                for line in filter(None, lines):
                    event = json.loads(line)
                    since, used = time.monotonic(), _processor_seconds(worker.pid)
                    limit = MAX_SECONDS
                    if event["event"] == "case":
                        case = event["case"]
                    elif event["event"] == "done":
                        records.append({"target": name, **event})
                        finished = event["case"] == stop - 1
            elif finished:  # the shutdown of the process does not count for the last case
                continue
            elif case is not None and _processor_seconds(worker.pid) - used > seconds:
                return case, f"it takes more than {seconds:g} s"
            elif time.monotonic() - since > limit:
                return case, f"it takes more than {limit:g} s by the clock"
        status = worker.wait()
        return None if finished and status == 0 else (case, f"the process ended with {status}")
    finally:
        worker.kill()
        worker.wait()


def _processor_seconds(pid):
    with contextlib.suppress(OSError, IndexError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def _figures(shares, records):
    targets = {}
    for name in shares:
        cases = [record for record in records if record["target"] == name]
        outcomes = Counter(record["outcome"] for record in cases)
        targets[name] = {
            "cases": len(cases),
            **{outcome: outcomes[outcome] for outcome in ("refused", "accepted", "failed")},
            "refused_by_trial": sum(record.get("by_trial", False) for record in cases),
            "slowest_seconds": max((record["seconds"] for record in cases), default=0.0),
            "most_memory_mb": max((record.get("taken", 0) for record in cases), default=0),
        }
    failures = [
        {key: record[key] for key in ("target", "case", "problem")}
        for record in records
        if record["outcome"] == "failed"
    ]
    return {"cases": len(records), "targets": targets, "failures": failures}


if __name__ == "__main__":
    sys.exit(main())
