"""`Smoother`: probabilities of a face over time, with less flicker."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np


class Smoother:
    """Exponential smoothing by seconds, so that it means the same at every frame rate.

    Parameters
    ----------
    seconds : float
        Time constant: after a change, the smoothed value has gone 63 % of the way in that time.
        0 leaves values as they are.

    Examples
    --------
    >>> import numpy as np
    >>> from skfer.recognition._smoothing import Smoother
    >>> smoother = Smoother(0.5)
    >>> smoother.update(0, np.array([1.0, 0.0]), 0.0)
    array([1., 0.])
    >>> smoother.update(0, np.array([0.0, 1.0]), 0.5).round(2)
    array([0.37, 0.63])
    """

    def __init__(self, seconds: float):
        self.seconds = seconds
        self._last: dict[int, tuple[float, np.ndarray]] = {}

    def update(self, face_id: int, probabilities: np.ndarray, time: float) -> np.ndarray:
        """The smoothed probabilities of a face at `time` seconds."""
        if self.seconds > 0 and face_id in self._last:
            then, before = self._last[face_id]
            share = -math.expm1(-(time - then) / self.seconds)
            probabilities = before + share * (probabilities - before)
        self._last[face_id] = time, probabilities
        return probabilities

    def last(self, face_id: int) -> np.ndarray | None:
        """The smoothed probabilities of a face when it was last seen; None if it never was."""
        return self._last[face_id][1] if face_id in self._last else None

    def forget_all_but(self, known: Iterable[int]) -> None:
        """Drop the faces that will not come again, so that memory stays what it is."""
        known = set(known)
        for face_id in self._last.keys() - known:
            del self._last[face_id]
