"""Protocol of the compared systems."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

BATCH = 64
# Sides of further photos, in pixels. That of `photo.png` is 512.
PHOTO_SIDES = (1366, 4032)


class System:
    """Calls to a system; a face is (48, 48) uint8, gray."""

    #: Distributions whose size is measured, and the module that is imported.
    distributions: tuple[str, ...] = ()
    module = ""
    #: Whether it detects faces in photos.
    finds_faces = True

    def load(self) -> None:
        """Import the package and read its weights."""
        raise NotImplementedError

    def batch(self, faces: np.ndarray) -> list[str]:
        """Predict the labels of many faces, by the fastest call of the package."""
        return [self.own(face) for face in faces]

    def one(self, face: np.ndarray) -> str:
        """Predict the label of one face without detection, by the fastest call."""
        return self.batch(face[None])[0]

    def own(self, face: np.ndarray) -> str:
        """Predict the label of one face by the public call, without detection if possible."""
        return self.one(face)

    def photo(self, path: str) -> str:
        """Predict the label of the first face in a photo, by the public call."""
        raise NotImplementedError


def to_rgb(face: np.ndarray) -> np.ndarray:
    """Repeat the gray face in three channels."""
    return np.repeat(face[..., None], 3, axis=2)


def time_call(function: Callable[[], Any]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start
