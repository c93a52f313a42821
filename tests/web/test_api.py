from __future__ import annotations

import io
import json
import struct
import threading
import zlib

import _work
import cv2
import numpy as np
import pytest
from _web import RECOGNIZE, VIDEO, message

from skfer.web import Limits, Readers, create_app


def png(width, height):
    """A PNG whose header promises that size, with hardly any pixels behind it."""

    def chunk(kind, content):
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(1_000_000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels)


# --- photos ------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", [".jpg", ".png", ".webp", ".bmp"])
def test_faces_of_a_photo(client, encoded, ending):
    answer = client.post(RECOGNIZE, data=encoded(ending))
    assert answer.status_code == 200
    found = answer.json
    assert (found["width"], found["height"], found["classes"]) == (512, 512, ["happy", "sad"])
    [face] = found["faces"]
    assert face["box"]["x"] == pytest.approx(177, abs=4)
    assert face["box"]["width"] == pytest.approx(95, abs=4)
    assert face["expression"] == max(face["probabilities"], key=face["probabilities"].get)
    assert face["probability"] == max(face["probabilities"].values())
    assert sum(face["probabilities"].values()) == pytest.approx(1, abs=1e-3)


def test_a_reader_may_abstain(reader, encoded):
    reader.expressions = lambda probabilities: ["unsure"] * len(probabilities)
    answer = create_app(reader).test_client().post(RECOGNIZE, data=encoded(".png"))
    assert [face["expression"] for face in answer.json["faces"]] == ["unsure"]


def test_a_form_says_the_same_as_the_bare_bytes(client, encoded):
    photo = encoded(".png")
    form = {"photo": (io.BytesIO(photo), "me.png")}
    assert client.post(RECOGNIZE, data=form).json == client.post(RECOGNIZE, data=photo).json


def test_a_photo_without_a_face_has_no_faces(client):
    answer = client.post(RECOGNIZE, data=png_of(np.zeros((200, 300, 3), np.uint8)))
    assert answer.json["faces"] == []
    assert (answer.json["width"], answer.json["height"]) == (300, 200)


def png_of(image):
    return cv2.imencode(".png", image)[1].tobytes()


def test_a_photo_lying_on_its_side_is_turned_by_its_orientation(client, astronaut):
    lying = np.rot90(astronaut)[..., ::-1]
    data = cv2.imencode(".jpg", np.ascontiguousarray(lying))[1].tobytes()
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    turned = data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:]
    assert len(client.post(RECOGNIZE, data=turned).json["faces"]) == 1


def test_nothing_sent(client):
    assert "body is empty" in message(client.post(RECOGNIZE), 400)
    assert "body is empty" in message(client.post(VIDEO), 400)


def test_a_form_without_a_file_and_with_two(client, encoded):
    form = {"multipart": "yes"}
    kind = "multipart/form-data"
    assert "0 files" in message(client.post(RECOGNIZE, data=form, content_type=kind), 400)
    two = {name: (io.BytesIO(encoded(".jpg")), name) for name in ("a.jpg", "b.jpg")}
    assert "2 files" in message(client.post(RECOGNIZE, data=two), 400)


def test_a_photo_cut_short(client, encoded):
    photo = encoded(".jpg")
    said = message(client.post(RECOGNIZE, data=photo[: len(photo) // 2]), 422)
    assert said == "The photo is a JPEG that is truncated: its end is missing."
    assert "header is damaged" in message(client.post(RECOGNIZE, data=photo[:50]), 422)


def test_a_text_called_jpg(client):
    form = {"photo": (io.BytesIO(b"To whom it may concern"), "photo.jpg")}
    assert "JPEG, PNG, WebP" in message(client.post(RECOGNIZE, data=form), 415)


DATA_URL = "data:image/jpeg;base64,/9j/4AAQSkZJRg" + "AAAA" * 5000


@pytest.mark.parametrize("route", [RECOGNIZE, VIDEO])
@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({"json": {"image": DATA_URL}}, "is JSON, which is not accepted"),
        ({"json": [DATA_URL]}, "is JSON, which is not accepted"),
        ({"data": json.dumps({"image": DATA_URL})}, "is JSON, which is not accepted"),
        ({"data": {"image": DATA_URL}}, "is a data URL, which is not accepted"),
        ({"data": DATA_URL.encode(), "content_type": "text/plain"}, "is a data URL, which"),
        ({"data": DATA_URL.partition(",")[2].encode()}, "is base64 text, which is not accepted"),
    ],
)
def test_text_in_place_of_a_file_is_told_how_to_post(client, route, body, problem):
    said = message(client.post(route, **body), 415)
    assert problem in said
    assert "curl --data-binary @" in said
    assert len(said) < 300


def test_a_small_file_of_many_pixels_is_refused_by_its_header(client, reader):
    said = message(client.post(RECOGNIZE, data=png(30_000, 30_000)), 413)
    assert "30000 x 30000" in said
    # Damaged pixels would be an error of another kind.
    client = create_app(reader, limits=Limits(photo_pixels=10_000)).test_client()
    said = message(client.post(RECOGNIZE, data=png(101, 100)), 413)
    assert said.startswith("The photo has 101 x 100 pixels; at most 0.01 million are taken.")


@pytest.mark.parametrize(
    ("decode", "status", "problem"),
    [
        (_work.decode_slowly, 413, "more than 5 seconds"),
        (_work.decode_into_memory, 413, "more than the 750 MB of memory"),
        (_work.decode_and_crash, 422, "SIGSEGV"),
    ],
)
def test_a_photo_that_takes_too_much_to_decode_is_refused(
    reader, encoded, monkeypatch, decode, status, problem
):
    client = create_app(reader, limits=Limits(photo_seconds=5, concurrent=1)).test_client()
    with monkeypatch.context() as patched:
        patched.setattr("skfer.web._uploads.decode", decode)
        assert problem in message(client.post(RECOGNIZE, data=encoded(".jpg")), status)
    assert client.post(RECOGNIZE, data=encoded(".jpg")).status_code == 200


def test_an_upload_too_large_is_refused_unread(client):
    class Untouched(io.RawIOBase):
        def readable(self):
            return True

        def readinto(self, buffer):
            raise AssertionError("it was read")

    for path, most in ((RECOGNIZE, "20 MB"), (VIDEO, "200 MB")):
        sent = {"CONTENT_LENGTH": "1000000000", "wsgi.input": Untouched()}
        answer = client.post(path, environ_overrides=sent)
        said = message(answer, 413)
        assert "1,000.0 MB" in said
        assert most in said


def test_a_form_too_large_is_refused(reader, encoded):
    client = create_app(reader, limits=Limits(photo_bytes=1000)).test_client()
    form = {"photo": (io.BytesIO(encoded(".png")), "me.png")}
    assert "limit is 0.001 MB" in message(client.post(RECOGNIZE, data=form), 413)


# --- choices -----------------------------------------------------------------------------------


def test_models_and_detectors_are_chosen_by_name(reader, encoded):
    made = []

    def make(model, detector):
        made.append((model, detector))
        return reader

    client = create_app(Readers(make, ["small", "large"], ["haar", "yunet"])).test_client()
    options = client.get("/api/v1/options").json
    assert (options["models"], options["detectors"]) == (["small", "large"], ["haar", "yunet"])
    assert options["limits"]["photo_bytes"] == Limits().photo_bytes

    photo = encoded(".jpg")
    for query in ("", "?model=large", "?model=large&detector=yunet", "?model=small"):
        assert client.post(RECOGNIZE + query, data=photo).status_code == 200
    assert made == [("small", "haar"), ("large", "haar"), ("large", "yunet")]


def test_a_choice_there_is_not(client, encoded):
    photo = encoded(".jpg")
    said = message(client.post(f"{RECOGNIZE}?model=huge", data=photo), 400)
    assert said == "Unknown model 'huge'. Known models: default."
    said = message(client.post(f"{RECOGNIZE}?detector=eyes", data=photo), 400)
    assert "Unknown detector 'eyes'" in said


def test_a_choice_that_lacks_its_package(encoded):
    def make(model, detector):
        raise ImportError('mtcnn is not installed: pip install "skfer[mtcnn]".')

    client = create_app(Readers(make, ["fer2013"], ["mtcnn"])).test_client()
    said = message(client.post(RECOGNIZE, data=encoded(".jpg")), 400)
    assert "skfer[mtcnn]" in said


# --- frames of a camera ------------------------------------------------------------------------


def frame_sent(client, photo, time, known=None, query=""):
    form = {"frame": (io.BytesIO(photo), "frame.jpg")}
    if known is not None:
        form["known"] = known if isinstance(known, str) else json.dumps(known)
    return client.post(f"{RECOGNIZE}?time={time}{query}", data=form)


def test_faces_of_a_camera_are_followed_by_what_the_answer_before_said(client, astronaut):
    bright = cv2.imencode(".png", astronaut[..., ::-1])[1].tobytes()
    dark = cv2.imencode(".png", astronaut[..., ::-1] // 3)[1].tobytes()
    first = frame_sent(client, bright, 0.0).json
    [face] = first["faces"]
    assert (face["id"], face["expression"]) == (0, "happy")
    second = frame_sent(client, dark, 0.1, first["known"]).json
    [calm] = second["faces"]
    assert (calm["id"], calm["expression"]) == (0, "happy")
    [hasty] = frame_sent(client, dark, 0.1, first["known"], "&smoothing=0").json["faces"]
    assert (hasty["id"], hasty["expression"]) == (0, "sad")
    assert calm["probability"] < face["probability"]
    # Away for long, it is somebody else; nothing was kept on the server.
    assert frame_sent(client, bright, 60.0, second["known"]).json["faces"][0]["id"] == 1
    assert frame_sent(client, bright, 60.0).json["faces"][0]["id"] == 0
    assert "known" not in client.post(RECOGNIZE, data=bright).json


def test_another_model_goes_on_with_the_same_faces(reader, encoded):
    other = type(reader)()
    other.classes = ["glad", "grim"]
    readers = {"one": reader, "other": other}
    client = create_app(Readers(lambda model, _: readers[model], list(readers), ["haar"]))
    client = client.test_client()
    photo = encoded(".jpg")
    first = frame_sent(client, photo, 0.0).json
    second = frame_sent(client, photo, 0.1, first["known"], "&model=other").json
    [face] = second["faces"]
    assert (face["id"], face["expression"]) == (0, "glad")


def known_face(number, box):
    face = {"id": number, "box": box, "seen": 0, "probabilities": None}
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
def test_what_no_answer_said_is_refused(client, encoded, known):
    assert message(frame_sent(client, encoded(".jpg"), 1.0, known), 400).startswith("known ")


@pytest.mark.parametrize(
    "query", ["time=-1", f"time={10**4000}", "time=soon", "time=nan", "time=1&smoothing=-1"]
)
def test_seconds_that_make_no_sense(client, encoded, query):
    said = message(client.post(f"{RECOGNIZE}?{query}", data=encoded(".jpg")), 400)
    assert "seconds" in said
    assert len(said) < 200


# --- work at once ------------------------------------------------------------------------------


class SlowReader:
    classes = ["happy"]

    def __init__(self):
        self.began, self.go_on = threading.Event(), threading.Event()

    def read(self, images):
        from skfer.detection import Detections
        from skfer.recognition import FaceReading

        self.began.set()
        assert self.go_on.wait(20)
        return [FaceReading(Detections.none(), np.empty((0, 1))) for _ in images]


def test_more_work_than_places_is_turned_away(encoded):
    reader, photo = SlowReader(), encoded(".jpg")
    app = create_app(reader, limits=Limits(concurrent=1, patience=0))
    answers = []
    first = threading.Thread(
        target=lambda: answers.append(app.test_client().post(RECOGNIZE, data=photo))
    )
    first.start()
    assert reader.began.wait(20)

    second = app.test_client().post(RECOGNIZE, data=photo)
    assert "Try again" in message(second, 429)
    assert int(second.headers["Retry-After"]) >= 1
    assert app.test_client().get("/api/v1/health").json["status"] == "ok"

    reader.go_on.set()
    first.join(20)
    assert answers[0].status_code == 200
    assert app.test_client().post(RECOGNIZE, data=photo).status_code == 200


def test_more_work_than_may_wait_is_refused_at_once(encoded, monkeypatch):
    monkeypatch.setattr("skfer.web._limits.MAX_WAITING", 1)
    reader, photo = SlowReader(), encoded(".jpg")
    app = create_app(reader, limits=Limits(concurrent=1, patience=60))
    statuses = []
    threads = [
        threading.Thread(
            target=lambda: statuses.append(
                app.test_client().post(RECOGNIZE, data=photo).status_code
            )
        )
        for _ in range(5)
    ]
    for thread in threads:
        thread.start()
    while len(statuses) < 3:  # within the patience of the one that waits
        threads[0].join(0.05)
    assert statuses == [429] * 3
    reader.go_on.set()
    for thread in threads:
        thread.join(20)
    assert statuses == [429] * 3 + [200] * 2


def test_a_refused_upload_gives_its_place_back(reader, encoded):
    client = create_app(reader, limits=Limits(concurrent=1, patience=0)).test_client()
    for _ in range(3):
        message(client.post(RECOGNIZE, data=b"no photo"), 415)
        message(client.post(VIDEO, data=b"no video"), 415)
    assert client.post(RECOGNIZE, data=encoded(".jpg")).status_code == 200


def test_limits_that_make_no_sense():
    with pytest.raises(ValueError, match="concurrent=0"):
        Limits(concurrent=0)
    with pytest.raises(ValueError, match="video_seconds=nan"):
        Limits(video_seconds=float("nan"))


# --- errors ------------------------------------------------------------------------------------


def test_errors_of_the_server_itself_are_json_too(client):
    assert message(client.get("/api/v2"), 404)
    assert message(client.get(RECOGNIZE), 405)


def test_a_failing_reader_is_an_error_without_its_insides(encoded):
    class Broken:
        classes = ["happy"]

        def read(self, images):
            raise RuntimeError("secret")

    client = create_app(Broken()).test_client()
    answer = client.post(RECOGNIZE, data=encoded(".jpg"))
    assert message(answer, 500)
    assert "secret" not in answer.text
