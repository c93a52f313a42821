import io
import json
import sys
import time
from fractions import Fraction
from types import SimpleNamespace

import av
import cv2
import numpy as np
import pytest
from _videos import countless_samples, hidden_frames
from _web import RECOGNIZE, VIDEO, message

from skfer.web import Limits, create_app


@pytest.fixture
def film(astronaut):
    """A function that makes the bytes of a video: a photo that becomes darker."""

    def make(n_frames=20, *, size=(256, 256), rate=10, kind="mp4", codec="mpeg4", rotation=0):
        file = io.BytesIO()
        with av.open(file, "w", format=kind) as container:
            stream = container.add_stream(codec, rate=rate)
            stream.width, stream.height = size
            stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            if rotation:
                stream.set_display_rotation(rotation)
            whole = astronaut[: 512 * size[1] // size[0]]  # not distorted
            photo = np.rot90(cv2.resize(whole, size), -rotation // 90)
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
    answer = client.post(f"{VIDEO}?rate=5", data=film(size=(288, 288), kind=kind, codec=codec))
    assert answer.status_code == 200
    found = answer.json
    assert (found["width"], found["height"], found["complete"]) == (288, 288, True)
    assert found["message"] is None
    assert found["duration"] == pytest.approx(2, abs=0.15)
    times = [frame["time"] for frame in found["frames"]]
    assert times == pytest.approx(np.arange(10) / 5, abs=0.02)
    faces = [face for frame in found["frames"][:5] for face in frame["faces"]]
    assert [face["id"] for face in faces] == [1] * 5
    happy = [face["probabilities"]["happy"] for face in faces]
    assert happy == sorted(happy, reverse=True)


def post_for_lines(client, data, rate=60):
    headers = {"Accept": "application/x-ndjson"}
    return client.post(f"{VIDEO}?rate={rate}", data=data, headers=headers, buffered=False)


def test_frames_as_lines(client, film):
    with post_for_lines(client, film()) as answer:
        assert answer.mimetype == "application/x-ndjson"
        head, *frames, end = map(json.loads, answer.text.splitlines())
    assert (head["type"], head["classes"]) == ("video", ["happy", "sad"])
    assert [frame["type"] for frame in frames] == 20 * ["frame"]
    assert end == {"type": "end", "complete": True, "message": None}


def test_a_closed_answer_frees_its_slot(reader, film, encoded):
    client = create_app(reader, limits=Limits(concurrent=1, patience=0)).test_client()
    answer = post_for_lines(client, film(60))
    next(iter(answer.response))
    message(client.post(RECOGNIZE, data=encoded(".jpg")), 429)
    answer.close()
    assert client.post(RECOGNIZE, data=encoded(".jpg")).status_code == 200


def test_videos_leave_a_slot_to_photos(reader, film, encoded):
    client = create_app(reader, limits=Limits(concurrent=2, patience=0)).test_client()
    first = post_for_lines(client, film(60))
    next(iter(first.response))
    message(client.post(VIDEO, data=film()), 429)
    assert client.post(RECOGNIZE, data=encoded(".jpg")).status_code == 200
    first.close()
    assert client.post(VIDEO, data=film()).status_code == 200


@pytest.mark.parametrize("rotation", [0, 90, -90, 180])
def test_rotation_is_applied(client, film, rotation):
    size = (256, 256) if abs(rotation) == 90 else (320, 256)
    found = client.post(VIDEO, data=film(2, size=size, rotation=rotation)).json
    assert (found["width"], found["height"]) == size
    assert len(found["frames"][0]["faces"]) == 1


def test_a_video_without_frames_is_refused(client, film):
    data = film()
    start, end = data.index(b"mdat") + 4, data.index(b"moov") - 4
    text = message(client.post(VIDEO, data=data[:start] + bytes(end - start) + data[end:]), 422)
    assert "no frame" in text

    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
        sound.sample_rate = 8000
        container.mux(stream.encode(sound))
    assert "holds no video" in message(client.post(VIDEO, data=file.getvalue()), 422)


def test_a_truncated_video_has_the_frames_before_the_end(client, film):
    data = film(60, kind="matroska")
    found = client.post(f"{VIDEO}?rate=10", data=data[: len(data) // 2]).json
    assert 5 < len(found["frames"]) < 55
    assert not found["complete"]
    assert found["message"].startswith("The video is truncated after frame")
    data = film(60)  # MP4 has its index at the end
    answer = client.post(VIDEO, data=data[: len(data) // 2])
    assert "damaged or not complete" in message(answer, 422)


@pytest.mark.parametrize(
    ("limit", "problem"),
    [
        ({"video_seconds": 1}, "2 seconds long; the limit is 1"),
        ({"video_pixels": 10_000}, "256 x 256 pixels"),
    ],
)
def test_a_video_beyond_a_limit_is_refused(reader, film, limit, problem):
    client = create_app(reader, limits=Limits(**limit)).test_client()
    assert problem in message(client.post(VIDEO, data=film(codec="libx264")), 413)
    assert reader.n_images == 0


def test_a_video_without_declared_duration_ends_at_the_limit(reader, film):
    # As in Matroska written to a pipe.
    data = film(40, kind="matroska")
    start = data.index(b"\x44\x89\x88")  # the element of the duration
    unnamed = data[:start] + b"\xec\x89" + data[start + 2 :]  # "void" instead
    client = create_app(reader, limits=Limits(video_seconds=1)).test_client()
    answer = client.post(f"{VIDEO}?rate=10", data=unnamed)
    if answer.status_code == 413:
        return  # FFmpeg determined the duration
    assert len(answer.json["frames"]) == 11
    assert not answer.json["complete"]
    assert "longer than 1 seconds" in answer.json["message"]


@pytest.mark.slow
def test_work_on_a_video_has_a_time_limit(reader, film):
    def slow(images):
        time.sleep(1.5)
        return type(reader).read(reader, images)

    slow_reader = SimpleNamespace(classes=reader.classes, read=slow)
    client = create_app(slow_reader, limits=Limits(work_seconds=5)).test_client()
    answer = client.post(f"{VIDEO}?rate=60", data=film(60)).json
    assert 8 <= len(answer["frames"]) < 60
    assert not answer["complete"]
    assert "It took more than 5 seconds. The rest was not read." in answer["message"]


def test_frames_larger_than_declared_are_left_out(reader, astronaut):
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
def test_other_files_are_not_opened_by_ffmpeg(client, data, monkeypatch):
    monkeypatch.setattr(av, "open", None)
    assert "MP4, MOV, WebM" in message(client.post(VIDEO, data=data), 415)


def test_videos_need_pyav(client, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    assert "skfer[video]" in message(client.post(VIDEO, data=b"-"), 501)


def test_a_real_video(reader, face_video):
    data = face_video.read_bytes()
    found = create_app(reader).test_client().post(f"{VIDEO}?rate=5", data=data).json
    assert (found["width"], found["height"]) == (596, 336)
    assert len(found["frames"]) == 23
    assert sum(bool(frame["faces"]) for frame in found["frames"]) >= 20


@pytest.mark.slow
def test_a_video_that_needs_too_much_does_not_affect_the_next_one(reader, film, tmp_path):
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
