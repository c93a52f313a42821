"""Tracked faces, which are part of an answer and come back with the next frame.

The server keeps nothing between two frames of a camera, so that what it remembers of their faces
goes out with one answer and comes back with the next frame.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from werkzeug.exceptions import BadRequest

from skfer.recognition import FaceFollower, KnownFace
from skfer.web._answers import namer
from skfer.web._readers import Reader

_MOST = 1000
# Larger sides, times and numbers of faces are nobody's.
_LARGEST = 1e9


def follower_of(sent: str | None, reader: Reader, smoothing: float, now: float) -> FaceFollower:
    """A follower that goes on from what was sent; a new one if nothing was.

    Parameters
    ----------
    sent : str or None
        The `known` of an answer, as JSON.
    reader : Reader
        Names the faces. If its classes aren't those of the answer, faces keep their numbers, and
        the smoothing begins anew.
    smoothing : float
    now : float
        Seconds at which the frame was taken; faces seen later than that are not known yet.

    Raises
    ------
    werkzeug.exceptions.BadRequest
        If it is none that an answer has.
    """
    if not sent:
        return FaceFollower(namer(reader), smoothing)
    try:
        state = json.loads(sent)
        same = state["classes"] == [str(name) for name in reader.classes]
        known = [_known(face, len(reader.classes) if same else None) for face in state["faces"]]
        next_id = _whole(state["next"])
        (last,) = _numbers([state["time"]], 1)
    # RecursionError: JSON that is nested too deeply.
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise BadRequest(
            "known is not what an answer said: send back its `known` as it was, or leave it out."
        ) from error
    if len(known) > _MOST or any(face.face_id >= next_id for face in known):
        raise BadRequest(f"known has more than {_MOST} faces, or one that was not numbered yet.")
    known = [face for face in known if face.seen <= now]
    return FaceFollower(namer(reader), smoothing, known=known, next_id=next_id, last=float(last))


def known_of(follower: FaceFollower, reader: Reader) -> dict[str, Any]:
    """Return the tracked faces that come back with the next frame."""
    return {
        "classes": [str(name) for name in reader.classes],
        "next": follower.next_id,
        "time": follower.last,
        "faces": [
            {
                "id": face.face_id,
                "box": [round(float(side), 1) for side in face.box],
                "seen": face.seen,
                "probabilities": None
                if face.probabilities is None
                else [round(float(share), 5) for share in face.probabilities],
            }
            for face in follower.known
        ],
    }


def _known(face: dict[str, Any], n_classes: int | None) -> KnownFace:
    box = _numbers(face["box"], 4)
    if box[2:].min() <= 0:
        raise ValueError("a box without area")
    (seen,) = _numbers([face["seen"]], 1)
    row = face["probabilities"]
    shares = None if row is None or n_classes is None else _numbers(row, n_classes)
    return KnownFace(_whole(face["id"]), box, float(seen), shares)


def _numbers(values: list[Any], count: int) -> np.ndarray:
    try:
        numbers = np.array(values, np.float64)
    except OverflowError as error:
        raise ValueError("a whole number that is too large") from error
    # NaN fails this too.
    if numbers.shape != (count,) or not (np.abs(numbers) <= _LARGEST).all():
        raise ValueError(f"not {count} numbers of at most {_LARGEST:g}")
    return numbers


def _whole(value: Any) -> int:
    if not isinstance(value, int) or not 0 <= value <= _LARGEST:
        raise ValueError("no number of a face")
    return value
