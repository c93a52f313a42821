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


def png_of(image):
    return cv2.imencode(".png", image)[1].tobytes()


def png_declaring(width, height):
    """A small PNG whose header declares this size."""
    data = bytearray(png_of(np.zeros((8, 8, 3), np.uint8)))
    data[16:24] = struct.pack(">II", width, height)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    return bytes(data)


def form_of(*files, **fields):
    return {f"file{i}": (io.BytesIO(data), "me.jpg") for i, data in enumerate(files)} | fields


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".bmp"])
def test_faces_of_a_photo(client, encoded, suffix):
    answer = client.post(RECOGNIZE, data=encoded(suffix))
    assert answer.status_code == 200
    found = answer.json
    assert (found["width"], found["height"], found["classes"]) == (512, 512, ["happy", "sad"])
    [face] = found["faces"]
    assert face["box"]["x"] == pytest.approx(177, abs=8)
    assert face["box"]["width"] == pytest.approx(98, abs=8)
    assert face["expression"] == max(face["probabilities"], key=face["probabilities"].get)
    assert face["probability"] == max(face["probabilities"].values())
    assert sum(face["probabilities"].values()) == pytest.approx(1, abs=1e-3)


def test_a_form_and_a_body_have_the_same_answer(client, encoded):
    photo = encoded(".jpg")
    assert (
        client.post(RECOGNIZE, data=form_of(photo)).json == client.post(RECOGNIZE, data=photo).json
    )


def test_a_reader_may_abstain(reader, encoded):
    reader.expressions = lambda probabilities: ["unsure"] * len(probabilities)
    answer = create_app(reader).test_client().post(RECOGNIZE, data=encoded(".png"))
    assert [face["expression"] for face in answer.json["faces"]] == ["unsure"]


def test_a_photo_without_a_face_has_no_faces(client):
    found = client.post(RECOGNIZE, data=png_of(np.zeros((200, 300, 3), np.uint8))).json
    assert (found["width"], found["height"], found["faces"]) == (300, 200, [])


@pytest.mark.parametrize(
    ("end", "problem"),
    [(20_000, "JPEG that is truncated: its end is missing"), (50, "header is damaged")],
)
def test_a_truncated_photo_is_refused(client, encoded, end, problem):
    assert problem in message(client.post(RECOGNIZE, data=encoded(".jpg")[:end]), 422)


@pytest.mark.parametrize("route", [RECOGNIZE, VIDEO])
def test_a_request_has_one_file(client, route):
    assert "body is empty" in message(client.post(route), 400)
    multipart = {"content_type": "multipart/form-data"}
    assert "0 files" in message(client.post(route, data={"no": "file"}, **multipart), 400)
    assert "2 files" in message(client.post(route, data=form_of(b"a", b"b")), 400)


def test_text_named_jpg_is_refused(client):
    form = form_of(b"To whom it may concern")
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
def test_the_error_for_text_shows_how_to_post(client, route, body, kind):
    text = message(client.post(route, **body), 415)
    assert f" is {kind}, " in text
    assert "curl --data-binary @" in text
    assert len(text) < 300


def test_a_small_file_with_many_pixels_is_refused_by_its_header(client, reader):
    text = message(client.post(RECOGNIZE, data=png_declaring(30_000, 30_000)), 413)
    assert "30000 x 30000" in text
    # Decoding would raise another error.
    client = create_app(reader, limits=Limits(photo_pixels=10_000)).test_client()
    text = message(client.post(RECOGNIZE, data=png_declaring(101, 100)), 413)
    assert text.startswith("The photo has 101 x 100 pixels; at most 0.01 million")


@pytest.mark.parametrize(
    ("decode", "status", "problem"),
    [
        (_work.decode_slowly, 413, "more than 5 seconds"),
        (_work.decode_into_memory, 413, "more than the 750 MB of memory"),
        (_work.decode_and_crash, 422, "SIGSEGV"),
    ],
)
def test_a_photo_beyond_the_limits_of_decoding_is_refused(
    reader, encoded, monkeypatch, decode, status, problem
):
    client = create_app(reader, limits=Limits(photo_seconds=5, concurrent=1)).test_client()
    with monkeypatch.context() as patched:
        patched.setattr("skfer.web._uploads.decode", decode)
        assert problem in message(client.post(RECOGNIZE, data=encoded(".jpg")), status)
    assert client.post(RECOGNIZE, data=encoded(".jpg")).status_code == 200


@pytest.mark.parametrize(("route", "limit"), [(RECOGNIZE, "20 MB"), (VIDEO, "200 MB")])
def test_a_large_upload_is_refused_unread(client, route, limit):
    class Unreadable(io.BytesIO):
        def readinto(self, buffer):
            raise AssertionError("it was read")

        read = readinto

    sent = {"CONTENT_LENGTH": "1000000000", "wsgi.input": Unreadable()}
    text = message(client.post(route, environ_overrides=sent), 413)
    assert "1,000.0 MB" in text
    assert limit in text


def test_a_large_form_is_refused(reader, encoded):
    client = create_app(reader, limits=Limits(photo_bytes=1000)).test_client()
    assert "0.001 MB" in message(client.post(RECOGNIZE, data=form_of(encoded(".png"))), 413)


def test_models_and_detectors_are_chosen_by_name(reader, encoded):
    made = []

    def make(model, detector):
        made.append((model, detector))
        return reader

    client = create_app(Readers(make, ["small", "large"], ["haar", "yunet"])).test_client()
    options = client.get("/api/v1/options").json
    assert (options["models"], options["detectors"]) == (["small", "large"], ["haar", "yunet"])
    assert options["descriptions"]["detectors"] == {"haar": "", "yunet": ""}
    assert options["limits"]["photo_bytes"] == Limits().photo_bytes

    photo = encoded(".jpg")
    for query in ("", "?model=large", "?model=large&detector=yunet", "?model=small"):
        assert client.post(RECOGNIZE + query, data=photo).status_code == 200
    assert made == [("small", "haar"), ("large", "haar"), ("large", "yunet")]
    for query, problem in (("?model=huge", "small, large"), ("?detector=eyes", "haar, yunet")):
        assert problem in message(client.post(RECOGNIZE + query, data=photo), 400)


def post_frame(client, photo, time, known=None, query=""):
    fields = {}
    if known is not None:
        fields["known"] = known if isinstance(known, str) else json.dumps(known)
    return client.post(f"{RECOGNIZE}?time={time}{query}", data=form_of(photo, **fields))


def test_faces_of_a_camera_are_tracked_by_the_previous_answer(client, astronaut):
    bright, dark = png_of(astronaut[..., ::-1]), png_of(astronaut[..., ::-1] // 3)
    first = post_frame(client, bright, 0.0).json
    assert first["faces"] == []  # a face counts after 0.4 seconds
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
    # After a minute it is a new face.
    assert post_frame(client, bright, 60.0, fourth["known"]).json["faces"][0]["id"] == 2
    assert "known" not in client.post(RECOGNIZE, data=bright).json


def test_another_model_continues_with_the_same_faces(reader, encoded):
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
        known_face(1, [0, 0, 9, 9]),  # not numbered yet
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
def test_invalid_known_faces_are_refused(client, encoded, known):
    assert message(post_frame(client, encoded(".jpg"), 1.0, known), 400).startswith("known ")


@pytest.mark.parametrize(
    "query",
    ["time=-1", f"time={10**4000}", "time=soon", "time=nan", "time=1&smoothing=-1"]
    + [f"rate={rate}" for rate in (0, -1, 1000, "many", "nan")],
)
def test_invalid_numbers_are_refused(client, query):
    route, unit = (VIDEO, "frames a second") if "rate" in query else (RECOGNIZE, "seconds")
    text = message(client.post(f"{route}?{query}", data=b"-"), 400)
    assert unit in text
    assert len(text) < 200


class SlowReader:
    classes = ["happy"]

    def __init__(self):
        self.started, self.go_on = threading.Event(), threading.Event()

    def read(self, images):
        self.started.set()
        assert self.go_on.wait(20)
        return [FaceReading(Detections.none(), np.empty((0, 1))) for _ in images]


def test_excess_requests_are_refused_and_health_is_answered(encoded):
    reader, photo = SlowReader(), encoded(".jpg")
    client = create_app(reader, limits=Limits(concurrent=1, patience=0)).test_client
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(lambda: client().post(RECOGNIZE, data=photo))
        assert reader.started.wait(20)
        second = client().post(RECOGNIZE, data=photo)
        assert "Try again" in message(second, 429)
        assert int(second.headers["Retry-After"]) >= 1
        assert client().get("/api/v1/health").json["status"] == "ok"
        reader.go_on.set()
        assert first.result().status_code == 200
    assert client().post(RECOGNIZE, data=photo).status_code == 200


def test_more_requests_than_may_wait_are_refused_at_once(encoded, monkeypatch):
    monkeypatch.setattr("skfer.web._limits.MAX_WAITING", 1)
    reader, photo = SlowReader(), encoded(".jpg")
    app = create_app(reader, limits=Limits(concurrent=1, patience=60))
    with ThreadPoolExecutor(5) as threads:
        posts = [
            threads.submit(lambda: app.test_client().post(RECOGNIZE, data=photo).status_code)
            for _ in range(5)
        ]
        # Within the patience of the one that waits.
        assert [post.result() for post in islice(as_completed(posts, 30), 3)] == [429] * 3
        reader.go_on.set()
    assert sorted(post.result() for post in posts) == [200, 200, 429, 429, 429]


def test_a_refused_upload_frees_its_slot(reader, encoded):
    client = create_app(reader, limits=Limits(concurrent=1, patience=0)).test_client()
    for _ in range(3):
        message(client.post(RECOGNIZE, data=b"no photo"), 415)
        message(client.post(VIDEO, data=b"no video"), 415)
    assert client.post(RECOGNIZE, data=encoded(".jpg")).status_code == 200


@pytest.mark.parametrize(("name", "value"), [("concurrent", 0), ("video_seconds", float("nan"))])
def test_invalid_limits_are_refused(name, value):
    with pytest.raises(ValueError, match=f"{name}={value}"):
        Limits(**{name: value})


def test_errors_of_routing_are_json(client):
    assert message(client.get("/api/v2"), 404)
    assert message(client.get(RECOGNIZE), 405)


def test_the_error_of_a_failing_reader_has_no_details(encoded):
    class Broken:
        classes = ["happy"]

        def read(self, images):
            raise RuntimeError("secret")

    answer = create_app(Broken()).test_client().post(RECOGNIZE, data=encoded(".jpg"))
    assert message(answer, 500)
    assert "secret" not in answer.text


def test_on_missing_sets_the_answer_for_a_photo_without_a_face(fitted_pipeline, encoded):
    client = create_app(Readers.of(fitted_pipeline)).test_client()
    photo = png_of(np.zeros((60, 80, 3), np.uint8))
    for query in ("", "?on_missing=blank"):
        found = client.post(RECOGNIZE + query, data=photo).json
        assert (found["faces"], found.get("whole_image")) == ([], None)
    found = client.post(f"{RECOGNIZE}?on_missing=image", data=photo).json
    assert found["whole_image"] is True
    [face] = found["faces"]
    assert face["box"] == {"x": 0, "y": 0, "width": 80, "height": 60}
    assert face["confidence"] is None
    assert sum(face["probabilities"].values()) == pytest.approx(1, abs=1e-3)
    refused = client.post(f"{RECOGNIZE}?on_missing=raise", data=photo)
    assert "No face was found" in message(refused, 422)
    for choice in ("image", "raise"):
        answer = client.post(f"{RECOGNIZE}?on_missing={choice}", data=encoded(".jpg")).json
        assert [face["confidence"] is None for face in answer["faces"]] == [False]
    unknown = client.post(f"{RECOGNIZE}?on_missing=drop", data=photo)
    assert "must be blank, image or raise" in message(unknown, 400)
    camera = client.post(f"{RECOGNIZE}?on_missing=image&time=1", data=form_of(photo))
    assert "applies to photos" in message(camera, 400)
