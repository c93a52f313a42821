from __future__ import annotations

import struct

import av
import cv2
import numpy as np
import pandas as pd
import pytest
from _videos import BrightSquares, encode, picture, truncate, write_clip

from skfer import recognize
from skfer.detection import YuNetDetector
from skfer.video import (
    FollowedFace,
    VideoFrame,
    VideoReport,
    WorkLimits,
    follow_faces,
    recognize_video,
)
from skfer.video._face_tables import frame_rows, row_writer

CLASSES = ["happy", "sad", "surprise"]


def test_table(crossing, reader):
    report = recognize_video(crossing, reader)
    table = report.faces
    assert table.columns.tolist() == [
        *("frame", "timestamp", "face_id", "x", "y", "width", "height", "confidence"),
        *("detected", "expression", "probability", *CLASSES),
    ]
    assert table["frame"].unique().tolist() == list(range(30))
    assert (report.n_frames, report.n_faces, report.problem) == (30, 2, None)
    np.testing.assert_allclose(table["timestamp"], table["frame"] / 25)
    upper = table[(table["y"] < 40).fillna(False)]
    assert upper["face_id"].nunique() == 1
    assert upper["x"].tolist() == pytest.approx([4 + 4 * step for step in range(25)], abs=1)
    empty = table[table["frame"] >= 25]
    assert len(empty) == 5
    assert empty[["face_id", "expression", *CLASSES]].isna().all(axis=None)
    assert not empty["detected"].any()


def test_smoothing(crossing, reader):
    pictures = [frame.picture for frame in follow_faces(crossing, reader)]
    expected = recognize(pictures, reader)
    table = recognize_video(crossing, reader, smoothing=0).faces
    keys = ["x", "y", "width", "height"]
    np.testing.assert_allclose(
        table.sort_values(["frame", *keys])[CLASSES].astype(float),
        expected.sort_values(["image", *keys])[CLASSES].astype(float),
        atol=1e-4,
    )
    smooth = recognize_video(crossing, reader, smoothing=1.0).faces
    changes = [t.groupby("face_id")[CLASSES].diff().abs().mean().sum() for t in (smooth, table)]
    assert changes[0] < 0.5 * changes[1]


def test_tables_in_files(crossing, reader, tmp_path):
    expected = recognize_video(crossing, reader).faces
    for name in ("rows.csv", "rows.parquet"):
        report = recognize_video(crossing, reader, csv=tmp_path / name)
        pd.testing.assert_frame_equal(report.faces, expected)


@pytest.mark.parametrize("name", [None, "rows.csv", "rows.parquet"])
@pytest.mark.parametrize(
    "classes", [["0", "01"], ["None", "1.0"], [0, 1], [0.5, 1.5], [False, True]]
)
def test_labels_in_files(classes, name, tmp_path):
    blank, probabilities = np.zeros((9, 9, 3), np.uint8), np.array([0.1, 0.9])
    faces = [[FollowedFace(1, (1, 2, 3, 4), 0.9, name, probabilities)] for name in classes]
    rows = [
        row
        for index, found in enumerate([faces[0], [], faces[1]])
        for row in frame_rows(VideoFrame(index, index / 10, blank, found, classes))
    ]
    report = VideoReport(n_frames=3, classes=classes, _rows=rows)
    if name is not None:
        report.csv = tmp_path / name
        writer = row_writer(report.csv, classes)
        writer.write(rows)
        writer.close()
    assert report.faces["expression"].isna().tolist() == [False, True, False]
    labels = report.faces["expression"].dropna().tolist()
    assert labels == classes
    assert [type(label) for label in labels] == [type(label) for label in classes]


def test_annotated_video(crossing, reader, tmp_path):
    output = tmp_path / "annotated.mp4"
    recognize_video(crossing, reader, output=output)
    content = output.read_bytes()
    assert 0 < content.find(b"moov") < content.find(b"mdat")
    with av.open(str(output)) as file:
        stream = file.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
        frames = [frame.to_ndarray(format="rgb24") for frame in file.decode(stream)]
    assert len(frames) == 30
    with_faces, without = frames[10], frames[28]
    # Boxes and labels are drawn in frames with faces only.
    assert np.abs(with_faces.astype(int) - picture((44, 4), (80, 56))).max() > 100
    assert np.abs(without.astype(int) - picture()).max() < 30


def test_bars_are_optional(crossing, reader, tmp_path):
    drawn = {}
    for bars in (True, False):
        drawn[bars] = []
        recognize_video(
            crossing,
            reader,
            output=tmp_path / "annotated.mp4",
            bars=bars,
            max_seconds=0.4,
            on_frame=lambda frame, image, images=drawn[bars]: images.append(image.copy()),
        )
    assert len(drawn[True]) == len(drawn[False]) > 0
    assert (np.stack(drawn[True]) != np.stack(drawn[False])).any()


def test_limits_decode_in_a_child_process(crossing, reader, monkeypatch):
    expected = recognize_video(crossing, reader).faces
    # The child process imports its own av.
    monkeypatch.setattr(av, "open", lambda *_, **__: pytest.fail("decoded in this process"))
    limits = WorkLimits(memory=600_000_000)
    report = recognize_video(crossing, reader, limits=limits)
    assert report.problem is None
    pd.testing.assert_frame_equal(report.faces, expected)
    assert len(list(follow_faces(crossing, reader, limits=limits))) == 30
    with pytest.raises(ValueError, match=r"more than 0\.001 seconds"):
        recognize_video(crossing, reader, limits=WorkLimits(memory=600_000_000, seconds=0.001))


def test_odd_sizes(tmp_path, reader):
    pictures = [picture((20, 20), size=(97, 161))] * 3
    clip = encode(tmp_path / "odd.mkv", pictures, codec="mpeg4")
    output = tmp_path / "even.mp4"
    recognize_video(clip, reader, output=output)
    with av.open(str(output)) as file:
        stream = file.streams.video[0]
        assert (stream.width, stream.height, stream.frames) == (160, 96, 3)


@pytest.mark.parametrize("gap", [0, 7 * 3600, 1e9])
def test_variable_frame_rate(tmp_path, reader, gap):
    times = [0, 0.02, 0.3, 0.34, gap + 1.5, gap + 2.0]
    clip = write_clip(tmp_path / "vfr.mkv", [picture((20, 20))] * 6, times)
    output = tmp_path / "annotated.mp4"
    report = recognize_video(clip, reader, output=output)
    assert report.faces["timestamp"].tolist() == pytest.approx(times, abs=1e-3)
    if gap:  # a copy has gaps of at most six hours
        times[4:] = [6 * 3600 + 0.34, 6 * 3600 + 0.84]
    with av.open(str(output)) as file:
        written = [frame.time for frame in file.decode(video=0)]
    assert np.subtract(written, written[0]).tolist() == pytest.approx(times, abs=1e-3)


@pytest.mark.parametrize(("degrees", "cos", "sin"), [(90, 0, 1), (180, -1, 0), (270, 0, -1)])
def test_rotation(tmp_path, reader, degrees, cos, sin):
    clip = write_clip(tmp_path / "rotated.mp4", [picture((8, 20))] * 3)
    content = bytearray(clip.read_bytes())
    offset = content.index(b"tkhd") + 4 + 40
    matrix = [cos, sin, 0, -sin, cos, 0, 0, 0, 2**14]
    content[offset : offset + 36] = struct.pack(">9i", *(value * 2**16 for value in matrix))
    clip.write_bytes(content)

    frame = next(follow_faces(clip, reader))
    upright = np.rot90(picture((8, 20)), -degrees // 90)  # clockwise, as in players
    assert frame.picture.shape == upright.shape
    assert np.abs(frame.picture.astype(int) - upright).max() < 60
    (face,) = frame.faces
    y, x = np.argwhere(upright[..., 0] > 150).min(axis=0)
    assert face.box[:2] == pytest.approx((x, y), abs=1)


def test_every(crossing, reader):
    table = recognize_video(crossing, reader, every=3).faces
    assert BrightSquares.calls == 10
    assert table["frame"].unique().tolist() == list(range(30))
    searched = table["frame"] % 3 == 0
    found = table["expression"].notna()
    assert (table["detected"] == (searched & found)).all()
    assert table["face_id"].nunique() == 2
    first = table[(table["face_id"] == 1) & (table["frame"] < 3)]
    assert first["x"].nunique() == 1
    assert first["happy"].nunique() == 1


class NearSquares(BrightSquares):
    """Detector that also searches near known faces and counts both searches."""

    def __init__(self):
        self.near = []

    def detect_near(self, image, boxes):
        self.near.append(np.asarray(boxes).tolist())
        left, top = boxes[:, :2].min(axis=0) - 20
        seen = np.zeros_like(image)
        part = np.s_[max(0, top) : (boxes[:, 1::2].sum(axis=1) + 20).max(), max(0, left) :]
        seen[part] = image[part]
        faces = BrightSquares().detect(seen)
        BrightSquares.calls -= 1
        return faces


@pytest.mark.usefixtures("squares")
def test_frames_between_complete_searches(crossing, fitted_pipeline):
    expected = recognize_video(crossing, fitted_pipeline, detector=BrightSquares()).faces
    BrightSquares.calls = 0
    detector = NearSquares()
    table = recognize_video(crossing, fitted_pipeline, detector=detector).faces
    pd.testing.assert_frame_equal(table, expected)
    # At 25 frames a second, every fifth of 25 frames and all of the 5 without a face.
    assert (len(detector.near), NearSquares.calls) == (24, 10)
    region = (0, 0, 160, 96)
    cut = recognize_video(crossing, fitted_pipeline, detector=NearSquares(), region=region).faces
    pd.testing.assert_frame_equal(cut, expected)


@pytest.mark.usefixtures("squares")
def test_face_that_appears_between_searches(tmp_path, fitted_pipeline):
    pictures = [picture()] * 3 + [picture((20, 4))] * 4 + [picture((20, 4), (110, 60))] * 20
    clip = write_clip(tmp_path / "two.mp4", pictures)
    table = recognize_video(clip, fitted_pipeline, detector=NearSquares()).faces
    first = table.dropna(subset="face_id").groupby("face_id")["frame"].min()
    # The first face is found at once, the second by the next complete search.
    assert first[1] == 3
    assert 7 <= first[2] <= 12


@pytest.fixture(scope="module")
def noisy():
    """Pictures with noise, whose video is large enough to be truncated."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 120, (40, 96, 160, 3), dtype=np.uint8)
    return list(np.maximum(picture((20, 20)), noise))


@pytest.mark.parametrize(
    ("name", "options"), [("cut.mp4", {"movflags": "+faststart"}), ("cut.mkv", None)]
)
def test_truncated_files(tmp_path, reader, noisy, name, options):
    clip = write_clip(tmp_path / name, noisy, options=options)
    truncate(clip, clip, 0.5)
    output = tmp_path / "annotated.mp4"
    pattern = r"cut\.m.* is truncated after frame \d+ \(\d\.\d+ s\)"
    with pytest.warns(UserWarning, match=pattern):
        report = recognize_video(clip, reader, output=output)
    assert 5 < report.n_frames < 35
    assert f"after frame {report.n_frames - 1} " in report.problem
    assert report.faces["face_id"].notna().all()
    with av.open(str(output)) as file:
        assert file.streams.video[0].frames == report.n_frames


def test_damaged_file(tmp_path, reader, noisy):
    clip = write_clip(tmp_path / "damaged.mp4", noisy, options={"movflags": "+faststart"})
    content = bytearray(clip.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 3000] = bytes(3000)
    clip.write_bytes(content)
    with pytest.warns(UserWarning, match="is truncated|is damaged"):
        report = recognize_video(clip, reader)
    assert report.seconds > 1.4


def test_other_files(tmp_path, reader, crossing):
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "photo.mp4").write_bytes(b"\0\0\0\x18ftypheic" + bytes(100))
    content = crossing.read_bytes()
    (tmp_path / "headless.mp4").write_bytes(content[: content.index(b"moov") - 4])
    with av.open(str(tmp_path / "sound.wav"), "w") as file:
        stream = file.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), layout="mono")
        frame.sample_rate = 8000
        file.mux(stream.encode(frame))
    for name, problem in {
        "text.mp4": "it is not a video",
        "empty.mp4": "the file is empty",
        "headless.mp4": "moov.* is missing",
        "sound.wav": "it is not a video",
        "photo.mp4": r"it is a photo \(HEIC\)",
        "missing.mp4": "No such file",
        "/dev/zero": "it is a device",
        "": "Is a directory",
    }.items():
        with pytest.raises(ValueError, match=problem):
            recognize_video(tmp_path / name, reader, output=tmp_path / "annotated.mp4")
    with pytest.raises(ValueError, match=r"'concat:text\.mp4' can't be opened"):
        recognize_video("concat:text.mp4", reader)
    assert not list(tmp_path.glob("*annotated*"))


def test_interruption(crossing, reader, tmp_path):
    rows = tmp_path / "rows.csv"
    rows.write_text("previous rows")
    before = set(tmp_path.iterdir())

    def interrupt(frame, drawn):
        if frame.index == 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        recognize_video(
            crossing, reader, output=tmp_path / "annotated.mp4", csv=rows, on_frame=interrupt
        )
    assert set(tmp_path.iterdir()) == before
    assert rows.read_text() == "previous rows"


def test_max_seconds(crossing, reader):
    assert recognize_video(crossing, reader, max_seconds=0.2).n_frames == 5


def test_on_frame_ends_the_video(crossing, reader):
    report = recognize_video(crossing, reader, on_frame=lambda frame, drawn: frame.index < 9)
    assert report.n_frames == 10


def test_progress(crossing, reader, capsys):
    recognize_video(crossing, reader, progress=True)
    captured = capsys.readouterr()
    assert "30/30" in captured.err
    assert captured.out == ""


@pytest.mark.parametrize(
    ("name", "value"),
    [("every", 0), ("smoothing", -1), ("csv", "rows.txt"), ("output", "a.avi"), ("max_seconds", 0)],
)
def test_invalid_parameters(crossing, reader, name, value):
    with pytest.raises(ValueError, match=name):
        recognize_video(crossing, reader, **{name: value})


def test_output_is_not_the_video_itself(crossing, reader):
    before = crossing.read_bytes()
    with pytest.raises(ValueError, match="is the video itself"):
        recognize_video(crossing, reader, output=crossing)
    assert crossing.read_bytes() == before


@pytest.fixture
def camera(monkeypatch):
    """Camera 0, which sends 7 pictures before Ctrl-C is pressed."""

    class Camera:
        def __init__(self, index):
            self.index, self.count = index, 0

        def isOpened(self):  # noqa: N802 - name of OpenCV
            return self.index == 0

        def get(self, name):
            return 0.0

        def read(self):
            self.count += 1
            if self.count == 8:
                raise KeyboardInterrupt
            return True, cv2.cvtColor(picture((20, 20)), cv2.COLOR_RGB2BGR)

        def release(self):
            pass

    monkeypatch.setattr(cv2, "VideoCapture", Camera)
    return Camera


@pytest.mark.usefixtures("camera")
def test_ctrl_c(reader, tmp_path):
    files = {"output": tmp_path / "me.mp4", "csv": tmp_path / "me.csv"}
    report = recognize_video(0, reader, **files, min_duration=0)
    assert (report.n_frames, report.n_faces) == (7, 1)
    assert report.faces["timestamp"].is_monotonic_increasing
    with av.open(str(tmp_path / "me.mp4")) as file:
        assert file.streams.video[0].frames == 7


def test_camera_errors(camera, monkeypatch, reader, tmp_path):
    with pytest.raises(OSError, match="Camera 1 can't be opened"):
        recognize_video(1, reader)
    monkeypatch.setattr(camera, "read", lambda self: (False, None))
    with pytest.raises(OSError, match="Camera 0 is open but sends no image"):
        recognize_video(0, reader, output=tmp_path / "me.mp4")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.real_data
def test_recorded_video(face_video, yunet_model, fitted_pipeline, tmp_path):
    output = tmp_path / "annotated.mp4"
    detector = YuNetDetector(yunet_model)
    report = recognize_video(face_video, fitted_pipeline, detector=detector, output=output)
    table = report.faces
    assert table["frame"].tolist() == list(range(115))
    assert (table["face_id"] == 1).all()
    with av.open(str(output)) as file:
        assert file.streams.video[0].frames == 115
