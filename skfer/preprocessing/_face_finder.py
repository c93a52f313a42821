"""`FaceFinder`: the faces of one image after another, found and cut out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from skfer.detection import (
    Detections,
    FaceDetector,
    build_detector,
    detect_faces,
    list_detectors,
    remembering,
    to_eight_bits,
)
from skfer.detection._reduced import MAX_PIXELS
from skfer.preprocessing._alignment import aligned, can_align
from skfer.preprocessing._crop_geometry import cut_out, enlarged

if TYPE_CHECKING:
    from skfer.preprocessing._face_cropper import FaceCropper


@dataclass(frozen=True)
class FaceFinder:
    """What a `FaceCropper` does to an image, with its parameters checked and its detector built.

    A cropper makes one for each batch; who goes through single images keeps one for all of them.

    Parameters
    ----------
    detector : FaceDetector
    margin, square, align, min_face_size, whole_below
        As for `FaceCropper`.
    max_pixels : int
        A larger image is searched for faces on a reduced copy.
    """

    detector: FaceDetector
    margin: float
    square: bool
    align: bool
    min_face_size: int
    whole_below: int
    max_pixels: int = MAX_PIXELS

    @classmethod
    def of(cls, cropper: FaceCropper) -> FaceFinder:
        """The finder of a cropper.

        Raises
        ------
        ValueError
            If a parameter is out of range, or faces are to be aligned and the detector finds no
            landmarks.
        """
        cropper._validate_params()
        detector = cropper.detector
        if isinstance(detector, str):
            detector = build_detector(
                detector, min_face_size=cropper.min_face_size, landmarks=cropper.align
            )
        if cropper.align and not getattr(detector, "finds_landmarks", True):
            raise _landmarks_needed(cropper.detector)
        return cls(
            remembering(detector, cropper.memory),
            cropper.margin,
            cropper.square,
            cropper.align,
            cropper.min_face_size,
            cropper.whole_below,
        )

    def find(self, image: np.ndarray) -> Detections:
        """The faces of an image, largest first; the whole of one that is a face already."""
        if self._is_a_face(image):
            height, width = image.shape[:2]
            return Detections(np.array([[0, 0, width, height]]), np.ones(1))
        faces = detect_faces(self.detector, to_eight_bits(image), self.max_pixels)
        large_enough = faces.boxes[:, 2:].min(axis=1, initial=2**31 - 1) >= self.min_face_size
        return faces.take(large_enough).largest_first()

    def cut(self, image: np.ndarray, faces: Detections, index: int) -> np.ndarray:
        """The crop of one of the faces; one whose landmarks have no direction is cut by its box."""
        if self._is_a_face(image):
            return image.copy()
        if self.align and faces.landmarks is None:
            raise _landmarks_needed(self.detector)
        if self.align and can_align(faces.landmarks[index]):  # type: ignore[index]
            return aligned(image, faces.landmarks[index], margin=self.margin)  # type: ignore[index]
        box = faces.boxes[index].tolist()
        return cut_out(image, *enlarged(*box, margin=self.margin, square=self.square))

    def cut_all(self, image: np.ndarray, faces: Detections) -> list[np.ndarray]:
        """The crop of each face, in their order."""
        return [self.cut(image, faces, index) for index in range(len(faces))]

    def _is_a_face(self, image: np.ndarray) -> bool:
        """Whether the whole image is taken for a face that is cropped already."""
        return max(image.shape[:2]) < self.whole_below


def _landmarks_needed(detector: Any) -> ValueError:
    """The error for a detector that finds no landmarks where faces are to be aligned."""
    able = " or ".join(map(repr, list_detectors(landmarks=True)))
    return ValueError(
        f"align=True needs landmarks, which detector={detector!r} doesn't find: use "
        f"detector={able}, or align=False."
    )
