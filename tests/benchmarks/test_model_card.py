import importlib
from pathlib import Path

import _utils
import matplotlib
import numpy as np
import pytest
from sklearn.pipeline import Pipeline

from skfer import FaceCropper, FacialExpressionClassifier, GrayscaleResizer
from skfer.datasets import make_faces

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
CLASSES = ["happy", "sad", "surprise"]


@pytest.fixture(scope="module")
def script():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        yield importlib.import_module("model_card")


@pytest.fixture(scope="module")
def test_set(script):
    faces = make_faces(90, classes=CLASSES, random_state=0)
    training, test = faces.images[:45], faces.images[40:]
    new = ~script.copies(test, training)
    return script.TestSet(
        test,
        faces.labels[40:],
        {script.ALL: np.ones(50, bool), script.COPIES: new},
        script.counts(faces.labels[:45], faces.labels[40:], new),
    )


@pytest.fixture(scope="module")
def pipeline():
    faces = make_faces(45, classes=CLASSES, random_state=0)
    classifier = FacialExpressionClassifier(
        _utils.tiny_network, epochs=3, temperature=1.3, random_state=0
    )
    steps = [
        ("cropper", FaceCropper(on_missing="whole")),
        ("resizer", GrayscaleResizer(48)),
        ("classifier", classifier),
    ]
    return Pipeline([("cropper", "passthrough"), *steps[1:]]).fit(faces.images, faces.labels)


@pytest.fixture(scope="module")
def card(script, test_set, pipeline, tmp_path_factory):
    folder = tmp_path_factory.mktemp("docs")
    model = {
        "name": "fer2013",
        "classes": CLASSES,
        "network": "tiny_network",
        "n_weights": 1234567,
        "data": "drawn faces",
        "licence": "none",
        "recipe": {"script": "this test", "epochs": 3, "augment": {"flip": True}},
    }
    before = matplotlib.get_backend()
    corruptions = {"noise": [0.1, 0.2], "low_light": [0.3]}
    figures = script.write_card(
        "fer2013", pipeline, model, test_set, folder, corruptions=corruptions
    )
    matplotlib.use(before)
    return figures, (folder / "fer2013.md").read_text(), folder


def test_copies_votes_and_calibration(script, test_set, pipeline, card):
    assert test_set.counts["copies"] == 5
    assert test_set.subsets[script.COPIES].sum() == 45
    votes = np.zeros((5, 10), np.uint8)
    votes[0, [0, 1]] = 6, 4  # more than half
    votes[1, [0, 1]] = 5, 5  # not more than half
    votes[2, [0, 1, 2, 3]] = 4, 3, 1, 1  # more than half without single votes
    votes[3, 8] = 9  # most votes are for "unknown"
    votes[4, :8] = 1  # only single votes
    assert script.paper_majority(votes).tolist() == [True, False, True, False, False]
    classifier = pipeline["classifier"]
    assert classifier.temperature == 1.3
    assert classifier.test_time_augmentation is None
    for views in ("none", "flip"):
        halves = card[0]["calibration"][views]["halves"]
        assert [half["images"] for half in halves] == [25, 25]
        assert halves[0]["temperature"] != halves[1]["temperature"]


@pytest.mark.slow
def test_figures(script, test_set, pipeline, card):
    figures, _, _ = card
    whole, new = figures["accuracy"]
    score = pipeline.score(test_set.images, test_set.labels)
    assert whole["none"] == pytest.approx(score, abs=1e-4)
    assert figures["whole_pipeline"] == pytest.approx(score, abs=1e-4)
    assert (whole["images"], new["images"]) == (50, 45)
    recalls = {row["class"]: row["recall"] * row["images"] for row in figures["by_class"]}
    assert sum(recalls.values()) / 50 == pytest.approx(score, abs=1e-3)
    assert figures["robustness"][0]["accuracy"] == pytest.approx(score, abs=1e-4)
    assert figures["coverage"][0]["answered"] == 1


def test_sections(card):
    figures, text, folder = card
    assert "{" not in text
    for heading in (
        *("Intended use", "Out of scope", "Data", "Training", "Accuracy", "Accuracy by class"),
        *("Calibration", "Abstention", "Robustness", "Limitations", "References"),
    ):
        assert f"\n## {heading}\n" in text
    assert "article 5(1)(f)" in text
    assert "5 images of PublicTest are identical to images of Training" in text
    assert f"{100 * figures['accuracy'][0]['none']:.1f} % of 50 images" in text
    assert "| noise | deviation / pixel range |" in text
    for kind in ("confusion", "calibration", "coverage", "robustness"):
        assert f"(images/fer2013_{kind}.png)" in text
        assert (folder / "images" / f"fer2013_{kind}.png").stat().st_size > 5000


@pytest.mark.slow
@pytest.mark.real_data
def test_images_of_real_data(script, fer2013_file):
    labels = script.fer2013(fer2013_file)
    assert (len(labels.images), labels.counts["copies"]) == (3579, 279)
    votes = script.ferplus(fer2013_file)
    assert votes.counts["paper_majority"] == votes.subsets[script.PAPER].sum() > 3000
    assert len(votes.images) == len(votes.labels) == sum(votes.counts["test"].values())
