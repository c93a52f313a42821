"""`FaceTracker`: which face of this frame is which face of the frames before.

Written here because no library fits: of the packages for it, those that are light have been left
(motpy 2021, and norfair, which forbids NumPy 2), and those that are kept come with a tool kit of
drawing and data sets. They count frames besides, where a video of variable rate needs seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

# A face seen again after t seconds may have moved this many times its own side: a little from
# frame to frame, more over a gap, and not across the picture.
_STEP, _SPEED, _FARTHEST = 0.5, 2.0, 1.5
# Where frames come more slowly than a face is forgotten (every 50th of a video, a camera on a busy
# machine), one that was in the last of them may be in this one, up to so many seconds later.
_LONGEST_GAP = 5.0
# Side of one face as a multiple of the same face's before, at most.
_GROWTH = 1.8
_FORBIDDEN = 1e6


@dataclass
class _Track:
    face_id: int
    box: np.ndarray
    seen: float


class FaceTracker:
    """Give every face a number that stays its own from frame to frame.

    Faces are assigned to those known so that the distances moved, in units of their size, are
    least in sum [1]_. A face that comes back near the place where it was lost keeps its number.

    Parameters
    ----------
    memory : float, default=1.0
        Seconds that a face is remembered after it was last seen; if the next frame comes later,
        up to that one.
    next_id : int, default=0
        The number of the next new face.
    last : float, default=None
        When the last frame was, if another tracker has seen it.

    References
    ----------
    .. [1] Kuhn, H. W. (1955). The Hungarian method for the assignment problem. Naval Research
       Logistics Quarterly, 2, 83-97.

    Examples
    --------
    >>> import numpy as np
    >>> from skfer.recognition._face_tracker import FaceTracker
    >>> tracker = FaceTracker()
    >>> tracker.update(np.array([[10, 10, 40, 40], [90, 10, 40, 40]]), 0.00)
    [0, 1]
    >>> tracker.update(np.array([[86, 12, 40, 40]]), 0.04)
    [1]
    """

    def __init__(self, memory: float = 1.0, *, next_id: int = 0, last: float | None = None):
        self.memory = memory
        self.next_id = next_id
        self.last = last
        self._tracks: list[_Track] = []

    @property
    def known(self) -> list[int]:
        """Numbers of the faces that are remembered."""
        return [track.face_id for track in self._tracks]

    @property
    def tracks(self) -> list[tuple[int, list[float], float]]:
        """Number, last box and its time of each face that is remembered."""
        return [(track.face_id, track.box.tolist(), track.seen) for track in self._tracks]

    def remember(self, face_id: int, box: Sequence[float], seen: float) -> None:
        """Take over a face that another tracker gave a number below `next_id`."""
        self._tracks.append(_Track(face_id, np.asarray(box, float), seen))

    def update(self, boxes: np.ndarray, time: float) -> list[int]:
        """The number of each face of one frame, for boxes ``(k, 4)`` seen at `time` seconds."""
        self._tracks = [track for track in self._tracks if self._remembers(track, time)]
        self.last = time
        boxes = np.asarray(boxes, float).reshape(-1, 4)
        costs = self._costs(boxes, time)
        found: dict[int, _Track] = {}
        for face, place in zip(*linear_sum_assignment(costs), strict=True):
            if costs[face, place] < _FORBIDDEN:
                found[int(face)] = self._tracks[place]
        ids = []
        for face, box in enumerate(boxes):
            track = found.get(face)
            if track is None:
                track = _Track(self.next_id, box, time)
                self.next_id += 1
                self._tracks.append(track)
            track.box, track.seen = box, time
            ids.append(track.face_id)
        return ids

    def _remembers(self, track: _Track, time: float) -> bool:
        allowed = _LONGEST_GAP if track.seen == self.last else self.memory
        return time - track.seen <= max(allowed, self.memory)

    def _costs(self, boxes: np.ndarray, time: float) -> np.ndarray:
        """Distance of every face to every one known, in sides; `_FORBIDDEN` if it can't be it."""
        if not self._tracks or not len(boxes):
            return np.empty((len(boxes), len(self._tracks)))
        known = np.array([track.box for track in self._tracks])
        gaps = time - np.array([track.seen for track in self._tracks])
        side, known_side = (np.sqrt(of[:, 2] * of[:, 3]) for of in (boxes, known))
        center, known_center = (of[:, :2] + of[:, 2:] / 2 for of in (boxes, known))
        moved = np.linalg.norm(center[:, np.newaxis] - known_center, axis=2)
        sides = (side[:, np.newaxis] + known_side) / 2
        growth = np.abs(np.log(side[:, np.newaxis] / known_side))
        distance = moved / sides
        within_reach = distance <= np.minimum(_STEP + _SPEED * gaps, _FARTHEST)
        allowed = within_reach & (growth <= np.log(_GROWTH))
        return np.where(allowed, distance + growth, _FORBIDDEN)
