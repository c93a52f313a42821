"""Draw the picture of the README and of the site's front page: annotated photos.

    python scripts/front_picture.py docs/images/front.jpg

The portrait shows Eileen Collins (NASA, public domain). The other people are drawn.
"""

from __future__ import annotations

import sys

import cv2
import numpy as np
from skimage.data import astronaut

from skfer import annotate, load_pretrained, recognize
from skfer.datasets import make_faces

GAP = 12
PERSON = (480, 360)  # height and width of a drawn photo
CLASSES = ["happy", "surprise", "sad"]


def draw() -> np.ndarray:
    """Return an RGB image of the portrait and six drawn people, side by side."""
    people = make_faces(
        6,
        classes=CLASSES,
        scene=PERSON,
        occlusion=0,
        noise=0.0,
        pose=6.0,
        color=True,
        random_state=14,
    )
    rows = [np.hstack(people.images[first : first + 3]) for first in (0, 3)]
    group = np.vstack(rows)
    portrait = astronaut()[:340, 54:394]
    portrait = cv2.resize(portrait, (len(group),) * 2, interpolation=cv2.INTER_CUBIC)
    faces = load_pretrained("fer2013")
    pictures = [
        annotate(photo, recognize([photo], faces), bars=bars)
        for photo, bars in ((portrait, True), (group, False))
    ]
    gap = np.full((len(group), GAP, 3), 255, np.uint8)
    return np.hstack([pictures[0], gap, pictures[1]])


if __name__ == "__main__":
    picture = cv2.resize(draw(), None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)
    quality = [cv2.IMWRITE_JPEG_QUALITY, 88]
    cv2.imwrite(sys.argv[1], cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), quality)
