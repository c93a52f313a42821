"""`FaceFollower`: the faces of one frame after another, with numbers and calmer probabilities."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from skfer.recognition._face_reader import FaceReading
from skfer.recognition._face_tracker import FaceTracker
from skfer.recognition._smoothing import Smoother


@dataclass(frozen=True, eq=False)
class FollowedFace:
    """A face in one frame.

    Parameters
    ----------
    face_id : int
        Its number, the same in every frame.
    box : tuple of 4 int
        Left edge, top edge, width and height, in pixels.
    confidence : float
        The detector's.
    expression : object
        The most probable class.
    probabilities : ndarray of shape (n_classes,)
        Smoothed over time.
    detected : bool
        False if the frame was not searched, and the face is where it was in the last that was.

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
    """What is remembered of a face.

    Parameters
    ----------
    face_id : int
        Its number.
    box : sequence of 4 float
        Where it was last.
    seen : float
        When that was, in seconds.
    probabilities : ndarray of shape (n_classes,) or None
        Its smoothed probabilities then; None if they begin anew.

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
    """Follow faces from frame to frame, in videos and on the page by the same rules.

    Parameters
    ----------
    name : callable
        From probabilities of shape (k, n_classes) to k labels, as `FaceReader.expressions`.
    smoothing : float, default=0.3
        Time constant of the exponential smoothing of probabilities, in seconds; 0 for none.
    known : iterable of KnownFace, default=()
        What another follower remembered, whose work this one goes on with.
    next_id : int, default=0
        The number of the next new face.
    last : float, default=None
        When the other one's last frame was.

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
        self._name = name
        self._tracker = FaceTracker(next_id=next_id, last=last)
        self._smoother = Smoother(smoothing)
        for face in known:
            self._tracker.remember(face.face_id, face.box, face.seen)
            if face.probabilities is not None:
                self._smoother.update(face.face_id, face.probabilities, face.seen)

    @property
    def next_id(self) -> int:
        """The number of the next new face."""
        return self._tracker.next_id

    @property
    def last(self) -> float | None:
        """When the last frame was; None before the first."""
        return self._tracker.last

    @property
    def known(self) -> list[KnownFace]:
        """What is remembered, to go on from in another follower."""
        return [
            KnownFace(face_id, box, seen, self._smoother.last(face_id))
            for face_id, box, seen in self._tracker.tracks
        ]

    def follow(self, reading: FaceReading, time: float) -> list[FollowedFace]:
        """The faces of the next frame, in the order of their numbers.

        Parameters
        ----------
        reading : FaceReading
            What was found in the frame.
        time : float
            When it was, in seconds; later than the frame before.

        Returns
        -------
        list of FollowedFace
        """
        found = reading.detections
        ids = self._tracker.update(found.boxes, time)
        self._smoother.forget_all_but(self._tracker.known)
        faces = []
        for face_id, box, score, row in zip(
            ids, found.boxes.tolist(), found.scores.tolist(), reading.probabilities, strict=True
        ):
            smooth = self._smoother.update(face_id, np.asarray(row, np.float64), time)
            (expression,) = self._name(smooth[np.newaxis])
            faces.append(FollowedFace(face_id, tuple(box), score, expression, smooth))
        return sorted(faces, key=lambda face: face.face_id)
