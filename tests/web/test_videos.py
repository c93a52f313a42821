"""Videos sent to the page."""

from __future__ import annotations

import io
import json
import time
from fractions import Fraction
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from _videos import copied, countless_samples, cut, hidden_frames, steady, write_long
from _web import RECOGNIZE, VIDEO, message

from skfer.web import Limits, create_app


@pytest.fixture
def film(astronaut):
    """A maker of videos: a photo that becomes darker, as the bytes of a file."""
    av = pytest.importorskip("av", reason='PyAV is not installed: pip install "skfer[video]"')

    def make(n_frames=20, *, size=(256, 256), rate=10, kind="mp4", codec="mpeg4", rotation=0):
        file = io.BytesIO()
        with av.open(file, "w", format=kind) as container:
            stream = container.add_stream(codec, rate=rate)
            stream.width, stream.height = size
            stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            if rotation and not hasattr(stream.codec_context, "set_display_rotation"):
                pytest.skip("this PyAV writes no rotation")
            if rotation:
                stream.set_display_rotation(rotation)
            photo = np.rot90(cv2.resize(astronaut, size), -rotation // 90)
            for number in range(n_frames):
                pixels = (photo * (1 - number / n_frames)).astype(np.uint8)
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), "rgb24")
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        return file.getvalue()

    return make


@pytest.mark.parametrize(
    ("kind", "codec"), [("mp4", "mpeg4"), ("matroska", "mpeg4"), ("avi", "mjpeg")]
)
def test_frames_of_a_video(client, film, kind, codec):
    answer = client.post(f"{VIDEO}?rate=5", data=film(kind=kind, codec=codec))
    assert answer.status_code == 200
    found = answer.json
    assert (found["width"], found["height"], found["complete"]) == (256, 256, True)
    assert found["message"] is None
    assert found["duration"] == pytest.approx(2, abs=0.15)
    times = [frame["time"] for frame in found["frames"]]
    assert times == pytest.approx(np.arange(10) / 5, abs=0.02)
    assert {face["id"] for frame in found["frames"] for face in frame["faces"]} == {0}
    happy = [frame["faces"][0]["probabilities"]["happy"] for frame in found["frames"][:5]]
    assert happy == sorted(happy, reverse=True)


def test_a_video_as_lines(client, film):
    headers = {"Accept": "application/x-ndjson"}
    with client.post(f"{VIDEO}?rate=60", data=film(), headers=headers) as answer:
        assert answer.mimetype == "application/x-ndjson"
        head, *frames, end = map(json.loads, answer.text.splitlines())
    assert (head["type"], head["classes"]) == ("video", ["happy", "sad"])
    assert [frame["type"] for frame in frames] == 20 * ["frame"]
    assert end == {"type": "end", "complete": True, "message": None}


def test_a_video_that_was_given_up_gives_its_place_back(reader, film, encoded):
    client = create_app(reader, limits=Limits(concurrent=1, patience=0)).test_client()
    headers = {"Accept": "application/x-ndjson"}
    answer = client.post(VIDEO, data=film(60), headers=headers, buffered=False)
    next(iter(answer.response))
    message(client.post(RECOGNIZE, data=encoded(".jpg")), 429)
    answer.close()
    assert client.post(RECOGNIZE, data=encoded(".jpg")).status_code == 200


def test_videos_leave_a_place_to_photos(reader, film, encoded):
    client = create_app(reader, limits=Limits(concurrent=2, patience=0)).test_client()
    headers = {"Accept": "application/x-ndjson"}
    first = client.post(VIDEO, data=film(60), headers=headers, buffered=False)
    next(iter(first.response))
    message(client.post(VIDEO, data=film(), headers=headers), 429)
    assert client.post(RECOGNIZE, data=encoded(".jpg")).status_code == 200
    first.close()
    assert client.post(VIDEO, data=film()).status_code == 200


def test_a_video_held_sideways_is_turned_upright(client, film):
    upright = client.post(VIDEO, data=film(2, size=(320, 256))).json
    assert (upright["width"], upright["height"]) == (320, 256)
    for rotation in (90, -90, 180):
        turned = client.post(VIDEO, data=film(2, size=(256, 256), rotation=rotation)).json
        assert len(turned["frames"][0]["faces"]) == 1, rotation
    lying = client.post(VIDEO, data=film(2, size=(320, 256), rotation=180)).json
    assert (lying["width"], lying["height"]) == (320, 256)


def test_a_video_without_frames(client, film):
    av = pytest.importorskip("av")
    data = film()
    start, end = data.index(b"mdat") + 4, data.index(b"moov") - 4
    said = message(client.post(VIDEO, data=data[:start] + bytes(end - start) + data[end:]), 422)
    assert "no frame" in said

    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
        sound.sample_rate = 8000
        container.mux(stream.encode(sound))
    assert "holds no video" in message(client.post(VIDEO, data=file.getvalue()), 422)


def test_a_video_cut_short(client, film):
    data = film(60, kind="matroska")
    found = client.post(f"{VIDEO}?rate=10", data=data[: len(data) // 2]).json
    assert 5 < len(found["frames"]) < 55
    # MP4 has its table at the end: without it nothing can be read.
    data = film(60)
    assert "damaged or not complete" in message(
        client.post(VIDEO, data=data[: len(data) // 2]), 422
    )


def test_a_video_too_long_or_too_large(reader, film):
    client = create_app(reader, limits=Limits(video_seconds=1)).test_client()
    assert "2 seconds long; the limit is 1" in message(client.post(VIDEO, data=film()), 413)
    client = create_app(reader, limits=Limits(video_pixels=10_000)).test_client()
    assert "256 x 256 pixels" in message(client.post(VIDEO, data=film(codec="libx264")), 413)
    # This decoder is not even opened, so nobody knows the size.
    assert "more than 0.01 million pixels" in message(client.post(VIDEO, data=film()), 422)
    assert reader.n_images == 0


def test_a_video_longer_than_it_says_ends_at_the_limit(reader, film):
    # Matroska that was written to a pipe names no duration.
    data = film(40, kind="matroska")
    start = data.index(b"\x44\x89\x88")  # the element of the duration
    unnamed = data[:start] + b"\xec\x89" + data[start + 2 :]  # "void" in its place
    client = create_app(reader, limits=Limits(video_seconds=1)).test_client()
    answer = client.post(f"{VIDEO}?rate=10", data=unnamed)
    if answer.status_code == 413:
        return  # FFmpeg found the length out
    assert len(answer.json["frames"]) == 11
    assert not answer.json["complete"]
    assert "longer than 1 seconds" in answer.json["message"]


@pytest.mark.slow
def test_work_on_a_video_ends_in_time(reader, film):
    def slow(images):
        time.sleep(1.5)
        return type(reader).read(reader, images)

    slow_reader = SimpleNamespace(classes=reader.classes, read=slow)
    client = create_app(slow_reader, limits=Limits(work_seconds=5)).test_client()
    answer = client.post(f"{VIDEO}?rate=60", data=film(60)).json
    assert 8 <= len(answer["frames"]) < 60
    assert not answer["complete"]
    assert "It took more than 5 seconds. The rest was not read." in answer["message"]


def test_a_video_whose_frames_become_larger_than_it_says(reader, astronaut):
    av = pytest.importorskip("av")
    file = io.BytesIO()
    with av.open(file, "w", format="avi") as container:
        stream = container.add_stream("mjpeg", rate=10)
        stream.width, stream.height, stream.pix_fmt = 256, 256, "yuvj420p"
        for number, side in enumerate((256, 256, 256, 512, 256)):
            jpeg = cv2.imencode(".jpg", cv2.resize(astronaut, (side, side)))[1]
            packet = av.Packet(jpeg.tobytes())
            packet.stream, packet.time_base = stream, Fraction(1, 10)
            packet.pts = packet.dts = number
            container.mux(packet)
    limited = create_app(reader, limits=Limits(video_pixels=300 * 300)).test_client()
    answer = limited.post(f"{VIDEO}?rate=10", data=file.getvalue()).json
    assert len(answer["frames"]) == 4
    assert answer["message"].startswith("The video is damaged: 1 of its packets")
    answer = create_app(reader).test_client().post(f"{VIDEO}?rate=10", data=file.getvalue()).json
    assert (len(answer["frames"]), answer["complete"]) == (5, True)


@pytest.mark.parametrize(
    "data",
    [
        b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n",
        b"ffconcat version 1.0\nfile '/etc/passwd'\n",
        b"To whom it may concern",
    ],
)
def test_what_is_no_video_is_not_given_to_ffmpeg(client, data, monkeypatch):
    av = pytest.importorskip("av")
    monkeypatch.setattr(av, "open", None)
    assert "MP4, MOV, WebM" in message(client.post(VIDEO, data=data), 415)


@pytest.mark.parametrize("rate", ["0", "-1", "1000", "many", "nan"])
def test_a_rate_that_makes_no_sense(client, rate):
    assert "frames a second" in message(client.post(f"{VIDEO}?rate={rate}", data=b"-"), 400)


def test_videos_need_pyav(client, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    assert "skfer[video]" in message(client.post(VIDEO, data=b"-"), 501)


def test_a_real_video(reader, skfer_data):
    pytest.importorskip("av")
    data = (skfer_data / "data" / "face_video.mp4").read_bytes()
    found = create_app(reader).test_client().post(f"{VIDEO}?rate=5", data=data).json
    assert (found["width"], found["height"]) == (596, 336)
    assert len(found["frames"]) == 23
    assert sum(bool(frame["faces"]) for frame in found["frames"]) >= 20


def test_a_trimmed_video_is_complete_for_the_page_too(client, tmp_path):
    trimmed = copied(write_long(tmp_path / "a.mp4"), tmp_path / "trimmed.mp4", earlier=1.5)
    found = client.post(f"{VIDEO}?rate=60", data=trimmed.read_bytes()).json
    assert (len(found["frames"]), found["complete"], found["message"]) == (62, True, None)
    whole = copied(trimmed, tmp_path / "whole.mp4", options={"movflags": "+faststart"})
    broken = cut(whole, tmp_path / "cut.mp4", 0.7)
    found = client.post(f"{VIDEO}?rate=60", data=broken.read_bytes()).json
    assert not found["complete"]
    assert found["message"].startswith("The video is truncated after frame")


def test_a_rate_of_nothing_is_refused(client, tmp_path):
    content = bytearray(steady(tmp_path / "a.avi", 25).read_bytes())
    place = content.index(b"strh") + 8 + 20  # scale and rate
    content[place : place + 4] = (2**31 - 1).to_bytes(4, "little")
    assert "declares one frame in" in message(client.post(VIDEO, data=bytes(content)), 422)


@pytest.mark.slow
def test_a_video_that_needs_too_much_is_refused_and_the_next_is_answered(reader, film, tmp_path):
    limits = Limits(work_seconds=5, work_memory=400_000_000)
    client = create_app(reader, limits=limits).test_client()
    hidden = hidden_frames(tmp_path / "hidden.webm", 80_000).read_bytes()
    answer = client.post(VIDEO, data=hidden)
    if answer.status_code == 200:  # the one frame that is shown came in time
        assert (len(answer.json["frames"]), answer.json["complete"]) == (1, False)
        assert "more than 5 seconds" in answer.json["message"]
    else:
        assert "more than 5 seconds" in message(answer, 422)
    table = countless_samples(tmp_path / "table.mp4", 89_000_000).read_bytes()
    message(client.post(VIDEO, data=table), 422)
    assert client.post(VIDEO, data=film()).json["complete"]
