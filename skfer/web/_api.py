"""The JSON API: photos and videos in, faces out."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict
from typing import Any

from flask import Blueprint, Response, jsonify, request, stream_with_context
from werkzeug.exceptions import BadRequest

from skfer import __version__
from skfer._utils import printable, shorten
from skfer._worker import WorkerPool
from skfer.recognition import FaceFollower
from skfer.web._answers import face_records, followed_records, namer
from skfer.web._known_faces import follower_of, known_of
from skfer.web._limits import Limits, Places, release_memory
from skfer.web._readers import Reader, Readers
from skfer.web._uploads import decoded_photo, sent_file
from skfer.web._video import SentVideo

_LINES = "application/x-ndjson"
# Frames of a video read in one call.
_BATCH = 8
# Bytes of a photo after which memory is given back.
_LARGE = 10_000_000
_DEFAULT_RATE, _MOST_RATE = 5.0, 60.0
_DEFAULT_SMOOTHING, _MOST_SECONDS = 0.3, 1e9


def make_api(readers: Readers, limits: Limits, places: Places, workers: WorkerPool) -> Blueprint:
    """The routes below ``/api/v1``."""
    api = Blueprint("api", __name__, url_prefix="/api/v1")

    @api.get("/health")
    def health() -> Response:
        return jsonify(status="ok", version=__version__)

    @api.get("/options")
    def options() -> Response:
        return jsonify(models=readers.models, detectors=readers.detectors, limits=asdict(limits))

    @api.post("/recognize")
    def recognize() -> Response:
        time, smoothing = _time(), _smoothing()
        with places.taken() as work:
            data = sent_file(request, limits.photo_bytes).read()
            gone = request.environ.get("waitress.client_disconnected")
            photo = decoded_photo(data, limits, workers, gone)
            reader = work(_chosen_reader, readers, request.args.copy())
            follower = None
            if time is not None:
                follower = follower_of(request.form.get("known"), reader, smoothing, time)
            [reading] = work(reader.read, [photo])
            height, width = photo.shape[:2]
            if photo.size > _LARGE:
                del photo
                release_memory()
        head = {"width": width, "height": height, "classes": _names(reader)}
        if follower is None or time is None:
            return jsonify(**head, faces=face_records(reading, reader))
        faces = followed_records(follower.follow(reading, time), reader)
        return jsonify(**head, faces=faces, known=known_of(follower, reader))

    @api.post("/video")
    def video() -> Response:
        rate, smoothing = _rate(), _smoothing()
        # What is opened here is closed when the answer has been sent, or given up.
        with ExitStack() as stack:
            work = stack.enter_context(places.taken(video=True))
            upload = sent_file(request, limits.video_bytes)
            gone = request.environ.get("waitress.client_disconnected")
            sent = stack.enter_context(SentVideo(upload, limits, workers, rate, gone))
            reader = work(_chosen_reader, readers, request.args.copy())
            head = {
                "width": sent.width,
                "height": sent.height,
                "duration": sent.duration,
                "classes": _names(reader),
            }
            records = _frame_records(sent, reader, work, smoothing)
            if request.accept_mimetypes.best == _LINES:
                lines = (json.dumps(line) + "\n" for line in _typed(head, records, sent))
                response = Response(stream_with_context(lines), mimetype=_LINES)
                response.call_on_close(stack.pop_all().close)
                return response
            frames = list(records)
            return jsonify(**head, frames=frames, complete=not sent.problem, message=sent.problem)

    return api


def _chosen_reader(readers: Readers, query: Mapping[str, str]) -> Reader:
    try:
        return readers.get(query.get("model"), query.get("detector"))
    except KeyError as error:
        raise BadRequest(error.args[0]) from error
    except (ImportError, OSError, ValueError) as error:
        # A detector whose package or file is not here: an answer to who chose it.
        raise BadRequest(f"This choice can't be had here. {error}") from error


def _names(reader: Reader) -> list[str]:
    return [printable(str(name)) for name in reader.classes]


def _rate() -> float:
    rate = _number("rate", _DEFAULT_RATE)
    if not 0 < rate <= _MOST_RATE:
        raise BadRequest(
            f"rate is {shorten(request.args['rate'])}; it is frames a second, above 0 up to "
            f"{_MOST_RATE:g}."
        )
    return rate


def _smoothing() -> float:
    return _seconds("smoothing", _DEFAULT_SMOOTHING)


def _time() -> float | None:
    return _seconds("time", 0.0) if "time" in request.args else None


def _seconds(name: str, default: float) -> float:
    seconds = _number(name, default)
    if not 0 <= seconds <= _MOST_SECONDS:
        raise BadRequest(f"{name} is {shorten(request.args[name])}; it is seconds, 0 or more.")
    return seconds


def _number(name: str, default: float) -> float:
    try:
        return float(request.args.get(name, default))
    except ValueError:
        return math.nan


def _frame_records(
    sent: SentVideo, reader: Reader, work: Callable[..., Any], smoothing: float
) -> Iterator[dict[str, Any]]:
    """Yield the frames with their faces, until the end or a break."""
    follower = FaceFollower(namer(reader), smoothing)
    for batch in sent.batches(_BATCH):
        readings = work(reader.read, [frame for _, frame in batch])
        for (moment, _), reading in zip(batch, readings, strict=True):
            faces = followed_records(follower.follow(reading, moment), reader)
            yield {"time": round(moment, 4), "faces": faces}


def _typed(
    head: dict[str, Any], records: Iterator[dict[str, Any]], sent: SentVideo
) -> Iterator[dict[str, Any]]:
    yield {"type": "video", **head}
    for record in records:
        yield {"type": "frame", **record}
    yield {"type": "end", "complete": not sent.problem, "message": sent.problem}
