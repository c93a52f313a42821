"""`FaceFollower`: faces tracked through frames, with probabilities smoothed over time.

Tracking is implemented here because no library fits: the light packages are unmaintained (motpy) or
forbid NumPy 2 (norfair), and the others count frames, while videos of variable rate need seconds.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeVar

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
_WAITING_BYTES = 256 * 2**20
# Default `min_duration` in videos and on the web page.
MIN_DURATION = 0.4

Item = TypeVar("Item")


@dataclass(frozen=True, eq=False)
class FollowedFace:
    """A face in one frame.

    Parameters
    ----------
    face_id : int
        Number of the face in all frames; -1 if the face does not count yet.
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


@dataclass(eq=False)
class KnownFace:
    """State of a tracked face.

    Parameters
    ----------
    face_id : int or None
        Number of the face; None until it was detected for `min_duration`.
    box : sequence of 4 float
        Its last box.
    seen : float
        Time of that box in seconds.
    probabilities : ndarray of shape (n_classes,) or None
        Its smoothed probabilities at that time; None starts the smoothing again.
    first : float, default=0.0
        Time of its first box in seconds.
    n_detected, n_searched : int, default=1
        Number of frames in which it was detected, and of frames searched, since its first box.

    Examples
    --------
    >>> from skfer.recognition import FaceFollower, KnownFace
    >>> known = KnownFace(face_id=2, box=(5, 5, 24, 24), seen=0.0, probabilities=None)
    >>> follower = FaceFollower(lambda rows: ["happy"], known=[known], next_id=3, last=0.0)
    >>> [face.face_id for face in follower.known]
    [2]
    """

    face_id: int | None
    box: Any
    seen: float
    probabilities: np.ndarray | None
    first: float = 0.0
    n_detected: int = 1
    n_searched: int = 1

    @property
    def is_frequent(self) -> bool:
        """True if it was detected in at least half of the frames since its first one."""
        return 2 * self.n_detected >= self.n_searched


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
    min_duration : float, default=0.0
        Seconds from the first detection until a face counts and gets a number. It must be detected
        in half of the frames of that time, so that false faces of a few frames do not count. If
        frames are farther apart, one detection is enough.
    known : iterable of KnownFace, default=()
        State of another follower to continue from.
    next_id : int, default=1
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
    (1, (5, 5, 40, 40))
    (1, (7, 5, 40, 40))
    """

    def __init__(
        self,
        name: Callable[[np.ndarray], list[Any]],
        smoothing: float = 0.3,
        *,
        min_duration: float = 0.0,
        known: Iterable[KnownFace] = (),
        next_id: int = 1,
        last: float | None = None,
    ):
        self.next_id = next_id
        self.last = last
        self._name = name
        self._smoothing = smoothing
        self.min_duration = min_duration
        self._known = list(known)
        self._n_frames = 0

    @property
    def known(self) -> list[KnownFace]:
        """Tracked faces, from which another follower can continue."""
        return list(self._known)

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
            The faces that count, sorted by number.
        """
        return numbered_faces(self._track(reading, time, delayed=False))

    def track(self, reading: FaceReading, time: float) -> list[tuple[KnownFace, FollowedFace]]:
        """Track the faces of the next frame, also those that do not count yet.

        Parameters
        ----------
        reading : FaceReading
            Faces of the frame.
        time : float
            Time of the frame in seconds, later than that of the frame before.

        Returns
        -------
        list of (KnownFace, FollowedFace)
            State, which later calls update, and face of each detection. The number of a face
            that does not count yet is -1.
        """
        return self._track(reading, time, delayed=True)

    def _track(
        self, reading: FaceReading, time: float, delayed: bool
    ) -> list[tuple[KnownFace, FollowedFace]]:
        """Track a frame; `delayed` states whether the frame before can still be reported."""
        frames_are_rare = self.last is not None and time - self.last >= self.min_duration
        if delayed and frames_are_rare and self._n_frames == 1:
            for face in self._known:  # of the first frame, which can still be reported
                self.count(face)
        self._n_frames += 1
        self._known = [
            face
            for face in self._known
            if time - face.seen <= (_MAX_FRAME_GAP if face.seen == self.last else _MEMORY)
        ]
        self.last = time
        detections = reading.detections
        assigned = self._assign(detections.boxes, time)
        for face in self._known:
            face.n_searched += 1
        tracked = []
        for index, (box, score, row) in enumerate(
            zip(
                detections.boxes.tolist(),
                detections.scores.tolist(),
                np.asarray(reading.probabilities, np.float64),
                strict=True,
            )
        ):
            if index not in assigned:
                face = KnownFace(None, box, time, row, first=time)
                self._known.append(face)
            else:
                face = assigned[index]
                face.probabilities = self._smooth(row, face, time)
                face.box, face.seen = box, time
                face.n_detected += 1
            if frames_are_rare or (time - face.first >= self.min_duration and face.is_frequent):
                self.count(face)
            probabilities = row if face.probabilities is None else face.probabilities
            (expression,) = self._name(probabilities[np.newaxis])
            face_id = -1 if face.face_id is None else face.face_id
            followed = FollowedFace(face_id, tuple(box), score, expression, probabilities)
            tracked.append((face, followed))
        return tracked

    def count(self, face: KnownFace) -> None:
        """Give a face the next number, if it has none.

        Parameters
        ----------
        face : KnownFace
        """
        if face.face_id is None:
            face.face_id = self.next_id
            self.next_id += 1

    def _assign(self, boxes: np.ndarray, time: float) -> dict[int, KnownFace]:
        """Return the known face of each box that has one."""
        costs = _costs(boxes, self._known, time)
        return {
            int(row): self._known[column]
            for row, column in zip(*linear_sum_assignment(costs), strict=True)
            if costs[row, column] < _FORBIDDEN
        }

    def _smooth(self, row: np.ndarray, face: KnownFace, time: float) -> np.ndarray:
        """Smooth probabilities by the time since the face was last seen."""
        if face.probabilities is None or self._smoothing <= 0:
            return row
        weight = -math.expm1(-(time - face.seen) / self._smoothing)
        return face.probabilities + weight * (row - face.probabilities)


# Item, time and tracked faces of a frame.
Tracked = tuple[Item, float, list[tuple[KnownFace, FollowedFace]]]


def numbered_faces(tracked: list[tuple[KnownFace, FollowedFace]]) -> list[FollowedFace]:
    """Return the faces that count, with their numbers, sorted by number."""
    faces = [
        replace(face, face_id=state.face_id) for state, face in tracked if state.face_id is not None
    ]
    return sorted(faces, key=lambda face: face.face_id)


def delay_faces(
    follower: FaceFollower,
    frames: Iterable[Tracked[Item]],
    n_bytes: Callable[[Item], int] = lambda item: 0,
) -> Iterator[tuple[Item, list[FollowedFace]]]:
    """Yield the frames of a video once it is known which of their faces count.

    Parameters
    ----------
    follower : FaceFollower
        The follower that tracked the frames.
    frames : iterable of (item, time, tracked faces)
        The faces are those of `FaceFollower.track`.
    n_bytes : callable, default=lambda item: 0
        Function from an item to its size in memory. If the items that wait exceed 256 MiB, the
        oldest is yielded with the faces that were detected in half of the frames.

    Yields
    ------
    tuple of item and list of FollowedFace
    """
    waiting: deque[Tracked[Item]] = deque()

    def release(*, early: bool) -> tuple[Item, list[FollowedFace]]:
        item, _, tracked = waiting.popleft()
        for face, _ in tracked:
            if early and face.is_frequent:
                follower.count(face)
        return item, numbered_faces(tracked)

    for frame in frames:
        waiting.append(frame)
        while waiting and (
            all(face.face_id is not None for face, _ in waiting[0][2])
            # Frames after the last one searched do not decide.
            or (follower.last or 0.0) - waiting[0][1] > follower.min_duration
        ):
            yield release(early=False)
        if len(waiting) * n_bytes(frame[0]) > _WAITING_BYTES:
            yield release(early=True)
    while waiting:
        yield release(early=True)


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
