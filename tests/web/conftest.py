from __future__ import annotations

import cv2
import numpy as np
import pytest

from skfer.detection import HaarDetector
from skfer.recognition import FaceReading


class BrightnessReader:
    """Haar's faces, called happy as far as they are bright: an answer that can be foretold.

    In the real video of the tests, light falls on the face and goes again.
    """

    classes = ["happy", "sad"]

    def __init__(self):
        self.n_images = 0

    def read(self, images):
        self.n_images += len(images)
        return [self._read_one(image) for image in images]

    def _read_one(self, image):
        faces = HaarDetector(min_face_size=48).detect(image)
        happy = [
            np.clip((np.mean(image[y : y + height, x : x + width]) - 68) / 20, 0.02, 0.98)
            for x, y, width, height in faces.boxes
        ]
        return FaceReading(faces, np.array([[one, 1 - one] for one in happy]).reshape(-1, 2))


@pytest.fixture
def reader():
    return BrightnessReader()


@pytest.fixture
def encoded(astronaut):
    """A photo as the bytes of an image file of that ending."""
    bgr = cv2.cvtColor(astronaut, cv2.COLOR_RGB2BGR)
    return lambda ending: cv2.imencode(ending, bgr)[1].tobytes()
