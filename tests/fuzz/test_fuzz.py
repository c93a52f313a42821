"""A short sample of `make fuzz`, and what it is made of."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import skfer
from skfer._image_limits import refuse_bombs
from skfer._image_size import image_size
from skfer._images import read_image
from skfer._jpeg import jpeg_defect
from skfer._rare_image_size import rare_image_size

HERE = Path(__file__).resolve().parent
BEGINNINGS = (
    *(b"\xff\xd8\xff", b"\xff\xd8\xff\xc0\x00\x11\x08", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"),
    *(
        b"RIFF\0\0\0\0WEBPVP8 ",
        b"RIFF\0\0\0\0WEBPVP8X",
        b"BM",
        b"II*\0\x08\0\0\0",
        b"MM\0*\0\0\0\x08",
    ),
    *(b"GIF89a", b"P5\n1 ", b"P6\n#", b"P7\nWIDTH 5\n", b"\0\0\0\x20ftypavif\0\0\0\0ispe"),
)


@pytest.mark.timeout(280)
def test_a_sample_of_wrong_files_is_refused_or_answered(tmp_path):
    figures = tmp_path / "fuzz.json"
    command = [sys.executable, HERE / "run.py", "--cases", "400", "--jobs", "2", "--seed", "1"]
    targets = ["--targets", "image", "table", "model", "video"]
    done = subprocess.run(
        [*map(str, command), *targets, "--output", str(figures)],
        capture_output=True,
        text=True,
        check=False,
    )
    told = json.loads(figures.read_text())
    assert told["failures"] == [], done.stderr
    assert told["cases"] == pytest.approx(400, abs=3)
    assert told["targets"]["image"]["refused"] > 0
    assert told["targets"]["image"]["answered"] > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("function", "why"),
    [
        ("raise KeyError", "KeyError"),
        ("import os; os.abort()", "the process ended with -6"),
        ("open(folder.parent / 'escaped', 'w')", "outside its folder: ['writes "),
        ("import os; os.system('true')", 'outside its folder: ["os.system'),
        ("while True: pass", "it takes more than 5 s"),
        ("bytearray(2_000_000_000)[::4096] = bytes(488282)", "MB of memory"),
    ],
)
def test_the_watch_sees_what_it_is_for(function, why, tmp_path):
    """Each kind of failure, made on purpose in a target of its own."""
    code = f"""
import sys
sys.path.insert(0, {str(HERE)!r})
import run, targets
if __name__ == "__main__":
    sys.argv = ["run.py", "--cases", "1", "--jobs", "1", "--output", "figures.json"]
    run.HERE = run.Path(".").resolve()
    sys.exit(run.main())
"""
    worker = f"""
import sys
sys.path.insert(0, {str(HERE)!r})
import targets, worker
def run(data, name, folder):
    if data != b"right":
        {function}
change = lambda data, rng, others: b"wrong"
targets.TARGETS.clear()
targets.TARGETS["image"] = targets.Target(lambda folder: {{"a": b"right"}}, run, change, 1.0)
worker.main()
"""
    (tmp_path / "parent.py").write_text(code)
    (tmp_path / "worker.py").write_text(worker.replace("import targets, worker", _IMPORTS))
    (tmp_path / "targets.py").write_text(
        f"import sys; sys.path.insert(0, {str(HERE)!r})\n"
        "class Target:\n    share = 1.0\nTARGETS = {'image': Target}\n"
    )
    command = [sys.executable, str(tmp_path / "parent.py")]
    subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    (failure,) = json.loads((tmp_path / "figures.json").read_text())["failures"]
    assert why in failure["problem"]
    assert failure["case"] == 0


# The worker of this test is called as the real one is, which it imports under another name.
_IMPORTS = f"""
import importlib.util
def imported(name):
    spec = importlib.util.spec_from_file_location(name, {str(HERE)!r} + f"/{{name}}.py")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
targets = imported("targets")
worker = imported("worker")
"""


@given(st.sampled_from(BEGINNINGS), st.binary(max_size=80))
@example(b"\xff\xd8\xff", b"\xff" * 50)
def test_headers_are_read_or_refused_by_a_value_error(beginning, rest):
    for read in (image_size, rare_image_size):
        with contextlib.suppress(ValueError):
            size = read(beginning + rest)
            assert size is None or min(size) > 0
    jpeg_defect(beginning + rest)
    with contextlib.suppress(ValueError):
        refuse_bombs(beginning + rest, "X[0]")


@given(st.sampled_from(BEGINNINGS), st.binary(max_size=200))
def test_what_follows_a_header_is_decoded_or_refused(beginning, rest):
    with contextlib.suppress(ValueError):
        assert read_image(beginning + rest, 0).size


@given(st.binary(max_size=200))
@settings(max_examples=50)
def test_no_bytes_are_a_model(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("junk") / "a.skfer"
    path.write_bytes(b"PK\x03\x04" + bytes(26) + b"skfer.json" + content)
    with pytest.raises(ValueError, match=r"a\.skfer"):
        skfer.load(path)
