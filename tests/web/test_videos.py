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
from _videos import write_declared_samples, write_hidden_frames
from _web import RECOGNIZE, VIDEO, message

from skfer.web import Limits, create_app


@pytest.fixture
def make_video(astronaut):
    """A function that returns a video of a photo that becomes darker, as bytes."""

    def encode(n_frames=20, *, size=(256, 256), rate=10, kind="mp4", codec="mpeg4", rotation=0):
        file = io.BytesIO()
        with av.open(file, "w", format=kind) as container:
            stream = container.add_stream(codec, rate=rate)
            stream.width, stream.height = size
            stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            if rotation:
                stream.set_display_rotation(rotation)
            crop = astronaut[: 512 * size[1] // size[0]]  # keeps the aspect ratio
            photo = np.rot90(cv2.resize(crop, size), -rotation // 90)
            for number in range(n_frames):
                pixels = (photo * (1 - number / n_frames)).astype(np.uint8)
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), "rgb24")
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        return file.getvalue()

    return encode


@pytest.mark.parametrize(
    ("kind", "codec"), [("mp4", "mpeg4"), ("matroska", "mpeg4"), ("avi", "mjpeg")]
)
def test_frames_of_a_video(client, make_video, kind, codec):
    response = client.post(
        f"{VIDEO}?rate=5", data=make_video(size=(288, 288), kind=kind, codec=codec)
    )
    assert response.status_code == 200
    result = response.json
    assert (result["width"], result["height"], result["complete"]) == (288, 288, True)
    assert result["message"] is None
    assert result["duration"] == pytest.approx(2, abs=0.15)
    times = [frame["time"] for frame in result["frames"]]
    assert times == pytest.approx(np.arange(10) / 5, abs=0.02)
    faces = [face for frame in result["frames"][:5] for face in frame["faces"]]
    assert [face["id"] for face in faces] == [1] * 5
    happy = [face["probabilities"]["happy"] for face in faces]
    assert happy == sorted(happy, reverse=True)


def post_for_lines(client, data, rate=60):
    headers = {"Accept": "application/x-ndjson"}
    return client.post(f"{VIDEO}?rate={rate}", data=data, headers=headers, buffered=False)


def test_json_lines(client, make_video):
    with post_for_lines(client, make_video()) as response:
        assert response.mimetype == "application/x-ndjson"
        head, *frames, end = map(json.loads, response.text.splitlines())
    assert (head["type"], head["classes"]) == ("video", ["happy", "sad"])
    assert [frame["type"] for frame in frames] == 20 * ["frame"]
    assert end == {"type": "end", "complete": True, "message": None}


def test_closed_responses_free_their_slots(reader, make_video, encoded):
    client = create_app(reader, limits=Limits(concurrent=1, patience=0)).test_client()
    response = post_for_lines(client, make_video(60))
    next(iter(response.response))
    message(client.post(RECOGNIZE, data=encoded(".jpg")), 429)
    response.close()
    assert client.post(RECOGNIZE, data=encoded(".jpg")).status_code == 200


def test_slots_of_videos_and_photos(reader, make_video, encoded):
    client = create_app(reader, limits=Limits(concurrent=2, patience=0)).test_client()
    first = post_for_lines(client, make_video(60))
    next(iter(first.response))
    message(client.post(VIDEO, data=make_video()), 429)
    assert client.post(RECOGNIZE, data=encoded(".jpg")).status_code == 200
    first.close()
    assert client.post(VIDEO, data=make_video()).status_code == 200


@pytest.mark.parametrize("rotation", [0, 90, -90, 180])
def test_rotation(client, make_video, rotation):
    size = (256, 256) if abs(rotation) == 90 else (320, 256)
    result = client.post(VIDEO, data=make_video(2, size=size, rotation=rotation)).json
    assert (result["width"], result["height"]) == size
    assert len(result["frames"][0]["faces"]) == 1


def test_videos_without_frames(client, make_video):
    data = make_video()
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


def test_truncated_videos(client, make_video):
    data = make_video(60, kind="matroska")
    result = client.post(f"{VIDEO}?rate=10", data=data[: len(data) // 2]).json
    assert 5 < len(result["frames"]) < 55
    assert not result["complete"]
    assert result["message"].startswith("The video is truncated after frame")
    data = make_video(60)  # MP4 has its index at the end
    response = client.post(VIDEO, data=data[: len(data) // 2])
    assert "damaged or not complete" in message(response, 422)


@pytest.mark.parametrize(
    ("limit", "problem"),
    [
        ({"video_seconds": 1}, "2 seconds long; the limit is 1"),
        ({"video_pixels": 10_000}, "256 x 256 pixels"),
    ],
)
def test_limits(reader, make_video, limit, problem):
    client = create_app(reader, limits=Limits(**limit)).test_client()
    assert problem in message(client.post(VIDEO, data=make_video(codec="libx264")), 413)
    assert reader.n_images == 0


def test_video_without_declared_duration(reader, make_video):
    # Matroska that is written to a pipe has no duration.
    data = make_video(40, kind="matroska")
    start = data.index(b"\x44\x89\x88")  # the element of the duration
    data = data[:start] + b"\xec\x89" + data[start + 2 :]  # an empty element
    client = create_app(reader, limits=Limits(video_seconds=1)).test_client()
    response = client.post(f"{VIDEO}?rate=10", data=data)
    if response.status_code == 413:
        return  # FFmpeg determined the duration
    assert len(response.json["frames"]) == 11
    assert not response.json["complete"]
    assert "longer than 1 seconds" in response.json["message"]


@pytest.mark.slow
def test_time_limit(reader, make_video):
    def slow(images):
        time.sleep(1.5)
        return type(reader).read(reader, images)

    slow_reader = SimpleNamespace(classes=reader.classes, read=slow)
    client = create_app(slow_reader, limits=Limits(work_seconds=5)).test_client()
    result = client.post(f"{VIDEO}?rate=60", data=make_video(60)).json
    assert 8 <= len(result["frames"]) < 60
    assert not result["complete"]
    assert "It took more than 5 seconds. The rest was not read." in result["message"]


def test_frames_larger_than_declared(reader, astronaut):
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
    result = limited.post(f"{VIDEO}?rate=10", data=file.getvalue()).json
    assert len(result["frames"]) == 4
    assert result["message"].startswith("The video is damaged: 1 of its packets")
    result = create_app(reader).test_client().post(f"{VIDEO}?rate=10", data=file.getvalue()).json
    assert (len(result["frames"]), result["complete"]) == (5, True)


@pytest.mark.parametrize(
    "data",
    [
        b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n",
        b"ffconcat version 1.0\nfile '/etc/passwd'\n",
        b"no video",
    ],
)
def test_other_files(client, data, monkeypatch):
    monkeypatch.setattr(av, "open", None)
    assert "MP4, MOV, WebM" in message(client.post(VIDEO, data=data), 415)


def test_missing_pyav(client, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    assert "skfer[video]" in message(client.post(VIDEO, data=b"-"), 501)


def test_recorded_video(reader, face_video):
    data = face_video.read_bytes()
    result = create_app(reader).test_client().post(f"{VIDEO}?rate=5", data=data).json
    assert (result["width"], result["height"]) == (596, 336)
    assert len(result["frames"]) == 23
    assert sum(bool(frame["faces"]) for frame in result["frames"]) >= 20


@pytest.mark.slow
def test_expensive_videos(reader, make_video, tmp_path):
    limits = Limits(work_seconds=5, work_memory=400_000_000)
    client = create_app(reader, limits=limits).test_client()
    hidden = write_hidden_frames(tmp_path / "hidden.webm", 80_000).read_bytes()
    response = client.post(VIDEO, data=hidden)
    if response.status_code == 200:  # the only shown frame was decoded in time
        assert (len(response.json["frames"]), response.json["complete"]) == (1, False)
        assert "more than 5 seconds" in response.json["message"]
    else:
        assert "more than 5 seconds" in message(response, 422)
    table = write_declared_samples(tmp_path / "table.mp4", 89_000_000).read_bytes()
    message(client.post(VIDEO, data=table), 422)
    assert client.post(VIDEO, data=make_video()).json["complete"]
