import cv2
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skfer import GrayscaleResizer
from skfer.datasets import make_faces
from skfer.evaluation import CORRUPTIONS, corrupt_images, robustness_report


def pixels(images):
    return images.reshape(len(images), -1) / 255


@pytest.fixture(scope="module")
def clean_faces():
    images = make_faces(6, noise=0.0, random_state=0).images
    images.flags.writeable = False
    return images


def difference(a, b):
    return np.abs(a.astype(float).reshape(b.shape) - b).mean()


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_strength_of_levels(clean_faces, name):
    steps = [
        difference(corrupt_images(clean_faces, name, level), clean_faces)
        for level in CORRUPTIONS[name].levels
    ]
    assert len(steps) == 5
    assert steps[0] > 0
    assert steps == sorted(steps)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_types_and_shapes(clean_faces, astronaut, name):
    level = CORRUPTIONS[name].levels[2]
    integers = corrupt_images(clean_faces, name, level)
    assert integers.shape == (6, 48, 48, 1)
    assert integers.dtype == np.uint8
    floats = corrupt_images(clean_faces / np.float32(255), name, level)
    assert floats.dtype == np.float32
    assert floats.min() >= 0
    assert floats.max() <= 1
    np.testing.assert_allclose(floats * 255, integers, atol=0.51)
    (color, gray) = corrupt_images([astronaut, astronaut[:50, :40, 0]], name, level)
    assert color.shape == (512, 512, 3)
    assert gray.shape == (50, 40)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_random_state(clean_faces, name):
    level = CORRUPTIONS[name].levels[3]
    first, again, other = (
        corrupt_images(clean_faces, name, level, random_state=seed) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    random = name in ("noise", "occlusion", "rotation")
    assert np.array_equal(first, other) == (not random)


BRIGHT = np.full((1, 40, 40), 200, dtype=np.uint8)
EDGE = np.repeat([[0] * 24 + [255] * 24], 48, axis=0).astype(np.uint8)[None]


def test_noise():
    gray = np.full((2, 48, 48), 128, dtype=np.uint8)
    weak, strong = (corrupt_images(gray, "noise", level).astype(float) for level in (0.05, 0.1))
    np.testing.assert_allclose(2 * (weak - 128), strong - 128, atol=1.51)
    assert not np.array_equal(*strong)
    assert corrupt_images(BRIGHT, "noise", 0.04).std() == pytest.approx(0.04 * 255, rel=0.1)


def test_light():
    assert (corrupt_images(BRIGHT, "low_light", 0.25) == 50).all()
    assert (corrupt_images(BRIGHT, "overexposure", 2) == 255).all()


def test_occlusion(clean_faces):
    hidden = corrupt_images(BRIGHT, "occlusion", 0.25) != 200
    assert hidden.sum() == 20 * 20
    covered = corrupt_images(clean_faces, "occlusion", 2.0)
    assert (covered == covered[:, :1, :1]).all()


def test_rotation():
    dot = np.zeros((1, 41, 41), np.uint8)
    dot[0, 20, 30] = 255  # right of the centre
    turned = corrupt_images(dot, "rotation", 90.0)[0, ..., 0]
    assert np.argmax(turned) in (10 * 41 + 20, 30 * 41 + 20)


def test_blur_and_resolution():
    assert len(np.unique(corrupt_images(EDGE, "resolution", 0.25)[0, 0])) > 2
    expected = cv2.GaussianBlur(EDGE[0], (0, 0), 2.4)
    assert difference(corrupt_images(EDGE, "blur", 0.05)[0], expected) < 1


def test_files(photo_files):
    changed = corrupt_images(photo_files, "low_light", 0.5)
    assert [image.ndim for image in changed] == [3, 3, 2, 3]


def test_unknown_corruption(clean_faces):
    with pytest.raises(ValueError, match=r"corruption='fog' must be one of \['blur'"):
        corrupt_images(clean_faces, "fog", 1.0)


@pytest.mark.parametrize("level", [np.nan, -0.1, "strong"])
def test_invalid_level(clean_faces, level):
    with pytest.raises(ValueError, match=f"level={level!r} must be a finite number"):
        corrupt_images(clean_faces, "occlusion", level)


@pytest.fixture(scope="module")
def faces():
    return make_faces(220, classes=["happy", "sad"], size=32, pose=0.0, random_state=0)


@pytest.fixture(scope="module")
def pipeline(faces):
    steps = GrayscaleResizer(24), FunctionTransformer(pixels), LogisticRegression(max_iter=1000)
    return make_pipeline(*steps).fit(faces.images[:200], faces.labels[:200])


@pytest.fixture(scope="module")
def report(faces, pipeline):
    return robustness_report(pipeline, faces.images[200:], faces.labels[200:])


@pytest.mark.slow
def test_report(report, faces, pipeline):
    assert len(report) == 1 + 5 * len(CORRUPTIONS)
    assert report.loc[0, ["corruption", "strength", "unit"]].tolist() == ["none", 0, ""]
    for name, corruption in CORRUPTIONS.items():
        rows = report[report["corruption"] == name]
        assert rows["strength"].tolist() == [1, 2, 3, 4, 5]
        assert tuple(rows["level"]) == corruption.levels
        assert set(rows["unit"]) == {corruption.unit}
    assert (report["images"] == 20).all()
    np.testing.assert_allclose(
        report["accuracy_change"], report["accuracy"] - report.loc[0, "accuracy"]
    )
    images, labels = faces.images[200:], faces.labels[200:]
    assert report.loc[0, "accuracy"] == pipeline.score(images, labels)
    row = report[(report["corruption"] == "low_light") & (report["strength"] == 5)].iloc[0]
    dark = corrupt_images(images, "low_light", row["level"])
    assert row["accuracy"] == accuracy_score(labels, pipeline.predict(dark))
    assert report.loc[report["strength"] == 5, "accuracy_change"].mean() < -0.05


@pytest.mark.slow
def test_report_of_some_corruptions(report, faces, pipeline):
    images, labels = faces.images[200:], faces.labels[200:]
    part = robustness_report(pipeline, images, labels, corruptions=["occlusion", "noise"])
    expected = report[report["corruption"].isin(["none", "occlusion", "noise"])]
    key = ["corruption", "strength"]
    pd.testing.assert_frame_equal(
        part.sort_values(key, ignore_index=True), expected.sort_values(key, ignore_index=True)
    )


def test_custom_levels(faces, pipeline):
    table = robustness_report(
        pipeline,
        list(faces.images[200:]),
        faces.labels[200:],
        corruptions={"blur": [0.02]},
        scoring=["accuracy", "neg_log_loss"],
    )
    assert table.columns.tolist() == [
        *("corruption", "strength", "level", "unit", "images", "accuracy", "neg_log_loss"),
        *("accuracy_change", "neg_log_loss_change"),
    ]
    assert len(table) == 2


def test_random_state_of_the_report(faces, pipeline):
    def pixel_sum(estimator, X, y):
        return float(np.sum(X))

    first, again, other = (
        robustness_report(
            pipeline,
            faces.images[:2],
            faces.labels[:2],
            corruptions={"noise": [0.1]},
            scoring=pixel_sum,
            random_state=seed,
        )["score"].tolist()
        for seed in (0, 0, 1)
    )
    assert first == again
    assert first[0] == other[0]  # the unchanged images
    assert first[1] != other[1]


def test_custom_score(faces, pipeline):
    def share_of_sad(estimator, X, y):
        return (estimator.predict(X) == "sad").mean()

    table = robustness_report(
        pipeline, faces.images[:5], faces.labels[:5], corruptions="jpeg", scoring=share_of_sad
    )
    assert table.loc[0, "score"] == share_of_sad(pipeline, faces.images[:5], None)
    strongest = corrupt_images(faces.images[:5], "jpeg", table["level"].iloc[-1])
    assert table["score"].iloc[-1] == share_of_sad(pipeline, strongest, None)


@pytest.mark.parametrize(
    ("corruptions", "message"),
    [
        ("fog", "corruption='fog' must be one of"),
        (["noise", "fog"], "corruption='fog' must be one of"),
        ({"fog": [1.0]}, "corruption='fog' must be one of"),
        ({"noise": []}, r"corruptions\['noise'\] has no levels"),
        ({"noise": 0.1}, r"corruptions\['noise'\]=0.1 must be a list of levels"),
    ],
)
def test_invalid_corruptions(faces, pipeline, corruptions, message):
    with pytest.raises(ValueError, match=message):
        robustness_report(pipeline, faces.images, faces.labels, corruptions=corruptions)
