"""Signals end each command quietly and without incomplete files."""

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
def interrupted(command, tmp_path):
    """Run a command that writes to a folder, send a signal, and return the files in the folder."""
    folder = tmp_path / "out"
    folder.mkdir()

    def run(*arguments, begun, number=signal.SIGINT):
        # Background jobs of a shell, such as tests, ignore signals, and so do their children.
        process = subprocess.Popen(
            command(*arguments),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
        )
        errors = ""
        while process.poll() is None and not begun(errors, list(folder.iterdir())):
            if select.select([process.stderr], [], [], 0.02)[0]:
                errors += os.read(process.stderr.fileno(), 4096).decode()
        process.send_signal(number)
        errors += process.communicate()[1].decode()
        assert process.returncode == 128 + number, errors
        assert errors.endswith("Interrupted.\n")
        assert "Traceback" not in errors
        return list(folder.iterdir())

    return run


@pytest.mark.parametrize("module", ["typing", "click", "skfer.recognition", "cv2"])
def test_ctrl_c_during_an_import_is_quiet(tmp_path, module):
    """The import of a module is interrupted, in one case within an ImportError."""
    code = f"""
import signal, sys
class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            try:
                signal.raise_signal(signal.SIGINT)
            except KeyboardInterrupt as error:
                if name == "cv2":
                    raise ImportError("initialization failed") from error
                raise
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.meta_path.insert(0, Interrupt())
from skfer.cli import main
main()
"""
    command = [sys.executable, "-c", code, "predict", str(tmp_path / "photo.jpg")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 130, done.stderr
    assert done.stderr in ("", "Interrupted.\n")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_no_incomplete_video(interrupted, model, tmp_path, monkeypatch, number):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    scene = make_faces(1, scene=True, random_state=0).images[0]
    clip = write_clip(tmp_path / "long.mp4", [scene] * 300)
    folder = tmp_path / "out"
    left = interrupted(
        *("video", clip, "-m", model, "-o", folder / "d.mp4", "--csv", folder / "f.csv"),
        begun=lambda errors, files: len(files) == 2,
        number=number,
    )
    assert left == []
    assert not list((tmp_path / "temporary").iterdir())


@pytest.mark.slow
def test_ctrl_c_leaves_no_incomplete_table_or_model(
    interrupted, model, tmp_path, photo_files, class_folder
):
    folder = tmp_path / "out"
    left = interrupted(
        *("predict", *photo_files * 100, "-m", model, "--progress"),
        *("-o", folder / "f.csv", "--annotate", folder / "drawn"),
        begun=lambda errors, files: re.search(r" [1-9]\d*/400 ", errors),
    )
    assert left == []
    left = interrupted(
        *("train", class_folder, "-o", folder / "m.joblib", "--epochs", 10_000),
        begun=lambda errors, files: "for 10000 epochs takes about" in errors,
    )
    assert left == []


@pytest.mark.slow
def test_an_interrupted_export_leaves_the_older_file(skfer, model, tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt  # after the file is written, before it is renamed

    monkeypatch.setattr("skfer.persistence._onnx._check", interrupt)
    output = tmp_path / "model.onnx"
    output.write_bytes(b"an older one")
    before = set(tmp_path.iterdir())
    assert skfer("export", "--model", model, "--output", output).exit_code == 130
    assert set(tmp_path.iterdir()) == before
    assert output.read_bytes() == b"an older one"
