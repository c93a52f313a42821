import numpy as np
import pytest

from skfer.detection import Detections
from skfer.recognition import FaceFollower, FaceReading, delay_faces


def decide(probabilities):
    return ["happy" if row[0] >= 0.5 else "sad" for row in probabilities]


def reading(*faces, side=40):
    """Return a reading with faces at positions (x, 10), each with a probability of "happy"."""
    boxes = np.array([(x, 10, side, side) for x, _ in faces]).reshape(-1, 4)
    happy = np.array([probability for _, probability in faces])
    return FaceReading(
        Detections(boxes, np.full(len(faces), 0.9)), np.column_stack([happy, 1 - happy])
    )


def track(*frames):
    follower = FaceFollower(decide)
    ids = []
    for time, *corners in frames:
        faces = follower.follow(reading(*((x, 0.5) for x in corners)), time)
        id_of = {face.box[0]: face.face_id for face in faces}
        ids.append([id_of[x] for x in corners])
    return ids


FRAMES = [
    reading((10, 0.9), (100, 0.1)),
    reading((102, 0.9), (12, 0.2)),
    reading((104, 0.9)),
    reading(),
    reading((14, 0.1), (106, 0.8), (200, 0.5)),
]


@pytest.mark.parametrize(
    ("frames", "ids"),
    [
        ([(0.0, 10, 100, 200), (0.04, 205, 8, 97)], [[1, 2, 3], [3, 1, 2]]),
        # A greedy assignment would give the first face a new number.
        ([(0.0, 100, 120), (0.04, 111, 131)], [[1, 2], [1, 2]]),
        ([(0.0, 10), (0.5,), (0.9, 30), (1.5,), (2.0, 30)], [[1], [], [1], [], [2]]),
        ([(0.0, 10), (3.0, 20), (60.0, 20)], [[1], [1], [2]]),
        ([(0.0, 10), (0.04, 150)], [[1], [2]]),
        ([(0.0, 10), (0.04, 45)], [[1], [2]]),
        ([(0.0, 10), (0.4, 45)], [[1], [1]]),
    ],
    ids=[
        *("order of faces", "minimal sum", "lost face", "rare frames"),
        *("too far", "too fast", "far after a gap"),
    ],
)
def test_numbers_of_faces(frames, ids):
    assert track(*frames) == ids


def test_face_of_another_size_has_a_new_number():
    follower = FaceFollower(decide)
    follower.follow(reading((10, 0.5)), 0.0)
    assert follower.follow(reading((10, 0.5), side=120), 0.04)[0].face_id == 2


def test_one_frame_does_not_change_the_expression():
    follower = FaceFollower(decide, smoothing=0.4)
    frames = [follower.follow(frame, 0.1 * index) for index, frame in enumerate(FRAMES)]
    assert [[face.face_id for face in faces] for faces in frames] == [
        *([1, 2], [1, 2], [2], [], [1, 2, 3])
    ]
    assert frames[1][0].box == (12, 10, 40, 40)
    assert frames[1][0].expression == "happy"
    assert frames[4][0].expression == "sad"


def test_new_faces_are_not_smoothed():
    follower = FaceFollower(decide, smoothing=10.0)
    follower.follow(reading((10, 1.0)), 0.0)
    first, second = follower.follow(reading((10, 1.0), (200, 0.0)), 0.1)
    np.testing.assert_array_equal(first.probabilities, [1, 0])
    np.testing.assert_array_equal(second.probabilities, [0, 1])
    follower.follow(reading((200, 0.0)), 0.2)
    (face,) = follower.follow(reading((10, 0.0)), 2.0)
    assert face.face_id == 3
    np.testing.assert_array_equal(face.probabilities, [0, 1])
    assert [known.face_id for known in follower.known] == [2, 3]


@pytest.mark.parametrize("times", [[0, 1.0], [0, 0.5, 1.0], [0, 0.1, 0.15, 0.8, 1.0]])
def test_smoothing_does_not_depend_on_the_frame_rate(times):
    follower = FaceFollower(decide, smoothing=0.4)
    for time in times:
        (face,) = follower.follow(reading((10, float(time == 0))), time)
    np.testing.assert_allclose(face.probabilities, [np.exp(-1 / 0.4), 1 - np.exp(-1 / 0.4)])


@pytest.mark.parametrize("split", range(1, len(FRAMES)))
def test_restored_follower(split):
    whole, first = FaceFollower(decide), FaceFollower(decide)
    for index, frame in enumerate(FRAMES[:split]):
        whole.follow(frame, 0.1 * index)
        first.follow(frame, 0.1 * index)
    second = FaceFollower(decide, known=first.known, next_id=first.next_id, last=first.last)
    for index, frame in enumerate(FRAMES[split:], split):
        expected, faces = whole.follow(frame, 0.1 * index), second.follow(frame, 0.1 * index)
        for a, b in zip(faces, expected, strict=True):
            assert (a.face_id, a.box, a.expression) == (b.face_id, b.box, b.expression)
            np.testing.assert_allclose(a.probabilities, b.probabilities)


def track_video(*frames):
    """Return a follower and the (index, time, tracked faces) of readings at 10 frames a second."""
    follower = FaceFollower(decide, min_duration=0.4)
    return follower, (
        (index, index / 10, follower.track(faces, index / 10)) for index, faces in enumerate(frames)
    )


def test_short_tracks_in_a_video():
    steady, flicker = (10, 0.9), (200, 0.5)
    frames = [reading(steady, *([flicker] if i in (3, 4) else [])) for i in range(12)]
    frames[6] = reading()
    ids = [[face.face_id for face in faces] for _, faces in delay_faces(*track_video(*frames))]
    assert ids == [[1]] * 6 + [[]] + [[1]] * 5


def test_first_frames_if_every_third_is_searched():
    follower = FaceFollower(decide, min_duration=0.4)

    def frames():
        for index in range(30):
            if index % 3 == 0:
                tracked = follower.track(reading((10, 0.9)), index / 25)
            yield index, index / 25, tracked

    ids = [[face.face_id for face in faces] for _, faces in delay_faces(follower, frames())]
    assert ids == [[1]] * 30


def test_video_shorter_than_the_minimal_duration():
    frames = [reading((10, 0.9))] * 2
    assert [len(faces) for _, faces in delay_faces(*track_video(*frames))] == [1, 1]


def test_minimal_duration_with_rare_frames():
    follower = FaceFollower(decide, min_duration=0.4)
    assert follower.follow(reading((10, 0.9)), 0.0) == []
    assert [face.face_id for face in follower.follow(reading((200, 0.9)), 2.0)] == [1]
    assert [face.face_id for face in follower.follow(reading((200, 0.9)), 2.1)] == [1]


def test_first_frame_of_rare_frames_in_a_video():
    follower = FaceFollower(decide, min_duration=0.4)
    frames = (
        (second, second, follower.track(reading((100 * second, 0.9)), second))
        for second in range(3)
    )
    ids = [[face.face_id for face in faces] for _, faces in delay_faces(follower, frames)]
    assert ids == [[1], [2], [3]]


def test_memory_of_delayed_frames():
    frames = [reading((10, 0.9))] * 5
    follower, tracked = track_video(*frames)
    first, _ = next(delay_faces(follower, tracked, n_bytes=lambda item: 2**28))
    assert first == 0
    assert next(tracked)[0] == 2  # the second frame was read, and no more
