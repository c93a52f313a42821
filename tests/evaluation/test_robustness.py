"""How a Pipeline does as its images get worse."""

from __future__ import annotations

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
def faces():
    return make_faces(220, classes=["happy", "sad"], size=32, pose=0.0, random_state=0)


@pytest.fixture(scope="module")
def pipeline(faces):
    steps = GrayscaleResizer(24), FunctionTransformer(pixels), LogisticRegression(max_iter=1000)
    return make_pipeline(*steps).fit(faces.images[:200], faces.labels[:200])


@pytest.fixture(scope="module")
def report(faces, pipeline):
    return robustness_report(pipeline, faces.images[200:], faces.labels[200:])


def test_a_row_for_every_corruption_and_level(report):
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


def test_the_figures_are_those_of_the_corrupted_images(faces, pipeline, report):
    images, labels = faces.images[200:], faces.labels[200:]
    assert report.loc[0, "accuracy"] == pipeline.score(images, labels)
    row = report[(report["corruption"] == "low_light") & (report["strength"] == 5)].iloc[0]
    dark = corrupt_images(images, "low_light", row["level"])
    assert row["accuracy"] == accuracy_score(labels, pipeline.predict(dark))
    # What was learnt of whole faces in good light is worth less on worse images.
    assert report.loc[report["strength"] == 5, "accuracy_change"].mean() < -0.05


def test_it_is_the_same_again(faces, pipeline, report):
    part = robustness_report(
        pipeline, faces.images[200:], faces.labels[200:], corruptions=["occlusion", "noise"]
    )
    whole = report[report["corruption"].isin(["none", "occlusion", "noise"])]
    key = ["corruption", "strength"]
    pd.testing.assert_frame_equal(
        part.sort_values(key, ignore_index=True), whole.sort_values(key, ignore_index=True)
    )


def test_levels_and_scores_of_ones_own(faces, pipeline):
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


def test_a_score_may_be_a_function(faces, pipeline):
    def sad(estimator, X, y):
        return (estimator.predict(X) == "sad").mean()

    table = robustness_report(
        pipeline, faces.images[:5], faces.labels[:5], corruptions="jpeg", scoring=sad
    )
    assert table.loc[0, "score"] == sad(pipeline, faces.images[:5], None)
    coarsest = corrupt_images(faces.images[:5], "jpeg", table["level"].iloc[-1])
    assert table["score"].iloc[-1] == sad(pipeline, coarsest, None)


@pytest.mark.parametrize(
    ("corruptions", "message"),
    [
        ("fog", "corruption='fog' must be one of"),
        (["noise", "fog"], "corruption='fog' must be one of"),
        ({"fog": [1.0]}, "corruption='fog' must be one of"),
        ({"noise": []}, r"corruptions\['noise'\] has no levels"),
    ],
)
def test_unknown_corruptions(faces, pipeline, corruptions, message):
    with pytest.raises(ValueError, match=message):
        robustness_report(pipeline, faces.images, faces.labels, corruptions=corruptions)


def test_without_pandas_the_error_says_what_to_install(faces, pipeline, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r'"skfer\[evaluation\]"'):
        robustness_report(pipeline, faces.images, faces.labels)
