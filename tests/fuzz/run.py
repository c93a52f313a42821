"""Give wrong files to everything that reads files, in processes that are watched.

    python tests/fuzz/run.py --cases 20000 --output benchmarks/results/fuzz.json

A case fails if it raises an undocumented error, takes more processor time than its target may (or
five minutes by the clock), takes more than 1.5 GB of memory or keeps 200 MB, leaves files or
threads behind, writes outside its folder, starts a program, opens a connection, or ends its
process. With strace, which is used if it is installed, that holds for C code too. Files of failed
cases are kept in the folder that is printed. The exit code is the number of failures, up to 99.
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
SECONDS_BY_CLOCK = 300.0
_START_UP = 300.0
_CHUNK = 1000


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--targets", nargs="*", help="names; all by default")
    parser.add_argument("--output", type=Path, help="a JSON file for the figures")
    given = parser.parse_args()
    began = time.monotonic()
    shares = _shares(given.targets)
    total = sum(shares.values())
    chunks = []
    for name, share in shares.items():
        cases = round(given.cases * share / total)
        chunks += [(name, at, min(at + _CHUNK, cases)) for at in range(0, cases, _CHUNK)]
    top = Path(tempfile.mkdtemp(prefix="skfer-fuzz-"))
    with ThreadPoolExecutor(given.jobs) as pool:
        results = list(pool.map(lambda chunk: _run(*chunk, given.seed, top), chunks))
    figures = _figures(shares, [record for records in results for record in records])
    figures |= {
        "seed": given.seed,
        "seconds": round(time.monotonic() - began),
        "python": platform.python_version(),
        "strace": bool(STRACE),
    }
    print(json.dumps(figures, indent=1))
    if given.output:
        given.output.write_text(json.dumps(figures, indent=1) + "\n")
    if figures["failures"]:
        print(f"Files of failed cases: {top}", file=sys.stderr)
    else:
        shutil.rmtree(top)
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


def _run(name, start, stop, seed, top):
    from targets import CAREFUL

    records = []
    while start < stop:
        records += (some := _one_process(name, start, stop, seed, top, {}))
        start = max((record["case"] for record in some if record["case"] is not None), default=stop)
        start += 1
    if name == "model_used":
        # The trial in a child process, which is left out at first, may refuse what failed.
        for place, record in enumerate(records):
            if record["outcome"] == "failed" and record["case"] is not None:
                case = record["case"]
                (again,) = _one_process(name, case, case + 1, seed, top, {CAREFUL: "1"})
                records[place] = again | {"by_trial": again["outcome"] == "refused"}
    return records


def _one_process(name, start, stop, seed, top, more):
    records = []
    folder = Path(tempfile.mkdtemp(dir=top))
    with (folder / "errors.txt").open("w+b") as errors:
        ended = _watch(name, start, stop, seed, folder, errors, records, more)
        errors.seek(0)
        told = errors.read().decode(errors="replace")[-3000:]
    if ended is not None:
        case, why = ended
        failed = {"target": name, "case": case, "outcome": "failed", "seconds": 0.0}
        records.append(failed | {"problem": f"{why}\n{told}"})
    for case, seen in _seen_by_strace(folder).items():
        for record in records:
            if record["case"] == case and record["outcome"] != "failed":
                record |= {"outcome": "failed", "problem": f"in C, outside its folder: {seen[:5]}"}
    return records


def _seen_by_strace(folder):
    from worker import ALLOWED

    seen = {}
    case = None
    trace = folder / "trace.txt"
    if not trace.exists():
        return seen
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
                    seen.setdefault(case, []).append(line.strip())
            elif re.search(r"\b(?:execve|connect|creat|mkdir|rename|unlink|link|symlink)", line):
                fine = inside.search(line) or any(allowed in line for allowed in ALLOWED)
                if not fine and "AF_UNIX" not in line and "resumed>" not in line:
                    seen.setdefault(case, []).append(line.strip())
    trace.unlink()
    return seen


_TRACED = (
    "open,openat,creat,mkdir,mkdirat,rename,renameat,renameat2,unlink,unlinkat,link,linkat,symlink,"
    "symlinkat,execve,connect"
)


def _watch(name, start, stop, seed, folder, errors, records, more):
    script, numbers = str(HERE / "worker.py"), map(str, (start, stop, seed))
    command = [sys.executable, script, name, *numbers, str(folder)]
    if STRACE:
        # -D: the worker stays the child of this process. --seccomp-bpf: only what is traced stops.
        options = ("-f", "-qq", "-D", "--seccomp-bpf", "-s", "300", "-y", "-e", "signal=none")
        trace = str(folder / "trace.txt")
        command = [STRACE, *options, "-e", f"trace={_TRACED}", "-o", trace, *command]
    environment = os.environ | {
        "PYTHONDONTWRITEBYTECODE": "1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "OPENCV_LOG_LEVEL": "OFF",
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        **more,
    }
    worker = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, env=environment)
    assert worker.stdout is not None
    seconds = _targets()[name].seconds
    case, since, used, limit = None, time.monotonic(), 0.0, _START_UP
    pending, finished = b"", False
    try:
        while True:
            if select.select([worker.stdout], [], [], 0.5)[0]:
                piece = os.read(worker.stdout.fileno(), 1 << 16)
                if not piece:
                    break
                *lines, pending = (pending + piece).split(b"\n")
                for line in filter(None, lines):
                    said = json.loads(line)
                    since, used = time.monotonic(), _processor_seconds(worker.pid)
                    limit = SECONDS_BY_CLOCK
                    if said["what"] == "case":
                        case = said["case"]
                    elif said["what"] == "done":
                        records.append({"target": name, **said})
                        finished = said["case"] == stop - 1
            elif finished:  # what a process does when it ends is no part of its last case
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
        own = [record for record in records if record["target"] == name]
        outcomes = Counter(record["outcome"] for record in own)
        targets[name] = {
            "cases": len(own),
            **{outcome: outcomes[outcome] for outcome in ("refused", "answered", "failed")},
            "refused_by_trial": sum(record.get("by_trial", False) for record in own),
            "slowest_seconds": max((record["seconds"] for record in own), default=0.0),
            "most_memory_mb": max((record.get("taken", 0) for record in own), default=0),
        }
    failures = [
        {key: record[key] for key in ("target", "case", "problem")}
        for record in records
        if record["outcome"] == "failed"
    ]
    return {"cases": len(records), "targets": targets, "failures": failures}


if __name__ == "__main__":
    sys.exit(main())
