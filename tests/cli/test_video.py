from __future__ import annotations

import itertools
import json
import sys
from types import SimpleNamespace

import cv2
import pandas as pd
import pytest
from _videos import copy_packets, truncate, write_clip, write_moving_square

from skfer.datasets import make_faces


def test_outputs(skfer, model, talk, tmp_path):
    output, rows, timeline = (
        tmp_path / "annotated.mp4",
        tmp_path / "faces.csv",
        tmp_path / "time.png",
    )
    result = skfer(
        *("video", talk, "--model", model, "--output", output),
        *("--csv", rows, "--timeline", timeline, "--every", 2, "--json", "--progress"),
    )
    assert result.exit_code == 0, result.stderr
    summary = json.loads(result.stdout)
    assert (summary["frames"], summary["frames_without_a_face"]) == (8, 2)
    assert sum(summary["faces"][0]["expressions"].values()) == 6
    assert pd.read_csv(rows)["frame"].unique().tolist() == list(range(8))
    assert cv2.imread(str(timeline)) is not None
    assert output.stat().st_size > 0
    assert "8/8" in result.stderr


@pytest.mark.parametrize("name", ["time", "time.txt"])
def test_type_of_a_timeline(skfer, talk, tmp_path, name):
    result = skfer("video", talk, "--timeline", tmp_path / name, "--model", "none")
    assert result.exit_code == 2
    assert "must end in .png, .svg or .pdf" in result.stderr  # before the model is loaded


def test_rows(skfer, model, talk, tmp_path):
    result = skfer("video", talk, "--model", model)
    assert result.exit_code == 0, result.stderr
    header, *rows = result.stdout.splitlines()
    assert header.startswith("frame,timestamp,face_id,")
    assert len(rows) == 8
    assert "8 frames" in result.stderr
    scene = make_faces(1, scene=True, random_state=0).images[0]
    result = skfer("video", write_clip(tmp_path / "un été.mp4", [scene]), "--model", model)
    assert result.exit_code == 0, result.stderr
    assert len(result.stdout.splitlines()) == 2
    assert result.stderr.endswith("1 frame, 0.0 s, 1 face.\n")


def test_truncated_and_trimmed_videos(skfer, model, tmp_path):
    # Each frame has a different scene, so that half of the bytes has about half of the frames.
    scenes = list(make_faces(30, scene=(96, 128), random_state=0).images)
    clip = write_clip(tmp_path / "cut.mkv", scenes)
    result = skfer("video", truncate(clip, clip, 0.5), "--model", model, "--json")
    assert result.exit_code == 3
    assert "is truncated after frame" in result.stderr
    assert json.loads(result.stdout)["frames"] < 30
    trimmed = copy_packets(
        write_moving_square(tmp_path / "a.mp4"), tmp_path / "trimmed.mp4", earlier=1.5
    )
    result = skfer("video", trimmed, "--model", model, "--json")
    assert (result.exit_code, json.loads(result.stdout)["frames"]) == (0, 62), result.stderr
    assert "is truncated" not in result.stderr


def test_webcam_without_a_window(skfer, model, monkeypatch):
    scene = make_faces(1, scene=True, random_state=0).images[0]

    class Camera:
        def __init__(self, index):
            self.n_frames = 5

        def isOpened(self):  # noqa: N802 - OpenCV's name
            return True

        def get(self, name):
            return 30.0

        def read(self):
            self.n_frames -= 1
            return self.n_frames >= 0, scene

        def release(self):
            pass

    # A fixed clock, since tracks end after seconds and the machine may be slow.
    clock = itertools.count(0, 0.2)
    monkeypatch.setattr(
        "skfer.video._follow_faces.time", SimpleNamespace(monotonic=lambda: next(clock))
    )
    monkeypatch.setattr(cv2, "VideoCapture", Camera)
    result = skfer("webcam", "--no-window", "--model", model)
    assert result.exit_code == 0, result.stderr
    (line,) = result.stdout.splitlines()
    assert line.startswith("0.40 s: face 1: ")


def test_webcam_without_a_screen(skfer, model, monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    result = skfer("webcam", "--model", model)
    assert result.exit_code == 2
    assert "--no-window" in result.stderr


def test_region(skfer, model, talk):
    for options, missing in ((), 2), (("--region", "0,0,0.05,0.05"), 8):
        result = skfer("video", talk, "--model", model, "--json", *options)
        assert result.exit_code == 0, result.stderr
        assert json.loads(result.stdout)["frames_without_a_face"] == missing
    for command in ("video", "predict"):
        result = skfer(command, talk, "--model", model, "--region", "0,0,x,1")
        assert result.exit_code == 2
        assert "four numbers, (left, top, right, bottom)" in " ".join(result.stderr.split())
