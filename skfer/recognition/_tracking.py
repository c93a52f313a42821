"""`FaceFollower`: faces tracked through frames, with probabilities smoothed over time.

Tracking is implemented here because no library fits: the light packages are unmaintained (motpy) or
forbid NumPy 2 (norfair), and the others count frames, while videos of variable rate need seconds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from skfer.recognition._reader import FaceReading

# Seconds that a lost face keeps its number.
_MEMORY = 1.0
# Seconds that a face of the last frame keeps its number if frames are farther apart than that, such
# as every 50th frame of a video or a camera on a busy machine.
_MAX_FRAME_GAP = 5.0
# Maximum distance that a face moves in t seconds, in units of its side: offset + speed * t, up to a
# limit.
_DISTANCE_OFFSET, _SPEED, _MAX_DISTANCE = 0.5, 2.0, 1.5
# Maximum ratio of the sides of a face in two frames.
_MAX_GROWTH = 1.8
_FORBIDDEN = 1e6


@dataclass(frozen=True, eq=False)
class FollowedFace:
    """A face in one frame.

    Parameters
    ----------
    face_id : int
        Number of the face, the same in every frame.
    box : tuple of 4 int
        Left edge, top edge, width and height, in pixels.
    confidence : float
        Score of the detector.
    expression : object
        The most probable class.
    probabilities : ndarray of shape (n_classes,)
        Probabilities smoothed over time.
    detected : bool
        False if the frame was not searched. The box is then that of the last frame searched.

    Examples
    --------
    >>> import numpy as np
    >>> from skfer.recognition import FollowedFace
    >>> face = FollowedFace(0, (5, 5, 24, 24), 1.0, "happy", np.array([0.9, 0.1]))
    >>> face.expression, face.detected
    ('happy', True)
    """

    face_id: int
    box: tuple[int, int, int, int]
    confidence: float
    expression: Any
    probabilities: np.ndarray
    detected: bool = True


@dataclass(frozen=True, eq=False)
class KnownFace:
    """State of a tracked face.

    Parameters
    ----------
    face_id : int
        Number of the face.
    box : sequence of 4 float
        Its last box.
    seen : float
        Time of that box in seconds.
    probabilities : ndarray of shape (n_classes,) or None
        Its smoothed probabilities at that time; None starts the smoothing again.

    Examples
    --------
    >>> from skfer.recognition import FaceFollower, KnownFace
    >>> known = KnownFace(face_id=2, box=(5, 5, 24, 24), seen=0.0, probabilities=None)
    >>> follower = FaceFollower(lambda rows: ["happy"], known=[known], next_id=3, last=0.0)
    >>> [face.face_id for face in follower.known]
    [2]
    """

    face_id: int
    box: Any
    seen: float
    probabilities: np.ndarray | None


class FaceFollower:
    """Track faces from frame to frame and smooth their probabilities.

    Faces are assigned to known faces so that the sum of the distances, in units of their size,
    is minimal [1]_. A lost face that reappears within a second near its last position keeps its
    number.

    Parameters
    ----------
    name : callable
        Function from probabilities of shape (k, n_classes) to k labels, such as
        `FaceReader.expressions`.
    smoothing : float, default=0.3
        Time constant of the exponential smoothing of probabilities, in seconds: after a change,
        the smoothed value has moved by 63 % in that time. 0 disables smoothing.
    known : iterable of KnownFace, default=()
        State of another follower to continue from.
    next_id : int, default=0
        Number of the next new face.
    last : float, default=None
        Time of the other follower's last frame.

    Attributes
    ----------
    next_id : int
        Number of the next new face.
    last : float or None
        Time of the last frame; None before the first.

    References
    ----------
    .. [1] Kuhn, H. W. (1955). The Hungarian method for the assignment problem. Naval Research
       Logistics Quarterly, 2, 83-97.

    Examples
    --------
    >>> import numpy as np
    >>> from skfer.detection import Detections
    >>> from skfer.recognition import FaceFollower, FaceReading
    >>> follower = FaceFollower(lambda rows: ["happy" for row in rows])
    >>> for time, left in ((0.0, 5), (0.1, 7)):
    ...     faces = Detections(np.array([[left, 5, 40, 40]]), np.array([1.0]))
    ...     (face,) = follower.follow(FaceReading(faces, np.array([[0.9, 0.1]])), time)
    ...     face.face_id, face.box
    (0, (5, 5, 40, 40))
    (0, (7, 5, 40, 40))
    """

    def __init__(
        self,
        name: Callable[[np.ndarray], list[Any]],
        smoothing: float = 0.3,
        *,
        known: Iterable[KnownFace] = (),
        next_id: int = 0,
        last: float | None = None,
    ):
        self.next_id = next_id
        self.last = last
        self._name = name
        self._smoothing = smoothing
        self._known = {face.face_id: face for face in known}

    @property
    def known(self) -> list[KnownFace]:
        """Tracked faces, from which another follower can continue."""
        return list(self._known.values())

    def follow(self, reading: FaceReading, time: float) -> list[FollowedFace]:
        """Track the faces of the next frame.

        Parameters
        ----------
        reading : FaceReading
            Faces of the frame.
        time : float
            Time of the frame in seconds, later than that of the frame before.

        Returns
        -------
        list of FollowedFace
            Sorted by number.
        """
        self._known = {
            face.face_id: face
            for face in self.known
            if time - face.seen <= (_MAX_FRAME_GAP if face.seen == self.last else _MEMORY)
        }
        self.last = time
        detections = reading.detections
        followed = []
        for face_id, box, score, row in zip(
            self._assign(detections.boxes, time),
            detections.boxes.tolist(),
            detections.scores.tolist(),
            np.asarray(reading.probabilities, np.float64),
            strict=True,
        ):
            smoothed = self._smooth(row, self._known.get(face_id), time)
            self._known[face_id] = KnownFace(face_id, [*map(float, box)], time, smoothed)
            (expression,) = self._name(smoothed[np.newaxis])
            followed.append(FollowedFace(face_id, tuple(box), score, expression, smoothed))
        return sorted(followed, key=lambda face: face.face_id)

    def _assign(self, boxes: np.ndarray, time: float) -> list[int]:
        """Return the number of each face: that of a known face, or a new one."""
        known = self.known
        costs = _costs(boxes, known, time)
        face_ids = {
            int(row): known[column].face_id
            for row, column in zip(*linear_sum_assignment(costs), strict=True)
            if costs[row, column] < _FORBIDDEN
        }
        for index in range(len(boxes)):
            if index not in face_ids:
                face_ids[index] = self.next_id
                self.next_id += 1
        return [face_ids[index] for index in range(len(boxes))]

    def _smooth(self, row: np.ndarray, face: KnownFace | None, time: float) -> np.ndarray:
        """Smooth probabilities by the time since the face was last seen."""
        if face is None or face.probabilities is None or self._smoothing <= 0:
            return row
        weight = -math.expm1(-(time - face.seen) / self._smoothing)
        return face.probabilities + weight * (row - face.probabilities)


def _costs(boxes: np.ndarray, known: list[KnownFace], time: float) -> np.ndarray:
    """Return the distances to known faces in units of their side; `_FORBIDDEN` if too far."""
    if not known or not len(boxes):
        return np.empty((len(boxes), len(known)))
    center, side = _centers_and_sides(boxes)
    known_center, known_side = _centers_and_sides([face.box for face in known])
    elapsed = time - np.array([face.seen for face in known])
    moved = np.linalg.norm(center[:, np.newaxis] - known_center, axis=2)
    distance = moved / ((side[:, np.newaxis] + known_side) / 2)
    growth = np.abs(np.log(side[:, np.newaxis] / known_side))
    in_reach = distance <= np.minimum(_DISTANCE_OFFSET + _SPEED * elapsed, _MAX_DISTANCE)
    return np.where(in_reach & (growth <= np.log(_MAX_GROWTH)), distance + growth, _FORBIDDEN)


def _centers_and_sides(boxes: Any) -> tuple[np.ndarray, np.ndarray]:
    boxes = np.asarray(boxes, float)
    return boxes[:, :2] + boxes[:, 2:] / 2, np.sqrt(boxes[:, 2] * boxes[:, 3])
