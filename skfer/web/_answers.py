"""What was read, in the plain words of JSON."""

from __future__ import annotations

from typing import Any

import numpy as np

from skfer.web._readers import Reader


def face_records(reading: Any, reader: Reader) -> list[dict[str, Any]]:
    """The faces of one image, largest first, as they stand in an answer.

    Parameters
    ----------
    reading : FaceReading
    reader : Reader
        What read it. If it has a method `expressions`, as a `FaceReader` has, that names the faces,
        or abstains; if not, the most probable class does.
    """
    found, classes = reading.detections, reader.classes
    if hasattr(reader, "expressions"):
        expressions = reader.expressions(reading.probabilities)
    else:
        expressions = [classes[place] for place in np.argmax(reading.probabilities, axis=1)]
    return [
        {
            "box": dict(zip(("x", "y", "width", "height"), box, strict=True)),
            "confidence": round(float(score), 4),
            "expression": str(expression),
            "probability": round(float(np.max(row)), 4),
            "probabilities": {
                str(name): round(float(value), 4) for name, value in zip(classes, row, strict=True)
            },
        }
        for box, score, expression, row in zip(
            found.boxes.tolist(), found.scores, expressions, reading.probabilities, strict=True
        )
    ]
