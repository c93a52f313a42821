"""The most doubtful labels as a contact sheet."""

from __future__ import annotations

import numpy as np
import pytest

from skfer.datasets import make_faces
from skfer.evaluation import label_report
from skfer.inspection import LabelReportDisplay

FACES = make_faces(40, classes=["happy", "sad", "surprise"], size=32, random_state=0)
WRONG = {3: 0.9, 8: 0.98, 20: 0.95}  # and how sure the model is of something else


@pytest.fixture(scope="module")
def report():
    proba = 0.8 * np.eye(3)[FACES.target] + 0.1
    proba /= proba.sum(axis=1, keepdims=True)
    given = FACES.labels.copy()
    for row, sure in WRONG.items():
        given[row] = "sad" if FACES.labels[row] == "happy" else "happy"
        proba[row] = (1 - sure) / 2
        proba[row, FACES.target[row]] = sure
    return label_report(given, proba)


def test_rows_are_labels_and_the_worst_come_first(report):
    display = LabelReportDisplay.from_report(report, FACES.images)

    shown = np.concatenate(display.indices)
    assert sorted(shown) == sorted(WRONG)
    for label, indices in zip(display.classes, display.indices, strict=True):
        doubts = [WRONG[row] for row in indices]
        assert doubts == sorted(doubts, reverse=True)
        assert (report.set_index("row").loc[indices, "given"] == label).all()
    drawn = [image for images in display.images for image in images]
    np.testing.assert_array_equal(drawn, FACES.images[shown])
    said = [text.get_text().split()[-1] for text in display.text_]
    assert said == FACES.labels[shown].tolist()  # what the faces show


def test_few_of_chosen_labels(report):
    (label,) = report.loc[:0, "given"]
    display = LabelReportDisplay.from_report(report, FACES.images, n_images=1, classes=[label])

    assert [indices.tolist() for indices in display.indices] == [[8]]
    count = (report["issue"] & (report["given"] == label)).sum()
    assert [text.get_text() for text in display.ax_.get_yticklabels()] == [f"{label}\nn = {count}"]


def test_only_the_images_shown_are_read(report, photo_files):
    paths = [f"missing/{row}.png" for row in range(40)]
    for row, path in zip(WRONG, photo_files[:3], strict=True):
        paths[row] = path
    assert len(LabelReportDisplay.from_report(report, paths).images_) == 3


def test_what_cannot_be_shown(report):
    with pytest.raises(ValueError, match="X holds 30 images, but the report names row 39"):
        LabelReportDisplay.from_report(report, FACES.images[:30])
    with pytest.raises(ValueError, match="n_images=0 must be an int of at least 1"):
        LabelReportDisplay.from_report(report, FACES.images, n_images=0)
    with pytest.raises(ValueError, match=r"classes=\['surprise'\] must be some of the labels with"):
        LabelReportDisplay.from_report(report, FACES.images, classes=["surprise"])
    right = report.assign(issue=False)
    with pytest.raises(ValueError, match="flags no label"):
        LabelReportDisplay.from_report(right, FACES.images)


def test_without_matplotlib(report, no_matplotlib):
    with pytest.raises(ImportError, match=r"LabelReportDisplay.from_report needs matplotlib"):
        LabelReportDisplay.from_report(report, FACES.images)
