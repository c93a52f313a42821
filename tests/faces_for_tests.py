"""Drawn faces of which one part alone tells the class."""

from dataclasses import replace

import cv2
import numpy as np

from skfer.datasets._face_drawing import draw_face
from skfer.datasets._face_model import ActionUnits, Expression, Pose, sample_person
from skfer.datasets._faces import background, photograph

# What the two classes do with that part. Each has a sign of its own: a class that is known by what
# is missing can't be pointed at.
DIFFERENCES = {
    "mouth": (
        {"lip_stretcher": 1.0, "lips_part": 1.0},
        {"lips_part": 0.6, "jaw_drop": 0.6},
    ),
    "eyes and brows": (
        {"inner_brow_raiser": 1.0, "outer_brow_raiser": 1.0, "upper_lid_raiser": 1.0},
        {"brow_lowerer": 1.0, "lid_tightener": 1.0},
    ),
}


def faces_differing_in(part: str, n: int, *, size: int = 48, seed: int = 0):
    """Upright faces (n, size, size) of differing people, and their labels "a" and "b".

    Every other part moves too, by lot, and tells nothing.
    """
    rng = np.random.RandomState(seed)
    (other,) = set(DIFFERENCES) - {part}
    labels = np.array(["a", "b"])[rng.permutation(np.arange(n) % 2)]
    unit = 0.36 * size
    pose = Pose((size / 2, size / 2 - 0.26 * unit), unit).enlarged(3)
    images = np.empty((n, size, size), np.uint8)
    for place, label in enumerate(labels):
        one, two = DIFFERENCES[other]
        share = rng.uniform()
        distractor = {name: share * value for name, value in one.items()}
        distractor |= {name: (1 - share) * value for name, value in two.items()}
        telling = DIFFERENCES[part]["ab".index(label)]
        units = ActionUnits(**distractor, **telling)
        # Folds of the forehead belong to brows, but lie above them.
        person = replace(sample_person(rng), wrinkles=0.0, hair_length=0.0, fringe=0.0)
        canvas = cv2.resize(background(rng, (size, size), 3), (3 * size, 3 * size))
        draw_face(canvas, person, Expression(units, units), pose)
        small = cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA)
        gray = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
        images[place] = photograph(rng, gray, 0.02, 0.2)
    return images, labels
