"""One face of a picture as a crop, by its landmarks or by its box."""

from __future__ import annotations

from typing import Any

import numpy as np

from skfer.detection import Detections, list_detectors
from skfer.preprocessing._alignment import aligned, can_align
from skfer.preprocessing._crop_geometry import cut_out, enlarged


def cut_face(
    image: np.ndarray, faces: Detections, index: int, *, margin: float, square: bool, align: bool
) -> np.ndarray:
    """The crop of one of the faces, as the parameters of `FaceCropper` say.

    With ``align`` the faces have landmarks; one whose landmarks have no direction is cut by its
    box.
    """
    if align and faces.landmarks is not None and can_align(faces.landmarks[index]):
        return aligned(image, faces.landmarks[index], margin=margin)
    box = faces.boxes[index].tolist()
    return cut_out(image, *enlarged(*box, margin=margin, square=square))


def landmarks_needed(detector: Any) -> ValueError:
    """The error for a detector that finds no landmarks where faces are to be aligned."""
    able = " or ".join(map(repr, list_detectors(landmarks=True)))
    return ValueError(
        f"align=True needs landmarks, which detector={detector!r} doesn't find: use "
        f"detector={able}, or align=False."
    )
