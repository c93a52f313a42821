import contextlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import skfer
from skfer._images._batch import read_image
from skfer._images._decoding import jpeg_defect, open_image

HERE = Path(__file__).resolve().parent
STRACE = pytest.mark.skipif(not shutil.which("strace"), reason="needs strace")
SIGNATURES = (
    *(b"\xff\xd8\xff", b"\xff\xd8\xff\xc0\x00\x11\x08", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"),
    *(b"RIFF\0\0\0\0WEBPVP8 ", b"RIFF\0\0\0\0WEBPVP8X", b"BM"),
    *(b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08"),
    *(b"GIF89a", b"P5\n1 ", b"P6\n#", b"P7\nWIDTH 5\n", b"\0\0\0\x20ftypavif\0\0\0\0ispe"),
)


def run(folder, *arguments):
    figures = folder / "figures.json"
    command = [sys.executable, HERE / "run.py", "--output", figures, *arguments]
    environment = os.environ | {"TMPDIR": str(folder)}
    subprocess.run(list(map(str, command)), env=environment, capture_output=True, check=False)
    return json.loads(figures.read_text())


@pytest.mark.slow
def test_sample_of_changed_files(tmp_path):
    targets = ["--targets", "image", "table", "cache"]
    figures = run(tmp_path, "--cases", "400", "--jobs", "2", "--seed", "1", *targets)
    assert figures["failures"] == []
    assert figures["cases"] == pytest.approx(400, abs=3)
    assert figures["targets"]["image"]["refused"] > 0
    assert figures["targets"]["image"]["accepted"] > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("target", "problem"),
    [
        ("fails_raise", "KeyError: 'unexpected'"),
        ("fails_abort", "the process ended with -6"),
        ("fails_exit", "the process ended with 0"),
        ("fails_escape", "outside its folder: ['writes "),
        ("fails_program", 'outside its folder: ["os.system'),
        ("fails_hang", "it takes more than "),
        ("fails_memory", "it takes "),
        ("fails_leak", "it keeps "),
        ("fails_file", "it leaves files open: ["),
        ("fails_threads", "it leaves 20 threads"),
        ("fails_temporary", "it leaves temporary files: ["),
        pytest.param("fails_escape_in_c", "in C, outside its folder: [", marks=STRACE),
        pytest.param("fails_program_in_c", "in C, outside its folder: [", marks=STRACE),
        pytest.param("fails_connect_in_c", "in C, outside its folder: [", marks=STRACE),
    ],
)
def test_planted_faults(target, problem, tmp_path):
    figures = run(tmp_path, "--cases", "1", "--targets", target)
    (failure,) = figures["failures"]
    assert problem in failure["problem"]
    assert failure["case"] == 0


@pytest.mark.slow
def test_slow_leak(tmp_path):
    figures = run(tmp_path, "--cases", "12", "--targets", "fails_slow_leak")
    assert "MB of memory together" in figures["failures"][0]["problem"]


@given(st.sampled_from(SIGNATURES), st.binary(max_size=80))
@example(b"\xff\xd8\xff", b"\xff" * 50)
def test_errors_of_headers(signature, rest):
    jpeg_defect(signature + rest)
    with contextlib.suppress(ValueError):
        assert min(open_image(signature + rest, "X[0]").size) > 0


@given(st.sampled_from(SIGNATURES), st.binary(max_size=200))
def test_errors_of_content(signature, rest):
    with contextlib.suppress(ValueError):
        assert read_image(signature + rest, 0).size


@given(st.binary(max_size=200))
@settings(max_examples=50, deadline=None)  # the first imports Keras
def test_random_bytes(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("models") / "a.skfer"
    path.write_bytes(b"PK\x03\x04" + bytes(26) + b"skfer.json" + content)
    with pytest.raises(ValueError, match=r"a\.skfer"):
        skfer.load(path)
