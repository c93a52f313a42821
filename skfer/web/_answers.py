"""Answers of the API as JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from skfer._utils import printable
from skfer.recognition import FaceReading, FollowedFace
from skfer.web._readers import Reader


def namer(reader: Reader) -> Callable[[np.ndarray], list[Any]]:
    """Return the function that names the expressions of probabilities.

    That is the reader's method `expressions`, as a `FaceReader` has it, which may abstain; without
    one the most probable class is the expression.
    """
    if hasattr(reader, "expressions"):
        return reader.expressions
    return lambda probabilities: [reader.classes[place] for place in probabilities.argmax(axis=1)]


def face_records(reading: FaceReading, reader: Reader) -> list[dict[str, Any]]:
    """The faces of one image, largest first, as they stand in an answer."""
    found = reading.detections
    return [
        _record(box, score, expression, row, reader)
        for box, score, expression, row in zip(
            found.boxes.tolist(),
            found.scores,
            namer(reader)(reading.probabilities),
            reading.probabilities,
            strict=True,
        )
    ]


def followed_records(faces: Sequence[FollowedFace], reader: Reader) -> list[dict[str, Any]]:
    """The faces of a frame, largest first, with their numbers."""
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
            printable(str(name)): round(float(value), 4)
            for name, value in zip(reader.classes, row, strict=True)
        },
    }
