"""JSON API: routes below ``/api/v1``, and faces as JSON."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from inspect import signature
from typing import TYPE_CHECKING, Any

import numpy as np
from flask import Blueprint, Response, jsonify, request, stream_with_context
from werkzeug.exceptions import BadRequest, UnprocessableEntity

from skfer import __version__
from skfer._utils import printable, shorten
from skfer._worker import WorkerPool
from skfer.web._limits import Limits, WorkSlots, release_memory
from skfer.web._readers import Reader, Readers, label_function
from skfer.web._uploads import UploadedVideo, decode_photo, uploaded_file

# Imported on use, so that the server starts without scikit-learn.
if TYPE_CHECKING:
    from skfer.recognition import FaceFollower, FaceReading, FollowedFace, KnownFace

VIDEO_PATH = "/api/v1/video"
_LINES = "application/x-ndjson"
# Frames of a video read in one call.
_BATCH = 8
# Memory is released after photos with more bytes than this.
_LARGE_PHOTO = 10_000_000
_MAX_KNOWN_FACES = 1000
_DEFAULT_SMOOTHING = 0.3
_PHOTO_PARAMETERS = "model", "detector", "on_missing", "smoothing", "time"
_VIDEO_PARAMETERS = "model", "detector", "rate", "smoothing"
# Minimum, maximum and meaning.
_SECONDS = 0.0, 1e9, "seconds, 0 or more"
# Largest coordinate, time and number of a known face.
_MAX_NUMBER = 1e9


def make_api(readers: Readers, limits: Limits, slots: WorkSlots, workers: WorkerPool) -> Blueprint:
    """Return the routes below ``/api/v1``."""
    api = Blueprint("api", __name__, url_prefix="/api/v1")

    @api.get("/health")
    def health() -> Response:
        return jsonify(status="loading" if readers.loading else "ok", version=__version__)

    @api.get("/options")
    def options() -> Response:
        return jsonify(
            models=readers.models,
            detectors=readers.detectors,
            descriptions=readers.descriptions,
            limits=asdict(limits),
        )

    @api.post("/recognize")
    def recognize() -> Response:
        _refuse_unknown(request.args, _PHOTO_PARAMETERS)
        time = _number("time", 0, *_SECONDS) if "time" in request.args else None
        smoothing = _number("smoothing", _DEFAULT_SMOOTHING, *_SECONDS)
        on_missing = request.args.get("on_missing", "blank")
        if on_missing not in ("blank", "image", "raise"):
            raise BadRequest(f"on_missing={shorten(on_missing)} must be blank, image or raise.")
        if time is not None and on_missing != "blank":
            raise BadRequest("on_missing applies to photos, not to frames with a time.")
        with slots.acquire() as run:
            data = uploaded_file(request, limits.photo_bytes, fields=["known"]).read()
            disconnected = request.environ.get("waitress.client_disconnected")
            photo = decode_photo(data, limits, workers, disconnected)
            reader = run(_chosen_reader, readers, request.args.copy())
            follower = None
            if time is not None:
                follower = _restore_follower(request.form.get("known"), reader, smoothing, time)
            # Readers of other programs may have no such parameter.
            choice = {"on_missing": "image"} if on_missing == "image" else {}
            if choice and "on_missing" not in signature(reader.read).parameters:
                raise BadRequest("This model does not classify photos without a face.")
            [reading] = run(partial(reader.read, **choice), [photo])
            height, width = photo.shape[:2]
            if photo.size > _LARGE_PHOTO:
                del photo
                release_memory()
        head = {"width": width, "height": height, **_reader_record(reader)}
        if on_missing == "raise" and len(reading) == 0:
            raise UnprocessableEntity("No face was found in the photo (on_missing=raise).")
        if follower is None or time is None:
            whole = {"whole_image": True} if getattr(reading, "whole_image", False) else {}
            return jsonify(**head, **whole, faces=_face_records(reading, reader))
        faces = _followed_records(follower.follow(reading, time), reader)
        return jsonify(**head, faces=faces, known=_known_faces(follower, reader))

    @api.post("/video")
    def video() -> Response:
        _refuse_unknown(request.args, _VIDEO_PARAMETERS)
        rate = _number("rate", 5.0, 1e-9, 60.0, "frames a second, above 0 and at most 60")
        smoothing = _number("smoothing", _DEFAULT_SMOOTHING, *_SECONDS)
        # Closed when the response has been sent or abandoned.
        with ExitStack() as stack:
            run = stack.enter_context(slots.acquire(video=True))
            upload = uploaded_file(request, limits.video_bytes)
            disconnected = request.environ.get("waitress.client_disconnected")
            video = UploadedVideo(upload, stack, limits, workers, rate, disconnected)
            reader = run(_chosen_reader, readers, request.args.copy())
            head = {
                "width": video.width,
                "height": video.height,
                "duration": video.duration,
            }
            head |= _reader_record(reader)
            frames = _frame_records(video, reader, run, smoothing)
            if request.accept_mimetypes.best == _LINES:
                lines = stream_with_context(_lines(head, frames, video))
                response = Response(lines, mimetype=_LINES)
                response.call_on_close(stack.pop_all().close)
                return response
            all_frames = list(frames)
            end = {"complete": not video.problem, "message": video.problem}
            return jsonify(**head, frames=all_frames, **end)

    return api


def _refuse_unknown(given: Iterable[str], parameters: Sequence[str]) -> None:
    for name in given:
        if name not in parameters:
            raise BadRequest(
                f"There is no parameter {shorten(name)}. Parameters are {', '.join(parameters)}."
            )


def _chosen_reader(readers: Readers, query: Mapping[str, str]) -> Reader:
    try:
        return readers.get(query.get("model"), query.get("detector"))
    except KeyError as error:
        raise BadRequest(error.args[0]) from error
    except ImportError as error:
        raise BadRequest(f"This model or detector can't be used. {error}") from error
    except (OSError, ValueError) as error:
        # The message may have paths of this machine.
        logging.getLogger("skfer.web").warning("A model or detector can't be used: %s", error)
        raise BadRequest(
            "This model or detector can't be used: the log of the server has the reason."
        ) from error


def _reader_record(reader: Reader) -> dict[str, Any]:
    """Return the classes, and the name of the detector if the reader has one."""
    detector = getattr(reader, "detector", None)
    return {"classes": _class_names(reader)} | ({"detector": detector} if detector else {})


def _class_names(reader: Reader) -> list[str]:
    return [printable(str(name)) for name in reader.classes]


def _number(name: str, default: float, minimum: float, maximum: float, meaning: str) -> float:
    """Return a number of the query string."""
    try:
        number = float(request.args.get(name, default))
    except ValueError:
        number = math.nan
    if not minimum <= number <= maximum:
        raise BadRequest(f"{name}={shorten(request.args[name])} must be {meaning}.")
    return number


# Records of faces --------------------------------------------------------------------------------


def _face_records(reading: FaceReading, reader: Reader) -> list[dict[str, Any]]:
    """Return the faces of one image, largest first, or the whole image without a confidence."""
    found, probabilities = reading.detections, reading.probabilities
    labels = label_function(reader)(probabilities)
    faces = zip(found.boxes.tolist(), found.scores, labels, probabilities, strict=True)
    records = [_record(*face, reader) for face in faces]
    if getattr(reading, "whole_image", False):
        records[0]["confidence"] = None
    return records


def _followed_records(faces: Sequence[FollowedFace], reader: Reader) -> list[dict[str, Any]]:
    """Return the tracked faces of a frame, largest first."""
    return [
        {"id": face.face_id}
        | _record(face.box, face.confidence, face.expression, face.probabilities, reader)
        for face in sorted(faces, key=lambda face: -face.box[2] * face.box[3])
    ]


def _record(
    box: Sequence[int], score: float, expression: Any, row: np.ndarray, reader: Reader
) -> dict[str, Any]:
    return {
        "box": dict(zip(("x", "y", "width", "height"), box, strict=True)),
        "confidence": round(float(score), 4),
        "expression": printable(str(expression)),
        "probability": round(float(np.max(row)), 4),
        "probabilities": {
            name: round(float(value), 4)
            for name, value in zip(_class_names(reader), row, strict=True)
        },
    }


def _frame_records(
    video: UploadedVideo, reader: Reader, run: Callable[..., Any], smoothing: float
) -> Iterator[dict[str, Any]]:
    """Yield the frames of a video with their faces."""
    from skfer.recognition import MIN_DURATION, FaceFollower, delay_faces

    follower = FaceFollower(label_function(reader), smoothing, min_duration=MIN_DURATION)

    def track_frames() -> Iterator[tuple[float, float, Any]]:
        for batch in video.batches(_BATCH):
            readings = run(reader.read, [frame for _, frame in batch])
            for (time, _), reading in zip(batch, readings, strict=True):
                yield time, time, follower.track(reading, time)

    for time, faces in delay_faces(follower, track_frames()):
        yield {"time": round(time, 4), "faces": _followed_records(faces, reader)}


def _lines(
    head: dict[str, Any], frames: Iterator[dict[str, Any]], video: UploadedVideo
) -> Iterator[str]:
    yield json.dumps({"type": "video", **head}) + "\n"
    for frame in frames:
        yield json.dumps({"type": "frame", **frame}) + "\n"
    end = {"type": "end", "complete": not video.problem, "message": video.problem}
    yield json.dumps(end) + "\n"


# Tracked faces of a camera, which the client sends back with the next frame: the server keeps no
# state between requests.


def _known_faces(follower: FaceFollower, reader: Reader) -> dict[str, Any]:
    """Return the tracked faces, from which `_restore_follower` continues."""
    return {
        "classes": [str(name) for name in reader.classes],
        "next": follower.next_id,
        "time": follower.last,
        "faces": [
            {
                "id": face.face_id,
                "box": [round(float(side), 1) for side in face.box],
                "seen": face.seen,
                "first": face.first,
                "detected": face.n_detected,
                "searched": face.n_searched,
                "probabilities": None
                if face.probabilities is None
                else [round(float(value), 5) for value in face.probabilities],
            }
            for face in follower.known
        ],
    }


def _restore_follower(
    known: str | None, reader: Reader, smoothing: float, now: float
) -> FaceFollower:
    """Return a follower that continues from the `known` of a response, or a new one without it.

    If the reader has other classes, faces keep their numbers and the smoothing starts again.
    Faces seen after `now` are ignored.
    """
    from skfer.recognition import MIN_DURATION, FaceFollower

    if not known:
        return FaceFollower(label_function(reader), smoothing, min_duration=MIN_DURATION)
    try:
        state = json.loads(known)
        same = state["classes"] == [str(name) for name in reader.classes]
        n_classes = len(reader.classes) if same else None
        faces = [_parse_face(face, n_classes) for face in state["faces"]]
        next_id = _parse_count(state["next"])
        (last,) = _parse_numbers([state["time"]], 1)
        if len(faces) > _MAX_KNOWN_FACES or any(
            face.face_id is not None and face.face_id >= next_id for face in faces
        ):
            raise ValueError("too many faces, or a face without a number")
    # OverflowError: large integers. RecursionError: nested JSON.
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise BadRequest(
            "known is not valid: send the `known` of the previous response unchanged, or omit it."
        ) from error
    return FaceFollower(
        label_function(reader),
        smoothing,
        min_duration=MIN_DURATION,
        known=[face for face in faces if face.seen <= now],
        next_id=next_id,
        last=float(last),
    )


def _parse_face(face: dict[str, Any], n_classes: int | None) -> KnownFace:
    from skfer.recognition import KnownFace

    box = _parse_numbers(face["box"], 4)
    if box[2:].min() <= 0:
        raise ValueError("a box without area")
    first, seen = map(float, _parse_numbers([face["first"], face["seen"]], 2))
    counts = [_parse_count(face[name]) for name in ("detected", "searched")]
    face_id = None if face["id"] is None else _parse_count(face["id"])
    row = face["probabilities"]
    probabilities = None if row is None or n_classes is None else _parse_numbers(row, n_classes)
    return KnownFace(face_id, box, seen, probabilities, first, *counts)


def _parse_numbers(values: list[Any], count: int) -> np.ndarray:
    numbers = np.array(values, np.float64)
    # Also False for NaN.
    if numbers.shape != (count,) or not (np.abs(numbers) <= _MAX_NUMBER).all():
        raise ValueError(f"not {count} numbers of at most {_MAX_NUMBER:g}")
    return numbers


def _parse_count(value: Any) -> int:
    if not isinstance(value, int) or not 0 <= value <= _MAX_NUMBER:
        raise ValueError("not the number of a face")
    return value
