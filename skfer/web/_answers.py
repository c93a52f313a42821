"""What was read, in the plain words of JSON."""

from __future__ import annotations

from typing import Any

import numpy as np


def face_records(reading: Any, classes: list[Any]) -> list[dict[str, Any]]:
    """The faces of one image, largest first, as they stand in an answer.

    Parameters
    ----------
    reading : FaceReading
    classes : list
        What the columns of its probabilities stand for.
    """
    found = reading.detections
    return [
        {
            "box": dict(zip(("x", "y", "width", "height"), box, strict=True)),
            "confidence": round(float(score), 4),
            "expression": str(classes[int(np.argmax(row))]),
            "probability": round(float(np.max(row)), 4),
            "probabilities": {
                str(name): round(float(value), 4) for name, value in zip(classes, row, strict=True)
            },
        }
        for box, score, row in zip(
            found.boxes.tolist(), found.scores, reading.probabilities, strict=True
        )
    ]
