from __future__ import annotations

import numpy as np
import pytest

from skfer.recognition._face_tracker import FaceTracker
from skfer.recognition._smoothing import Smoother


def boxes(*corners, side=40):
    return np.array([(x, y, side, side) for x, y in corners])


def test_faces_keep_their_numbers_in_whatever_order_they_come():
    tracker = FaceTracker()
    assert tracker.update(boxes((10, 10), (100, 10), (200, 10)), 0.0) == [0, 1, 2]
    assert tracker.update(boxes((205, 12), (8, 10), (97, 11)), 0.04) == [2, 0, 1]


def test_the_assignment_is_the_best_in_sum():
    tracker = FaceTracker()
    tracker.update(boxes((100, 0), (120, 0)), 0.0)
    # The second is nearest to both new faces; taken greedily, the first would get a new number.
    assert tracker.update(boxes((111, 0), (131, 0)), 0.04) == [0, 1]


def test_a_face_that_comes_back_soon_is_the_same():
    tracker = FaceTracker(memory=1.0)
    tracker.update(boxes((10, 10)), 0.0)
    assert tracker.update(boxes(), 0.5) == []
    assert tracker.update(boxes((30, 10)), 0.9) == [0]
    assert tracker.update(boxes(), 1.5) == []
    assert tracker.update(boxes((30, 10)), 2.0) == [1]
    assert tracker.known == [1]


def test_where_frames_are_rare_a_face_is_remembered_to_the_next():
    tracker = FaceTracker(memory=1.0)
    tracker.update(boxes((10, 10)), 0.0)
    assert tracker.update(boxes((20, 10)), 3.0) == [0]
    assert tracker.update(boxes((20, 10)), 60.0) == [1]


def test_a_face_elsewhere_or_of_another_size_is_another():
    tracker = FaceTracker()
    tracker.update(boxes((10, 10)), 0.0)
    assert tracker.update(boxes((150, 10)), 0.04) == [1]
    assert tracker.update(boxes((10, 10), side=120), 0.08) == [2]


def test_a_face_may_move_farther_where_frames_are_left_out():
    near, far = FaceTracker(), FaceTracker()
    near.update(boxes((10, 10)), 0.0)
    far.update(boxes((10, 10)), 0.0)
    assert near.update(boxes((45, 10)), 0.04) == [1]
    assert far.update(boxes((45, 10)), 0.4) == [0]


@pytest.mark.parametrize("moments", [[0, 1.0], [0, 0.5, 1.0], [0, 0.1, 0.15, 0.8, 1.0]])
def test_smoothing_goes_by_seconds_not_by_frames(moments):
    smoother = Smoother(0.4)
    smoother.update(7, np.array([1.0, 0.0]), moments[0])
    for moment in moments[1:]:
        smooth = smoother.update(7, np.array([0.0, 1.0]), moment)
    np.testing.assert_allclose(smooth, [np.exp(-1 / 0.4), 1 - np.exp(-1 / 0.4)])


def test_smoothing_knows_faces_apart_and_forgets_them():
    smoother = Smoother(10.0)
    first, second = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    smoother.update(0, first, 0.0)
    np.testing.assert_array_equal(smoother.update(1, second, 0.1), second)
    smoother.forget_all_but([1])
    np.testing.assert_array_equal(smoother.update(0, second, 0.2), second)
