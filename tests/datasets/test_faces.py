import cv2
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from skfer.datasets import make_faces

CLASSES = ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral", "contempt"]


def rows(images):
    return images.reshape(len(images), -1) / np.float32(255)


def overlap(box, other):
    (x, y, w, h), (u, v, k, m) = box, other
    across = max(0, min(x + w, u + k) - max(x, u))
    down = max(0, min(y + h, v + m) - max(y, v))
    return across * down / (w * h + k * m - across * down)


def test_defaults():
    faces = make_faces(70, random_state=0)
    assert faces.images.shape == (70, 48, 48)
    assert faces.images.dtype == np.uint8
    assert faces.target_names.tolist() == CLASSES[:7]
    assert np.bincount(faces.target).tolist() == [10] * 7
    np.testing.assert_array_equal(faces.target_names[faces.target], faces.labels)
    assert "70 parametric drawings" in faces.DESCR


def test_tuple_of_images_and_labels():
    faces = make_faces(7, random_state=0)
    images, labels = make_faces(7, random_state=0, return_X_y=True)
    np.testing.assert_array_equal(images, faces.images)
    np.testing.assert_array_equal(labels, faces.labels)


def test_random_state():
    first, second, third = (make_faces(12, random_state=seed) for seed in (3, 3, 4))
    for field in ("images", "labels", "valence", "boxes"):
        np.testing.assert_array_equal(first[field], second[field])
    assert (first.images != third.images).any()
    rng = np.random.RandomState(0)
    assert (make_faces(5, random_state=rng).images != make_faces(5, random_state=rng).images).any()


def test_global_random_state_is_unchanged():
    before = np.random.get_state()[1].copy()  # noqa: NPY002 - the global state is what is tested
    make_faces(3, random_state=0)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002 - the global state is what is tested


@pytest.mark.parametrize(
    ("options", "shape"),
    [
        ({"size": 64}, (64, 64)),
        ({"size": 32, "color": True}, (32, 32, 3)),
        ({"scene": True}, (240, 320, 3)),
        ({"scene": (120, 200)}, (120, 200, 3)),
    ],
)
def test_shapes(options, shape):
    faces = make_faces(2, random_state=0, **options)
    assert faces.images.shape == (2, *shape)
    assert faces.images.dtype == np.uint8


@pytest.mark.parametrize("options", [{}, {"scene": True}, {"scene": (96, 400), "pose": 45}])
def test_boxes_are_inside_the_image(options):
    faces = make_faces(40, random_state=0, **options)
    height, width = faces.images.shape[1:3]
    x, y, w, h = faces.boxes.T
    assert faces.boxes.dtype == np.int32
    assert (np.minimum(x, y) >= 0).all()
    assert (x + w <= width).all()
    assert (y + h <= height).all()
    assert (np.minimum(w, h) >= 20).all()


def test_boxes_in_scenes_are_squares_of_many_sizes():
    boxes = make_faces(40, scene=True, random_state=0).boxes
    assert (np.abs(boxes[:, 2] - boxes[:, 3]) <= 1).all()
    assert (np.ptp(boxes, axis=0) > [100, 40, 30, 30]).all()


def test_frontal_faces_are_almost_symmetric():
    plain = {"noise": 0, "occlusion": 0, "brightness": 0, "pose": 0}
    faces = make_faces(4, classes=["happy"], random_state=0, **plain)
    assert np.ptp(faces.boxes, axis=0).tolist() == [0, 0, 0, 0]
    x, y, w, h = faces.boxes[0]
    crops = faces.images[:, y : y + h, x : x + w].astype(float)
    deviation = np.abs(crops - crops.mean((1, 2))[:, None, None]).mean()
    assert np.abs(crops - crops[:, :, ::-1]).mean() < 0.5 * deviation


@pytest.mark.parametrize(
    ("valence", "arousal", "names"),
    [
        (-1, 1, ["angry", "disgust", "fear", "contempt"]),
        (1, 1, ["happy", "surprise"]),
        (-1, -1, ["sad"]),
        (0, 0, ["neutral"]),
    ],
)
def test_affect_of_expressions(valence, arousal, names):
    faces = make_faces(40, classes=names, random_state=0)
    assert faces.valence.dtype == faces.arousal.dtype == np.float32
    assert (np.sign(faces.valence) == valence).all()
    assert (np.sign(faces.arousal) == arousal).all()


def test_affect_is_proportional_to_the_intensity():
    faces = make_faces(40, classes=["happy", "neutral"], random_state=0)
    happy = faces.labels == "happy"
    assert (faces.intensity[~happy] == 0).all()
    assert faces.intensity[happy].min() >= 0.65
    assert np.ptp(faces.valence[happy] / faces.intensity[happy]) < 1e-6
    assert max(np.abs(faces.valence).max(), np.abs(faces.arousal).max()) <= 1


def test_order_of_classes():
    faces = make_faces(9, classes=["sad", "contempt", "happy"], random_state=0)
    assert faces.target_names.tolist() == ["sad", "contempt", "happy"]
    assert set(faces.labels) == {"sad", "contempt", "happy"}
    assert (faces.labels[faces.target == 1] == "contempt").all()


def test_noise_occlusion_and_brightness():
    plain = {"noise": 0, "occlusion": 0, "brightness": 0, "random_state": 0}
    reference = make_faces(1, **plain).images.astype(float)
    noisy = make_faces(1, **{**plain, "noise": 0.1}).images - reference
    assert np.std(noisy) == pytest.approx(25.5, rel=0.25)
    for name in ("occlusion", "brightness"):
        assert (make_faces(1, **{**plain, name: 0.99}).images != reference).mean() > 0.05


@pytest.mark.slow
def test_detection_by_haar_cascades():
    faces = make_faces(60, scene=True, random_state=0)
    cascade = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_default.xml")
    best = [
        max(
            (
                overlap(detected, box)
                for detected in cascade.detectMultiScale(
                    cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), 1.1, 5, minSize=(30, 30)
                )
            ),
            default=0.0,
        )
        for image, box in zip(faces.images, faces.boxes, strict=True)
    ]
    assert np.mean(np.array(best) > 0.3) >= 0.9
    assert np.median(best) >= 0.6


@pytest.mark.slow
def test_accuracy_of_a_linear_model():
    (X, y), (X_test, y_test) = (
        make_faces(n, random_state=seed, return_X_y=True) for n, seed in ((1000, 0), (500, 1))
    )
    # Threads make fits on small images slower.
    with threadpool_limits(1):
        model = LogisticRegression(C=0.01, tol=1e-3, max_iter=1000).fit(rows(X), y)
        accuracy = model.score(rows(X_test), y_test)
    # Better than chance, 1/7, but not good.
    assert 0.3 < accuracy < 0.7


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_samples": 0}, r"'n_samples' .* int in the range \[1, inf\). Got 0"),
        ({"classes": ["happy", "bored"]}, "unknown .*bored.* it takes any of angry, .*contempt"),
        ({"classes": []}, "empty"),
        ({"classes": ["sad", "sad"]}, "twice"),
        ({"classes": "sad"}, "'classes'"),
        ({"size": 8}, r"'size' .* \[16, inf\)"),
        ({"noise": -0.1}, r"'noise' .* \[0.0, 1.0\]"),
        ({"occlusion": 2}, r"'occlusion' .* \[0.0, 1.0\]"),
        ({"brightness": 1.0}, r"'brightness' .* \[0.0, 1.0\)"),
        ({"pose": 90}, r"'pose' .* \[0.0, 45.0\]"),
        ({"scene": (240,)}, r"scene=\(240,\) must be a bool or \(height, width\)"),
        ({"scene": (50, 320)}, "at least 96 pixels"),
        ({"random_state": "seed"}, "'random_state'"),
    ],
)
def test_invalid_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        make_faces(**{"n_samples": 2, **options})
