from __future__ import annotations

import numpy as np
import pytest

from skfer.detection import Detections
from skfer.recognition import FaceFollower, FaceReading


def name(probabilities):
    return ["happy" if row[0] >= 0.5 else "sad" for row in probabilities]


def reading(*faces):
    """Faces of 40 pixels at those places, each with a probability of happy."""
    boxes = np.array([(x, 10, 40, 40) for x, _ in faces]).reshape(-1, 4)
    happy = np.array([share for _, share in faces])
    return FaceReading(
        Detections(boxes, np.full(len(faces), 0.9)), np.column_stack([happy, 1 - happy])
    )


FRAMES = [
    reading((10, 0.9), (100, 0.1)),
    reading((102, 0.9), (12, 0.2)),
    reading((104, 0.9)),
    reading(),
    reading((14, 0.1), (106, 0.8), (200, 0.5)),
]


def plain(faces):
    return [(face.face_id, face.box, face.expression) for face in faces]


def test_faces_have_numbers_and_change_slowly():
    follower = FaceFollower(name, smoothing=0.4)
    frames = [follower.follow(frame, 0.1 * place) for place, frame in enumerate(FRAMES)]
    assert [[face.face_id for face in faces] for faces in frames] == [
        *([0, 1], [0, 1], [1], [], [0, 1, 2])
    ]
    assert frames[1][0].box == (12, 10, 40, 40)
    # One glance at another expression does not turn it.
    assert frames[1][0].expression == "happy"
    assert frames[4][0].expression == "sad"


@pytest.mark.parametrize("split", range(1, len(FRAMES)))
def test_another_follower_goes_on_from_what_was_known(split):
    whole, first = FaceFollower(name), FaceFollower(name)
    for place, frame in enumerate(FRAMES[:split]):
        whole.follow(frame, 0.1 * place)
        first.follow(frame, 0.1 * place)
    second = FaceFollower(name, known=first.known, next_id=first.next_id, last=first.last)
    for place, frame in enumerate(FRAMES[split:], split):
        expected, found = whole.follow(frame, 0.1 * place), second.follow(frame, 0.1 * place)
        assert plain(found) == plain(expected)
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one.probabilities, other.probabilities)
