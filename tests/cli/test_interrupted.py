"""Commands that are interrupted by signals: no traceback and no incomplete files."""

import os
import re
import select
import signal
import subprocess
import sys

import pytest
from _videos import write_clip

from skfer.datasets import make_faces


@pytest.fixture
def run_interrupted(command, tmp_path):
    """A function that runs a command, sends a signal, and returns the files in `tmp_path / "out"`.

    The signal is sent when `has_begun`, called with the errors and the files, returns true.
    """
    folder = tmp_path / "out"
    folder.mkdir()

    def run(*arguments, has_begun, number=signal.SIGINT):
        # If the tests run as a background job, their children ignore signals.
        process = subprocess.Popen(
            command(*arguments),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
        )
        errors = ""
        while process.poll() is None and not has_begun(errors, list(folder.iterdir())):
            if select.select([process.stderr], [], [], 0.02)[0]:
                errors += os.read(process.stderr.fileno(), 4096).decode()
        process.send_signal(number)
        try:
            errors += process.communicate(timeout=60)[1].decode()
        finally:
            process.kill()  # if it has not ended
        assert process.returncode == 128 + number, errors
        assert errors.endswith("Interrupted.\n")
        assert "Traceback" not in errors
        return list(folder.iterdir())

    return run


@pytest.mark.parametrize("module", ["typing", "click", "skfer.recognition", "cv2"])
def test_interrupted_import(tmp_path, module):
    code = f"""
import signal, sys
class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            try:
                signal.raise_signal(signal.SIGINT)
            except KeyboardInterrupt as error:
                if name == "cv2":  # which raises ImportError instead
                    raise ImportError("initialization failed") from error
                raise
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.meta_path.insert(0, Interrupt())
from skfer.cli import main
main()
"""
    command = [sys.executable, "-c", code, "predict", str(tmp_path / "photo.jpg")]
    process = subprocess.run(command, capture_output=True, text=True)
    assert process.returncode == 130, process.stderr
    assert process.stderr in ("", "Interrupted.\n")


def test_interrupted_while_a_lock_is_taken(tmp_path):
    code = """
import signal, sys
from concurrent.futures import ThreadPoolExecutor
add_thread = ThreadPoolExecutor._adjust_thread_count
def interrupt(pool):
    if pool._threads:  # which wait for this lock
        pool._idle_semaphore._cond.acquire()
        signal.raise_signal(signal.SIGINT)
    add_thread(pool)
signal.signal(signal.SIGINT, signal.default_int_handler)
ThreadPoolExecutor._adjust_thread_count = interrupt
from skfer.cli import main
main()
"""
    photos = [str(tmp_path / "missing.jpg")] * 40
    command = [sys.executable, "-c", code, "predict", *photos]
    process = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert process.returncode == 130
    assert process.stderr == "Interrupted.\n"


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupted_video(run_interrupted, model, tmp_path, monkeypatch, number):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    scene = make_faces(1, scene=True, random_state=0).images[0]
    clip = write_clip(tmp_path / "long.mp4", [scene] * 300)
    folder = tmp_path / "out"
    files = run_interrupted(
        *("video", clip, "-m", model, "-o", folder / "d.mp4", "--csv", folder / "f.csv"),
        has_begun=lambda errors, files: len(files) == 2,
        number=number,
    )
    assert files == []
    assert not list((tmp_path / "temporary").iterdir())


@pytest.mark.slow
def test_interrupted_predict_and_train(run_interrupted, model, tmp_path, photo_files, class_folder):
    folder = tmp_path / "out"
    files = run_interrupted(
        *("predict", *photo_files * 100, "-m", model, "--progress"),
        *("-o", folder / "f.csv", "--annotate", folder / "annotated"),
        has_begun=lambda errors, files: re.search(r" [1-9]\d*/400 ", errors),
    )
    assert files == []
    files = run_interrupted(
        *("train", class_folder, "-o", folder / "m.joblib", "--epochs", 10_000),
        has_begun=lambda errors, files: "for 10000 epochs takes about" in errors,
    )
    assert files == []


@pytest.mark.slow
def test_interrupted_export(skfer, model, tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt  # after the file is written and before it is renamed

    monkeypatch.setattr("skfer.persistence._onnx._check", interrupt)
    output = tmp_path / "model.onnx"
    output.write_bytes(b"previous")
    before = set(tmp_path.iterdir())
    assert skfer("export", "--model", model, "--output", output).exit_code == 130
    assert set(tmp_path.iterdir()) == before
    assert output.read_bytes() == b"previous"
