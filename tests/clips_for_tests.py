"""Videos of the tests' own, and a detector that knows the faces in them."""

from __future__ import annotations

from fractions import Fraction

import av
import cv2
import numpy as np

from skfer.detection import Detections

SIDE = 32


class BrightSquares:
    """Finds bright spots on a dark ground, and counts how often it was asked."""

    calls = 0

    def detect(self, image):
        type(self).calls += 1
        gray = image if image.ndim == 2 else image.min(axis=2)
        _, _, stats, _ = cv2.connectedComponentsWithStats((gray > 150).astype(np.uint8))
        boxes = [row[:4] for row in stats[1:] if row[4] > 300]
        if not boxes:
            return Detections.none()
        return Detections(np.array(boxes), np.full(len(boxes), 0.9)).largest_first()


def picture(*corners, size=(96, 160)):
    """A dark picture with bright squares at those upper left corners, each with a darker band.

    The band's height follows from the place, so that a face that moves looks different.
    """
    drawn = np.full((*size, 3), 40, np.uint8)
    for x, y in corners:
        drawn[y : y + SIDE, x : x + SIDE] = 250
        band = y + 5 * x % 22
        drawn[band : band + 10, x : x + SIDE] = 170
    return drawn


def write_clip(path, pictures, times=None, *, container=None, options=None):
    """A video of those pictures, shown from those seconds on; 25 a second without."""
    times = [place / 25 for place in range(len(pictures))] if times is None else times
    with av.open(str(path), "w", format=container, options=options or {}) as file:
        stream = file.add_stream("libx264", rate=25, options={"crf": "12", "bf": "2"})
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for drawn, seconds in zip(pictures, times, strict=True):
            frame = av.VideoFrame.from_ndarray(drawn, format="rgb24")
            frame.time_base = Fraction(1, 1000)
            frame.pts = round(1000 * seconds)
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path
