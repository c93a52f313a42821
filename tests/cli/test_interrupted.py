"""Ctrl-C leaves no file half-written, whatever the command."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess

import pytest
from _videos import write_clip

from skfer.datasets import make_faces


@pytest.fixture
def interrupted(command, tmp_path):
    """Runs a command whose files go to a folder, and interrupts it when it has come so far."""
    folder = tmp_path / "out"
    folder.mkdir()

    def run(*arguments, begun, number=signal.SIGINT):
        # A test run in the background may ignore signals, which children inherit.
        process = subprocess.Popen(
            command(*arguments),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
        )
        said = ""
        while process.poll() is None and not begun(said, list(folder.iterdir())):
            if select.select([process.stderr], [], [], 0.02)[0]:
                said += os.read(process.stderr.fileno(), 4096).decode()
        process.send_signal(number)
        said += process.communicate()[1].decode()
        assert process.returncode == 128 + number, said
        assert "Interrupted." in said
        return list(folder.iterdir())

    return run


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_no_half_of_a_video(interrupted, model, tmp_path, monkeypatch, number):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    scene = make_faces(1, scene=True, random_state=0).images[0]
    clip = write_clip(tmp_path / "long.mp4", [scene] * 300)
    folder = tmp_path / "out"
    left = interrupted(
        *("video", clip, "-m", model, "-o", folder / "d.mp4", "--csv", folder / "f.csv"),
        begun=lambda said, files: len(files) == 2,
        number=number,
    )
    assert left == []
    assert not list((tmp_path / "temporary").iterdir())


@pytest.mark.slow
def test_ctrl_c_leaves_no_half_of_a_table(interrupted, model, tmp_path, photo_files):
    folder = tmp_path / "out"
    left = interrupted(
        *("predict", *photo_files * 100, "-m", model, "--progress"),
        *("-o", folder / "f.csv", "--annotate", folder / "drawn"),
        begun=lambda said, files: re.search(r" [1-9]\d*/400 ", said),
    )
    assert left == []


@pytest.mark.slow
def test_ctrl_c_leaves_no_half_of_a_model(interrupted, tmp_path, class_folder):
    folder = tmp_path / "out"
    left = interrupted(
        *("train", class_folder, "-o", folder / "m.joblib", "--epochs", 10_000),
        begun=lambda said, files: "for 10000 epochs takes about" in said,
    )
    assert left == []


@pytest.mark.slow
def test_an_export_that_is_interrupted_leaves_nothing(skfer, model, tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt  # the file is written, and is looked at before it takes its place

    monkeypatch.setattr("skfer.persistence._onnx._check", interrupt)
    output = tmp_path / "model.onnx"
    output.write_bytes(b"an older one")
    before = set(tmp_path.iterdir())
    assert skfer("export", "--model", model, "--output", output).exit_code == 130
    assert set(tmp_path.iterdir()) == before
    assert output.read_bytes() == b"an older one"
