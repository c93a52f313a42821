"""What a face detector is, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np


@dataclass(frozen=True, eq=False)
class Detections:
    """The faces found in one image.

    Parameters
    ----------
    boxes : ndarray of shape (k, 4), int32
        Left edge, top edge, width and height of every face, in pixels.
    scores : ndarray of shape (k,), float32
        The detector's confidence; higher is surer. Its scale is the detector's own.
    landmarks : ndarray of shape (k, 5, 2), float32, or None
        x and y, in pixels, of the right eye, the left eye, the tip of the nose, the right and
        the left corner of the mouth; right and left are the person's own. None if the detector
        finds no landmarks.

    Raises
    ------
    ValueError
        If there are not as many scores as boxes, or they hold NaN, infinity or a box that does
        not fit into int32.

    Examples
    --------
    >>> import numpy as np
    >>> from skfer.detection import Detections
    >>> faces = Detections(np.array([[5, 5, 24, 24], [40, 8, 60, 60]]), np.array([0.5, 2.0]))
    >>> len(faces)
    2
    >>> faces.largest_first().boxes
    array([[40,  8, 60, 60],
           [ 5,  5, 24, 24]], dtype=int32)
    """

    boxes: np.ndarray
    scores: np.ndarray
    landmarks: np.ndarray | None = None

    def __post_init__(self) -> None:
        given = np.asarray(self.boxes)
        if not (np.abs(given, dtype=float) < 2**31).all() or not np.isfinite(self.scores).all():
            raise ValueError("boxes and scores must be finite, and boxes must fit into int32.")
        boxes = given.astype(np.int32).reshape(-1, 4)
        scores = np.asarray(self.scores, np.float32).reshape(-1)
        if len(boxes) != len(scores):
            raise ValueError(f"{len(boxes)} boxes need as many scores; got {len(scores)}.")
        object.__setattr__(self, "boxes", boxes)
        object.__setattr__(self, "scores", scores)
        if self.landmarks is not None:
            landmarks = np.asarray(self.landmarks, np.float32).reshape(len(boxes), 5, 2)
            object.__setattr__(self, "landmarks", landmarks)

    @classmethod
    def none(cls) -> Detections:
        """No face.

        Returns
        -------
        Detections
        """
        return cls(np.empty((0, 4)), np.empty(0))

    def __len__(self) -> int:
        return len(self.boxes)

    def take(self, which: Any) -> Detections:
        """Some of the faces.

        Parameters
        ----------
        which : ndarray of shape (m,) of int, or of shape (k,) of bool
            Indices, or a mask.

        Returns
        -------
        Detections
        """
        landmarks = None if self.landmarks is None else self.landmarks[which]
        return Detections(self.boxes[which], self.scores[which], landmarks)

    def largest_first(self) -> Detections:
        """The same faces by falling area; equal ones by score, then top to bottom.

        Returns
        -------
        Detections
        """
        x, y, width, height = self.boxes.astype(np.int64).T
        return self.take(np.lexsort((x, y, -self.scores, -width * height)))


@runtime_checkable
class FaceDetector(Protocol):
    """Anything that finds faces in an image.

    An object that is shared between threads or processes has to be safe to use from several
    threads and picklable. A detector with scikit-learn's ``get_params`` (one that derives from
    `sklearn.base.BaseEstimator`) can be tuned inside a Pipeline:
    ``cropper__detector__min_neighbors``.

    Two more attributes are used where a detector has them. ``finds_landmarks``, if False, lets
    ``FaceCropper(align=True)`` refuse it before it has seen an image. ``cache_key()`` returns what
    decides the faces, for detections kept on disk, where the parameters don't say it all: the
    content of a file instead of its path.

    Examples
    --------
    >>> import numpy as np
    >>> from skfer import FaceCropper
    >>> from skfer.detection import Detections
    >>> class TopLeft:
    ...     def detect(self, image):
    ...         return Detections(np.array([[0, 0, 24, 24]]), np.array([1.0]))
    >>> FaceCropper(TopLeft()).fit_transform([np.zeros((60, 80), np.uint8)])[0].shape
    (24, 24)
    """

    def detect(self, image: np.ndarray) -> Detections:
        """Find the faces of one image.

        Parameters
        ----------
        image : ndarray of shape (H, W) or (H, W, 3), uint8
            Gray or RGB.

        Returns
        -------
        Detections
        """
        ...
