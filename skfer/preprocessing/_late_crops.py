"""Crops that are cut again when they are asked for, because all of them would fill the memory."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np

from skfer._images import Images, LateImage
from skfer.detection import Detections

# Makes a crop of an image and the one face found in it, or none.
Cut = Callable[[np.ndarray, Detections], np.ndarray]


class BatchOfCrops:
    """The crops of a batch: kept as long as there is room, and cut again after that.

    Where the faces are is kept of all: reading an image again takes a fraction of what it takes
    to find its face.

    Parameters
    ----------
    images : Images
        Read again for a crop that was not kept.
    cut : callable
    room : int
        Bytes of crops to keep.
    """

    def __init__(self, images: Images, cut: Cut, room: int):
        self.crops = np.empty(len(images), dtype=object)
        self.found = np.zeros(len(images), dtype=bool)
        self._images = images
        self._cut = cut
        self._room = room
        self._counting = threading.Lock()
        # Rows of numbers: an object for each face would take ten times the memory.
        self._boxes = np.zeros((len(images), 4), np.int32)
        self._landmarks: np.ndarray | None = None

    def put(self, index: int, image: np.ndarray, face: Detections) -> None:
        """Cut the crop of an image, of which `face` holds the one to be cut out, or none."""
        crop = self._cut(image, face)
        self.found[index] = len(face) == 1
        with self._counting:
            if crop.nbytes <= self._room:
                self._room -= crop.nbytes
                self.crops[index] = crop
                return
            if self._landmarks is None and face.landmarks is not None:
                self._landmarks = np.zeros((len(self.crops), 5, 2), np.float32)
        self.crops[index] = LateCrop(self, index)
        if len(face):
            self._boxes[index] = face.boxes[0]
            if self._landmarks is not None and face.landmarks is not None:
                self._landmarks[index] = face.landmarks[0]

    def cut_again(self, index: int) -> np.ndarray:
        """The crop of one image, once more."""
        here = slice(index, index + 1) if self.found[index] else slice(0)
        landmarks = None if self._landmarks is None else self._landmarks[here]
        face = Detections(self._boxes[here], np.ones(len(self._boxes[here])), landmarks)
        return self._cut(self._images[index], face)


class LateCrop(LateImage):
    """A crop that is read and cut when it is asked for; `np.asarray` gives its pixels."""

    __slots__ = ("_batch", "_index")

    def __init__(self, batch: BatchOfCrops, index: int):
        self._batch = batch
        self._index = index

    def read(self) -> np.ndarray:
        """Cut the face out of the image again."""
        return self._batch.cut_again(self._index)
