from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
from _videos import (
    change_edit_list,
    copy_packets,
    encode,
    picture,
    truncate,
    write_avi,
    write_clip,
    write_declared_samples,
    write_hidden_frames,
    write_moving_square,
)

from skfer._video_file import Decoding, IsolatedVideo, VideoFile, VideoTooLargeError
from skfer._worker import Worker, WorkerError, WorkLimits


def read(path):
    """Return the timestamps of the frames, and the problem."""
    with closing(VideoFile(path)) as video:
        return [timestamp for timestamp, _ in video], video.problem


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return write_moving_square(tmp_path_factory.mktemp("videos") / "clip.mp4")


def test_edit_lists(clip, tmp_path):
    for name in ("trimmed.mov", "trimmed.mp4"):
        trimmed = copy_packets(clip, tmp_path / name, earlier=1.5)
        times, problem = read(trimmed)
        assert (len(times), problem) == (62, None)
        np.testing.assert_allclose(times, np.arange(62) / 25, atol=0.021)
    # Edit lists may also end early.
    for source, duration, n_frames in (clip, 2000, 50), (trimmed, 1000, 25):
        times, problem = read(change_edit_list(source, tmp_path / "edited.mp4", duration))
        assert (len(times), problem) == (n_frames, None)


def test_videos_that_start_late(clip, tmp_path):
    for name in ("late.mp4", "late.mkv", "late.ts"):
        times, problem = read(copy_packets(clip, tmp_path / name, earlier=-1.5))
        assert (len(times), times[0], problem) == (100, 0.0, None)


def test_truncated_files(clip, tmp_path):
    options = {"movflags": "+faststart"}
    files = [
        copy_packets(clip, tmp_path / "whole.mp4", options=options),
        copy_packets(clip, tmp_path / "trimmed.mp4", earlier=1.5, options=options),
        write_moving_square(tmp_path / "whole.mkv", codec="mpeg4"),
        write_moving_square(tmp_path / "whole.avi", codec="mpeg4"),
    ]
    for file in files:
        assert read(file)[1] is None
        times, problem = read(truncate(file, tmp_path / f"cut{file.suffix}", 0.65))
        assert 5 < len(times) < 90
        assert f"cut{file.suffix}' is truncated after frame" in problem


def test_avi_with_long_frames(tmp_path):
    # The header counts each repetition of a frame: 4,040 frames.
    expected = [0, 0.2, 0.4, 1.2, 1.6, 4.0]
    path = encode(tmp_path / "slides.avi", [picture((20, 20))] * 6, expected, codec="mpeg4")
    times, problem = read(path)
    assert problem is None
    assert times == pytest.approx(expected)


def test_sound_after_the_last_frame(tmp_path):
    path = tmp_path / "sound.mkv"
    with av.open(str(path), "w") as file:
        pictures = file.add_stream("libx264", rate=25)
        pictures.height, pictures.width, pictures.pix_fmt = 96, 160, "yuv420p"
        sound = file.add_stream("pcm_s16le", rate=8000)
        for _ in range(10):
            file.mux(pictures.encode(av.VideoFrame.from_ndarray(picture((20, 20)), "rgb24")))
        file.mux(pictures.encode(None))
        for second in range(5):
            samples = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), layout="mono")
            samples.sample_rate, samples.pts = 8000, 8000 * second
            file.mux(sound.encode(samples))
        file.mux(sound.encode(None))
    times, problem = read(path)
    assert (len(times), problem) == (10, None)


def test_one_frame_per_hour(tmp_path):
    hours = [0, 3600, 7200]
    assert read(write_avi(tmp_path / "hours.avi", Fraction(1, 3600))) == (hours, None)
    assert read(write_clip(tmp_path / "hours.mp4", [picture()] * 3, hours)) == (hours, None)


def test_rate_of_almost_zero(tmp_path):
    content = bytearray(write_avi(tmp_path / "a.avi", 25).read_bytes())
    start = content.index(b"strh") + 8 + 20  # scale and rate
    content[start : start + 4] = (2**31 - 1).to_bytes(4, "little")
    (tmp_path / "slow.avi").write_bytes(content)
    with pytest.raises(ValueError, match=r"slow\.avi' declares one frame in .* seconds"):
        VideoFile(tmp_path / "slow.avi")


class _Frame:
    rotation = 0

    def __init__(self, time):
        self.time, self.width, self.height = time, 4, 2

    def reformat(self, **_):
        return self

    def to_ndarray(self):
        return np.zeros((2, 4, 3), np.uint8)


def test_missing_and_decreasing_timestamps(clip, monkeypatch):
    timestamps = [0.0, None, float("nan"), 0.5, 0.45, float("-inf"), 1.0, 0.2, 0.24]
    video = VideoFile(clip)
    monkeypatch.setattr(VideoFile, "_frames", lambda self: map(_Frame, timestamps))
    monkeypatch.setattr(VideoFile, "_describe_loss", lambda *_: None)
    with closing(video):
        times = [timestamp for timestamp, _ in video]
    assert times == pytest.approx([0, 0.04, 0.08, 0.5, 0.5, 0.5, 1.0, 1.04, 1.08])


@pytest.mark.parametrize("error", [ValueError, ArithmeticError, av.error.ArgumentError, OSError])
def test_decoder_errors(clip, monkeypatch, error):
    def fail(*_, **__):
        raise error("reason") if error is ValueError else error(22, "reason")

    monkeypatch.setattr(av, "open", fail)
    with pytest.raises(ValueError, match=r"clip\.mp4' can't be"):
        VideoFile(clip)


def test_concatenated_recordings(tmp_path):
    path = write_moving_square(tmp_path / "a.ts", 20)
    path.write_bytes(2 * path.read_bytes())
    times, _ = read(path)
    assert len(times) >= 38
    assert np.diff(times) == pytest.approx(0.04, abs=0.041)
    assert times[-1] == pytest.approx(len(times) / 25, abs=0.2)


@pytest.mark.parametrize(
    ("name", "codec", "layout"),
    [
        ("ten_bits.mp4", "libx265", "yuv420p10le"),
        ("animation.gif", "gif", "gray"),
        ("transparent.mov", "qtrle", "argb"),
        ("transparent.webm", "libvpx-vp9", "yuva420p"),
        ("sixteen_bits.mkv", "ffv1", "gray16le"),
        ("professional.mov", "prores_ks", "yuva444p10le"),
        ("interlaced.mpg", "mpeg2video", "yuv420p"),
    ],
)
def test_pixel_formats(tmp_path, name, codec, layout):
    rgb = picture((20, 20))
    rgba = np.dstack([rgb, np.full((96, 160), 255, np.uint8)])
    settings = {"x265-params": "log-level=none"} if "265" in codec else {}
    path = tmp_path / name
    try:
        encode(path, [rgba] * 5, codec=codec, layout=layout, settings=settings)
    except av.codec.codec.UnknownCodecError:
        pytest.skip(f"this PyAV has no {codec}")
    with closing(VideoFile(path)) as video:
        frames = [image for _, image in video]
    assert (len(frames), video.problem) == (5, None)
    for image in frames:
        assert image.flags.c_contiguous
        assert np.abs(image.astype(int) - rgb).mean() < 5


def test_file_without_tracks(tmp_path):
    path = tmp_path / "empty.mp4"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("mpeg4", rate=25)
        stream.height, stream.width, stream.pix_fmt = 96, 160, "yuv420p"
        file.start_encoding()
    with pytest.raises(ValueError, match=r"holds no video and no other track|no frame"):
        VideoFile(path)


def test_address_of_no_video(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"no video" * 100)
    with pytest.raises(ValueError, match="can't be opened"):
        VideoFile(f"file:{path}")


def test_cover_picture(tmp_path):
    jpeg = cv2.imencode(".jpg", picture((20, 20)))[1].tobytes()
    path = tmp_path / "song.mkv"
    with av.open(str(path), "w", format="mp4") as file:
        sound = file.add_stream("aac", rate=8000)
        cover = file.add_stream("mjpeg")
        cover.width, cover.height, cover.pix_fmt = 160, 96, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        samples = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        samples.sample_rate = 8000
        file.mux(sound.encode(samples))
        file.mux(sound.encode(None))
        packet = av.Packet(jpeg)
        packet.stream, packet.pts, packet.dts, packet.time_base = cover, 0, 0, Fraction(1, 25)
        file.mux(packet)
    with pytest.raises(ValueError, match="holds no video, only a cover picture"):
        VideoFile(path)


def test_isolated_video(clip, tmp_path):
    with closing(VideoFile(clip)) as video:
        expected = list(video)
    limits = WorkLimits(memory=600_000_000)
    with closing(IsolatedVideo(clip, limits)) as video:
        assert (video.n_frames, video.rate, video.seconds) == (100, 25, 4)
        frames = list(video)
    assert video.problem is None
    for pairs in zip(frames, expected, strict=True):
        for a, b in zip(*pairs, strict=True):
            np.testing.assert_array_equal(a, b)
    with pytest.raises(ValueError, match=r"cut\.mp4' can't be read as a video: .*moov"):
        IsolatedVideo(truncate(clip, tmp_path / "cut.mp4", 0.5), limits)


def test_bytes_and_open_files(clip, tmp_path):
    decoding = Decoding(name="The video", container="mov", rate=5, longer_side=80)
    with Worker(memory=600_000_000) as worker:
        for source in (clip.read_bytes(), clip.open("rb", buffering=0)):
            with closing(IsolatedVideo(source, worker, decoding)) as video:
                times, pictures = zip(*video, strict=True)
            np.testing.assert_allclose(times, np.arange(20) / 5, atol=1e-6)
            assert {image.shape for image in pictures} == {(48, 80, 3)}
        source.close()


_PEAK = """
import resource, sys
from skfer._video_file import VideoFile
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    for _ in VideoFile(sys.argv[1]):
        pass
except ValueError as error:
    print(error)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_memory_of_large_frames(tmp_path):
    # The header declares a width of 64 pixels, but the PNG frame has 6000.
    path = tmp_path / "large.mov"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("png", rate=25)
        stream.width = stream.height = 64
        stream.pix_fmt = "rgb24"
        packet = av.Packet(cv2.imencode(".png", np.zeros((6000, 6000), np.uint8))[1].tobytes())
        packet.stream, packet.time_base = stream, Fraction(1, 25)
        packet.pts, packet.dts, packet.is_keyframe = 0, 0, True
        file.mux(packet)
    limit = {"SKFER_MAX_PIXELS": "1000000", "PYTHONPATH": ":".join(sys.path)}
    command = [sys.executable, "-c", _PEAK, str(path)]
    process = subprocess.run(command, env=limit, capture_output=True, text=True, check=True)
    error, megabytes = process.stdout.splitlines()
    assert "of more than 1 million pixels" in error
    assert int(megabytes) < 60  # the decoded frame would take 108


def test_declared_size(clip, monkeypatch):
    monkeypatch.setenv("SKFER_MAX_PIXELS", "1000")
    with pytest.raises(VideoTooLargeError, match=r"160 x 96 pixels; at most 0\.001 million"):
        VideoFile(clip)


def test_number_of_declared_samples(tmp_path):
    path = write_declared_samples(tmp_path / "table.mp4", 89_000_000)
    assert path.stat().st_size < 3000
    with pytest.raises(ValueError, match=r"table\.mp4'"):
        list(IsolatedVideo(path, WorkLimits(memory=400_000_000, seconds=60)))


@pytest.mark.slow
def test_time_limit_with_hidden_frames(tmp_path):
    path = write_hidden_frames(tmp_path / "hidden.webm", 20_000)
    limits = WorkLimits(memory=600_000_000, seconds=4)
    try:
        with closing(IsolatedVideo(path, limits)) as video:
            list(video)
        problem = video.problem
    except WorkerError as error:  # the limit was reached before the visible frame
        problem = str(error)
    assert "It took more than 4 seconds" in problem


def test_abandoned_decoding(tmp_path):
    path = write_hidden_frames(tmp_path / "hidden.webm", 20_000)
    with Worker(600_000_000) as worker, pytest.raises(WorkerError, match="no longer waits"):
        list(IsolatedVideo(path, worker, abandoned=lambda: True))
