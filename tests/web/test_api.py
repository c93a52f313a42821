import io
import json
import struct
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import islice

import _work
import cv2
import numpy as np
import pytest
from _web import RECOGNIZE, VIDEO, message

from skfer.detection import Detections
from skfer.recognition import FaceReading
from skfer.web import Limits, Readers, create_app


def encode_png(image):
    return cv2.imencode(".png", image)[1].tobytes()


def png_with_size(width, height):
    """Return a small PNG whose header declares this size."""
    data = bytearray(encode_png(np.zeros((8, 8, 3), np.uint8)))
    data[16:24] = struct.pack(">II", width, height)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    return bytes(data)


def make_form(*files, **fields):
    return {f"file{i}": (io.BytesIO(data), "me.jpg") for i, data in enumerate(files)} | fields


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".bmp"])
def test_faces_of_a_photo(client, encoded, suffix):
    response = client.post(RECOGNIZE, data=encoded(suffix))
    assert response.status_code == 200
    result = response.json
    assert (result["width"], result["height"], result["classes"]) == (512, 512, ["happy", "sad"])
    [face] = result["faces"]
    assert face["box"]["x"] == pytest.approx(177, abs=8)
    assert face["box"]["width"] == pytest.approx(98, abs=8)
    assert face["expression"] == max(face["probabilities"], key=face["probabilities"].get)
    assert face["probability"] == max(face["probabilities"].values())
    assert sum(face["probabilities"].values()) == pytest.approx(1, abs=1e-3)


def test_forms(client, encoded):
    photo = encoded(".jpg")
    assert (
        client.post(RECOGNIZE, data=make_form(photo)).json
        == client.post(RECOGNIZE, data=photo).json
    )


def test_abstaining_reader(reader, encoded):
    reader.expressions = lambda probabilities: ["unsure"] * len(probabilities)
    response = create_app(reader).test_client().post(RECOGNIZE, data=encoded(".png"))
    assert [face["expression"] for face in response.json["faces"]] == ["unsure"]


def test_photo_without_a_face(client):
    result = client.post(RECOGNIZE, data=encode_png(np.zeros((200, 300, 3), np.uint8))).json
    assert (result["width"], result["height"], result["faces"]) == (300, 200, [])


@pytest.mark.parametrize(
    ("end", "problem"),
    [(20_000, "JPEG that is truncated: its end is missing"), (50, "header is damaged")],
)
def test_truncated_photos(client, encoded, end, problem):
    assert problem in message(client.post(RECOGNIZE, data=encoded(".jpg")[:end]), 422)


@pytest.mark.parametrize("route", [RECOGNIZE, VIDEO])
def test_number_of_files(client, route):
    assert "body is empty" in message(client.post(route), 400)
    multipart = {"content_type": "multipart/form-data"}
    assert "0 files" in message(client.post(route, data={"no": "file"}, **multipart), 400)
    assert "2 files" in message(client.post(route, data=make_form(b"a", b"b")), 400)


def test_text_as_a_photo(client):
    form = make_form(b"no photo")
    assert "JPEG, PNG, WebP" in message(client.post(RECOGNIZE, data=form), 415)


DATA_URL = "data:image/jpeg;base64,/9j/4AAQSkZJRg" + "AAAA" * 5000


@pytest.mark.parametrize("route", [RECOGNIZE, VIDEO])
@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"json": {"image": DATA_URL}}, "JSON"),
        ({"json": [DATA_URL]}, "JSON"),
        ({"data": json.dumps({"image": DATA_URL})}, "JSON"),
        ({"data": {"image": DATA_URL}}, "a data URL"),
        ({"data": DATA_URL.encode(), "content_type": "text/plain"}, "a data URL"),
        ({"data": DATA_URL.partition(",")[2].encode()}, "base64 text"),
    ],
)
def test_encoded_photos_as_text(client, route, body, kind):
    text = message(client.post(route, **body), 415)
    assert f" is {kind}, " in text
    assert "curl --data-binary @" in text
    assert len(text) < 300


def test_declared_size(client, reader):
    text = message(client.post(RECOGNIZE, data=png_with_size(30_000, 30_000)), 413)
    assert "30000 x 30000" in text
    # Decoding would raise another error.
    client = create_app(reader, limits=Limits(photo_pixels=10_000)).test_client()
    text = message(client.post(RECOGNIZE, data=png_with_size(101, 100)), 413)
    assert text.startswith("The photo has 101 x 100 pixels; at most 0.01 million")


@pytest.mark.parametrize(
    ("decode", "status", "problem"),
    [
        (_work.decode_slowly, 413, "more than 5 seconds"),
        (_work.decode_into_memory, 413, "more than the 750 MB of memory"),
        (_work.decode_and_crash, 422, "SIGSEGV"),
    ],
)
def test_limits_of_decoding(reader, encoded, monkeypatch, decode, status, problem):
    client = create_app(reader, limits=Limits(photo_seconds=5, concurrent=1)).test_client()
    with monkeypatch.context() as patched:
        patched.setattr("skfer.web._uploads.decode", decode)
        assert problem in message(client.post(RECOGNIZE, data=encoded(".jpg")), status)
    assert client.post(RECOGNIZE, data=encoded(".jpg")).status_code == 200


@pytest.mark.parametrize(("route", "limit"), [(RECOGNIZE, "20 MB"), (VIDEO, "200 MB")])
def test_large_uploads_are_not_read(client, route, limit):
    class Unreadable(io.BytesIO):
        def readinto(self, buffer):
            raise AssertionError("the body was read")

        read = readinto

    environ = {"CONTENT_LENGTH": "1000000000", "wsgi.input": Unreadable()}
    text = message(client.post(route, environ_overrides=environ), 413)
    assert "1,000.0 MB" in text
    assert limit in text


def test_large_forms(reader, encoded):
    client = create_app(reader, limits=Limits(photo_bytes=1000)).test_client()
    assert "0.001 MB" in message(client.post(RECOGNIZE, data=make_form(encoded(".png"))), 413)


def test_choice_of_model_and_detector(reader, encoded):
    created = []

    def create(model, detector):
        created.append((model, detector))
        return reader

    client = create_app(Readers(create, ["small", "large"], ["haar", "yunet"])).test_client()
    options = client.get("/api/v1/options").json
    assert (options["models"], options["detectors"]) == (["small", "large"], ["haar", "yunet"])
    assert options["descriptions"]["detectors"] == {"haar": "", "yunet": ""}
    assert options["limits"]["photo_bytes"] == Limits().photo_bytes

    photo = encoded(".jpg")
    for query in ("", "?model=large", "?model=large&detector=yunet", "?model=small"):
        assert client.post(RECOGNIZE + query, data=photo).status_code == 200
    assert created == [("small", "haar"), ("large", "haar"), ("large", "yunet")]
    for query, problem in (("?model=huge", "small, large"), ("?detector=eyes", "haar, yunet")):
        assert problem in message(client.post(RECOGNIZE + query, data=photo), 400)


@pytest.mark.parametrize(("route", "known"), [(RECOGNIZE, "on_missing"), (VIDEO, "rate")])
def test_unknown_parameters(client, encoded, route, known):
    text = message(client.post(f"{route}?modell=small", data=b"-"), 400)
    assert text.startswith("There is no parameter 'modell'. Parameters are model, detector,")
    assert known in text
    text = message(client.post(route, data=make_form(encoded(".jpg"), model="small")), 400)
    assert text == "The form has a field 'model'. Add parameters to the URL, such as ?model=NAME."


def post_frame(client, photo, time, known=None, query=""):
    fields = {}
    if known is not None:
        fields["known"] = known if isinstance(known, str) else json.dumps(known)
    return client.post(f"{RECOGNIZE}?time={time}{query}", data=make_form(photo, **fields))


def test_tracking_of_camera_frames(client, astronaut):
    bright, dark = encode_png(astronaut[..., ::-1]), encode_png(astronaut[..., ::-1] // 3)
    first = post_frame(client, bright, 0.0).json
    assert first["faces"] == []  # a face is reported after 0.4 seconds
    second = post_frame(client, bright, 0.2, first["known"]).json
    assert second["faces"] == []
    third = post_frame(client, bright, 0.4, second["known"]).json
    [face] = third["faces"]
    assert (face["id"], face["expression"]) == (1, "happy")
    fourth = post_frame(client, dark, 0.5, third["known"]).json
    [smoothed] = fourth["faces"]
    assert (smoothed["id"], smoothed["expression"]) == (1, "happy")
    [unsmoothed] = post_frame(client, dark, 0.5, third["known"], "&smoothing=0").json["faces"]
    assert (unsmoothed["id"], unsmoothed["expression"]) == (1, "sad")
    assert smoothed["probability"] < face["probability"]
    # After a minute, it counts as a new face.
    assert post_frame(client, bright, 60.0, fourth["known"]).json["faces"][0]["id"] == 2
    assert "known" not in client.post(RECOGNIZE, data=bright).json


def test_tracking_with_another_model(reader, encoded):
    other = type(reader)()
    other.classes = ["glad", "grim"]
    readers = {"one": reader, "other": other}
    client = create_app(Readers(lambda model, _: readers[model], list(readers), ["haar"]))
    client = client.test_client()
    first = post_frame(client, encoded(".jpg"), 0.0).json
    [face] = post_frame(client, encoded(".jpg"), 0.5, first["known"], "&model=other").json["faces"]
    assert (face["id"], face["expression"]) == (1, "glad")


def known_face(number, box):
    face = {"id": number, "box": box, "seen": 0, "probabilities": None}
    face |= {"first": 0, "detected": 1, "searched": 1}
    return json.dumps({"classes": [], "next": 1, "time": 0, "faces": [face]})


@pytest.mark.parametrize(
    "known",
    [
        "no JSON",
        "[]",
        "{}",
        '{"classes": [], "next": 1, "time": 0, "faces": [7]}',
        '{"classes": [], "next": -1, "time": 0, "faces": []}',
        known_face(1, [0, 0, 9, 9]),  # the next number is 1
        known_face(0, [0, 0, 0, 9]),
        known_face(0, [0, float("nan"), 9, 9]),
        known_face(0, [0, 1e300, 9, 9]),
        known_face(0, [0, 10**400, 9, 9]),
        known_face(10**400, [0, 0, 9, 9]).replace('"next": 1', f'"next": {10**401}'),
        known_face(0, [0, 0, 9, 9]).replace('"next": 1', '"next": ' + 4300 * "9"),
        known_face(0, [0, 0, 9, 9]).replace('"next": 1', '"next": ' + 4301 * "9"),
        30_000 * "[",
        30_000 * '{"classes":',
    ],
)
def test_invalid_known_faces(client, encoded, known):
    assert message(post_frame(client, encoded(".jpg"), 1.0, known), 400).startswith("known ")


@pytest.mark.parametrize(
    "query",
    ["time=-1", f"time={10**4000}", "time=soon", "time=nan", "time=1&smoothing=-1"]
    + [f"rate={rate}" for rate in (0, -1, 1000, "many", "nan")],
)
def test_invalid_numbers(client, query):
    route, unit = (VIDEO, "frames a second") if "rate" in query else (RECOGNIZE, "seconds")
    text = message(client.post(f"{route}?{query}", data=b"-"), 400)
    assert unit in text
    assert len(text) < 200


class SlowReader:
    classes = ["happy"]

    def __init__(self):
        self.started, self.resume = threading.Event(), threading.Event()

    def read(self, images):
        self.started.set()
        assert self.resume.wait(20)
        return [FaceReading(Detections.none(), np.empty((0, 1))) for _ in images]


def test_concurrent_requests(encoded):
    reader, photo = SlowReader(), encoded(".jpg")
    client = create_app(reader, limits=Limits(concurrent=1, patience=0)).test_client
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(lambda: client().post(RECOGNIZE, data=photo))
        assert reader.started.wait(20)
        second = client().post(RECOGNIZE, data=photo)
        assert "Try again" in message(second, 429)
        assert int(second.headers["Retry-After"]) >= 1
        assert client().get("/api/v1/health").json["status"] == "ok"
        reader.resume.set()
        assert first.result().status_code == 200
    assert client().post(RECOGNIZE, data=photo).status_code == 200


def test_waiting_requests(encoded, monkeypatch):
    monkeypatch.setattr("skfer.web._limits.MAX_WAITING", 1)
    reader, photo = SlowReader(), encoded(".jpg")
    app = create_app(reader, limits=Limits(concurrent=1, patience=60))
    with ThreadPoolExecutor(5) as threads:
        posts = [
            threads.submit(lambda: app.test_client().post(RECOGNIZE, data=photo).status_code)
            for _ in range(5)
        ]
        # One request is processed and one waits; the others are refused without waiting.
        assert [post.result() for post in islice(as_completed(posts, 30), 3)] == [429] * 3
        reader.resume.set()
    assert sorted(post.result() for post in posts) == [200, 200, 429, 429, 429]


def test_refused_uploads_free_their_slots(reader, encoded):
    client = create_app(reader, limits=Limits(concurrent=1, patience=0)).test_client()
    for _ in range(3):
        message(client.post(RECOGNIZE, data=b"no photo"), 415)
        message(client.post(VIDEO, data=b"no video"), 415)
    assert client.post(RECOGNIZE, data=encoded(".jpg")).status_code == 200


@pytest.mark.parametrize(("name", "value"), [("concurrent", 0), ("video_seconds", float("nan"))])
def test_invalid_limits(name, value):
    with pytest.raises(ValueError, match=f"{name}={value}"):
        Limits(**{name: value})


def test_routing_errors(client):
    assert message(client.get("/api/v2"), 404)
    assert message(client.get(RECOGNIZE), 405)


def test_failing_reader(encoded):
    class FailingReader:
        classes = ["happy"]

        def read(self, images):
            raise RuntimeError("secret")

    response = create_app(FailingReader()).test_client().post(RECOGNIZE, data=encoded(".jpg"))
    assert message(response, 500)
    assert "secret" not in response.text


def test_on_missing(fitted_pipeline, encoded):
    client = create_app(Readers.of(fitted_pipeline)).test_client()
    photo = encode_png(np.zeros((60, 80, 3), np.uint8))
    for query in ("", "?on_missing=blank"):
        result = client.post(RECOGNIZE + query, data=photo).json
        assert (result["faces"], result.get("whole_image")) == ([], None)
    result = client.post(f"{RECOGNIZE}?on_missing=image", data=photo).json
    assert result["whole_image"] is True
    [face] = result["faces"]
    assert face["box"] == {"x": 0, "y": 0, "width": 80, "height": 60}
    assert face["confidence"] is None
    assert sum(face["probabilities"].values()) == pytest.approx(1, abs=1e-3)
    response = client.post(f"{RECOGNIZE}?on_missing=raise", data=photo)
    assert "No face was found" in message(response, 422)
    for choice in ("image", "raise"):
        response = client.post(f"{RECOGNIZE}?on_missing={choice}", data=encoded(".jpg")).json
        assert [face["confidence"] is None for face in response["faces"]] == [False]
    response = client.post(f"{RECOGNIZE}?on_missing=drop", data=photo)
    assert "must be blank, image or raise" in message(response, 400)
    response = client.post(f"{RECOGNIZE}?on_missing=image&time=1", data=make_form(photo))
    assert "applies to photos" in message(response, 400)
