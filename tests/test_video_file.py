"""Video files: damage, frame rates and limits."""

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
    copied,
    countless_samples,
    cut,
    edited,
    encode,
    hidden_frames,
    picture,
    steady,
    write_clip,
    write_long,
)

from skfer._video_file import Decoding, IsolatedVideo, VideoFile, VideoTooLargeError
from skfer._worker import Worker, WorkerError, WorkLimits


def read(path):
    """The timestamps of the frames, and the problem."""
    with closing(VideoFile(path)) as video:
        return [timestamp for timestamp, _ in video], video.problem


@pytest.fixture(scope="module")
def long(tmp_path_factory):
    return write_long(tmp_path_factory.mktemp("videos") / "long.mp4")


def test_edit_lists_and_start_offsets_are_not_damage(long, tmp_path):
    for name in ("trimmed.mov", "trimmed.mp4"):
        trimmed = copied(long, tmp_path / name, earlier=1.5)
        times, problem = read(trimmed)
        assert (len(times), problem) == (62, None)
        np.testing.assert_allclose(times, np.arange(62) / 25, atol=0.021)
    # The edit list of the last one also ends early.
    for source, duration, n_frames in (long, 2000, 50), (trimmed, 1000, 25):
        times, problem = read(edited(source, tmp_path / "edited.mp4", duration))
        assert (len(times), problem) == (n_frames, None)
    for name in ("late.mp4", "late.mkv", "late.ts"):
        times, problem = read(copied(long, tmp_path / name, earlier=-1.5))
        assert (len(times), times[0], problem) == (100, 0.0, None)


def test_cut_files_are_truncated(long, tmp_path):
    options = {"movflags": "+faststart"}
    files = [
        copied(long, tmp_path / "whole.mp4", options=options),
        copied(long, tmp_path / "trimmed.mp4", earlier=1.5, options=options),
        write_long(tmp_path / "whole.mkv", codec="mpeg4"),
        write_long(tmp_path / "whole.avi", codec="mpeg4"),
    ]
    for file in files:
        assert read(file)[1] is None
        times, problem = read(cut(file, tmp_path / f"cut{file.suffix}", 0.65))
        assert 5 < len(times) < 90
        assert f"cut{file.suffix}' is truncated after frame" in problem


def test_an_avi_with_long_frames_is_complete(tmp_path):
    # Its header counts each repetition of a frame, 4,040 in all.
    shown = [0, 0.2, 0.4, 1.2, 1.6, 4.0]
    path = encode(tmp_path / "slides.avi", [picture((20, 20))] * 6, shown, codec="mpeg4")
    times, problem = read(path)
    assert problem is None
    assert times == pytest.approx(shown)


def test_sound_after_the_last_frame_is_not_damage(tmp_path):
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


def test_one_frame_an_hour_is_read_at_its_times(tmp_path):
    hours = [0, 3600, 7200]
    assert read(steady(tmp_path / "hours.avi", Fraction(1, 3600))) == (hours, None)
    assert read(write_clip(tmp_path / "hours.mp4", [picture()] * 3, hours)) == (hours, None)


def test_a_rate_of_almost_zero_is_an_error(tmp_path):
    content = bytearray(steady(tmp_path / "a.avi", 25).read_bytes())
    place = content.index(b"strh") + 8 + 20  # scale and rate
    content[place : place + 4] = (2**31 - 1).to_bytes(4, "little")
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


def test_times_that_are_missing_or_run_backwards_stay_in_order(long, monkeypatch):
    given = [0.0, None, float("nan"), 0.5, 0.45, float("-inf"), 1.0, 0.2, 0.24]
    video = VideoFile(long)
    monkeypatch.setattr(VideoFile, "_frames", lambda self: map(_Frame, given))
    monkeypatch.setattr(VideoFile, "_describe_loss", lambda *_: None)
    with closing(video):
        times = [timestamp for timestamp, _ in video]
    assert times == pytest.approx([0, 0.04, 0.08, 0.5, 0.5, 0.5, 1.0, 1.04, 1.08])


@pytest.mark.parametrize("error", [ValueError, ArithmeticError, av.error.ArgumentError, OSError])
def test_every_error_of_the_decoder_names_the_file(long, monkeypatch, error):
    def fail(*_, **__):
        raise error("reason") if error is ValueError else error(22, "reason")

    monkeypatch.setattr(av, "open", fail)
    with pytest.raises(ValueError, match=r"long\.mp4' can't be"):
        VideoFile(long)


def test_recordings_joined_to_one_file_follow_each_other_in_time(tmp_path):
    one = write_long(tmp_path / "one.ts", 20)
    joined = tmp_path / "joined.ts"
    joined.write_bytes(one.read_bytes() + one.read_bytes())
    times, _ = read(joined)
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
def test_frames_of_every_layout_become_rgb(tmp_path, name, codec, layout):
    drawn = picture((20, 20))
    with_alpha = np.dstack([drawn, np.full((96, 160), 255, np.uint8)])
    settings = {"x265-params": "log-level=none"} if "265" in codec else {}
    path = tmp_path / name
    try:
        encode(path, [with_alpha] * 5, codec=codec, layout=layout, settings=settings)
    except av.codec.codec.UnknownCodecError:
        pytest.skip(f"this PyAV has no {codec}")
    with closing(VideoFile(path)) as video:
        frames = [image for _, image in video]
    assert (len(frames), video.problem) == (5, None)
    for image in frames:
        assert image.flags.c_contiguous
        assert np.abs(image.astype(int) - drawn).mean() < 5


def test_a_file_without_tracks_is_an_error(tmp_path):
    path = tmp_path / "empty.mp4"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("mpeg4", rate=25)
        stream.height, stream.width, stream.pix_fmt = 96, 160, "yuv420p"
        file.start_encoding()
    with pytest.raises(ValueError, match=r"holds no video and no other track|no frame"):
        VideoFile(path)


def test_a_cover_picture_is_no_video(tmp_path):
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


def test_a_child_process_gives_the_same_frames(long, tmp_path):
    with closing(VideoFile(long)) as video:
        expected = list(video)
    limits = WorkLimits(memory=600_000_000)
    with closing(IsolatedVideo(long, limits)) as video:
        assert (video.n_frames, video.rate, video.seconds) == (100, 25, 4)
        assert (video.width, video.height, video.is_live) == (160, 96, False)
        found = list(video)
    assert video.problem is None
    for values in zip(found, expected, strict=True):
        for one, other in zip(*values, strict=True):
            np.testing.assert_array_equal(one, other)
    with pytest.raises(ValueError, match=r"cut\.mp4' can't be read as a video: .*moov"):
        IsolatedVideo(cut(long, tmp_path / "cut.mp4", 0.5), limits)


def test_an_upload_may_be_bytes_or_an_open_file(long, tmp_path):
    decoding = Decoding(name="The video", container="mov", rate=5, longer_side=80)
    with Worker(memory=600_000_000) as worker:
        for source in (long.read_bytes(), long.open("rb", buffering=0)):
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


def test_frames_above_the_limit_are_not_decoded_to_find_their_size(tmp_path):
    """The header declares 64 pixels, the PNG frame has 6000."""
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
    done = subprocess.run(command, env=limit, capture_output=True, text=True, check=True)
    error, megabytes = done.stdout.splitlines()
    assert "of more than 1 million pixels" in error
    assert int(megabytes) < 60  # the frame takes 108


def test_a_declared_size_above_the_limit_is_an_error(long, monkeypatch):
    monkeypatch.setenv("SKFER_MAX_PIXELS", "1000")
    with pytest.raises(VideoTooLargeError, match=r"160 x 96 pixels; at most 0\.001 million"):
        VideoFile(long)


def test_a_table_of_countless_frames_ends_within_the_limits(tmp_path):
    path = countless_samples(tmp_path / "table.mp4", 89_000_000)
    assert path.stat().st_size < 3000
    with pytest.raises(ValueError, match=r"table\.mp4'"):
        list(IsolatedVideo(path, WorkLimits(memory=400_000_000, seconds=60)))


@pytest.mark.slow
def test_the_time_limit_includes_hidden_frames(tmp_path):
    path = hidden_frames(tmp_path / "hidden.webm", 20_000)
    limits = WorkLimits(memory=600_000_000, seconds=4)
    try:
        with closing(IsolatedVideo(path, limits)) as video:
            list(video)
        problem = video.problem
    except WorkerError as error:  # before the visible frame
        problem = str(error)
    assert "It took more than 4 seconds" in problem


def test_decoding_ends_if_it_is_abandoned(tmp_path):
    path = hidden_frames(tmp_path / "hidden.webm", 20_000)
    with Worker(600_000_000) as worker, pytest.raises(WorkerError, match="no longer waits"):
        list(IsolatedVideo(path, worker, abandoned=lambda: True))
