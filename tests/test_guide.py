import re

import numpy as np
import pandas as pd
import pytest
from _pages import DOCS, run_page, write_fer2013, write_photo, write_photos, write_video
from _utils import tiny_network
from sklearn.pipeline import Pipeline

import skfer
from skfer import FaceCropper, FacialExpressionClassifier, GrayscaleResizer
from skfer.datasets import make_faces
from skfer.networks import register_network

# Haar misses some faces in small drawn photos.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.* no face found"),
    pytest.mark.usefixtures("figures_in_memory"),
]

# Replacements that make the code of the pages faster.
REPLACEMENTS = {
    "../README.md": {
        'FacialExpressionClassifier(weights="fer2013", random': (
            'FacialExpressionClassifier(weights="fer2013", epochs=1, random'
        ),
    },
    "getting_started.md": {
        "n_photos = 240": "n_photos = 48",
        "epochs=8": "epochs=2",
        "[0.0, 0.2],  # how": "[0.1],  # how",
        '["flip", "light"],  # how': '["light"],  # how',
        "cv=3": "cv=2",
    },
    "faq.md": {'"mini_xception", epochs=15': '"tiny_network", epochs=1'},
    "guide/affect.md": {
        "make_faces(1200": "make_faces(120",
        'weights="fer2013", loss="concordance", epochs=8': (
            '"tiny_network", loss="concordance", epochs=2'
        ),
        'weights="fer2013", epochs=8': '"tiny_network", epochs=2',
    },
    "guide/deploy.md": {'load_pretrained("fer2013")': "named_pipeline"},
    "guide/evaluation.md": {
        "make_faces(1500": "make_faces(240",
        '"mini_xception", epochs=15': '"tiny_network", epochs=5',
    },
    "guide/fer2013.md": {
        '"mini_xception", epochs=15': '"tiny_network", epochs=1',
        "train fer2013.csv": "train fer2013.csv --epochs 1",
    },
    "guide/model_selection.md": {
        "n_images = 800": "n_images = 320 if folder else 160",
        "n_splits = 3": "n_splits = 2",
        '"mini_xception", epochs=15': "tiny_network, epochs=3",
        "train_sizes=[0.25, 0.5, 1.0]": "train_sizes=[0.5, 1.0]",
        "range(3)": "range(2)",
    },
    "guide/own_photos.md": {
        "cropper=cropper, classifier__random_state=0": (
            "cropper=cropper, classifier__epochs=3, classifier__random_state=0"
        ),
        "--weights fer2013 --output": "--weights fer2013 --epochs 1 --output",
    },
    "guide/transfer.md": {
        'classifier = FacialExpressionClassifier(weights="fer2013",': (
            'classifier = FacialExpressionClassifier(weights="fer2013", epochs=1,'
        ),
        '("classifier", FacialExpressionClassifier(weights="fer2013",': (
            '("classifier", FacialExpressionClassifier(weights="fer2013", epochs=3,'
        ),
        "make_faces(400": "make_faces(40",
        '"mini_xception", epochs=5': '"tiny_network", epochs=1',
    },
    "guide/tuning.md": {
        "StratifiedGroupKFold(3)": "StratifiedGroupKFold(2)",
        '"mini_xception", epochs=15': '"tiny_network", epochs=1',
        '"cropper__margin": [0.0, 0.2]': '"cropper__margin": [0.1]',
        "[1e-3, 2e-3, 5e-3]": "[1e-3, 5e-3]",
        "min_resources=5": "min_resources=1",
        "max_resources=15": "max_resources=2",
        "factor=3": "factor=2",
        "classifier__epochs=40": "classifier__epochs=3",
    },
    "guide/video.md": {'load_pretrained("fer2013")': "named_pipeline"},
    "guide/web.md": {'load_pretrained("fer2013")': "named_pipeline"},
}


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    register_network("tiny_network", tiny_network)
    return lambda page, **namespace: run_page(page, namespace, REPLACEMENTS[page])


@pytest.fixture(scope="module")
def named_pipeline():
    register_network("tiny_network", tiny_network)
    faces = make_faces(60, classes=["happy", "sad", "surprise"], random_state=0)
    classifier = FacialExpressionClassifier("tiny_network", epochs=2, random_state=0)
    classifier.fit(faces.images, faces.labels)
    steps = [("cropper", FaceCropper()), ("resizer", GrayscaleResizer(48))]
    return Pipeline([*steps, ("classifier", classifier)])


@pytest.fixture(params=["drawn faces", pytest.param("fer2013", marks=pytest.mark.real_data)])
def data(request, monkeypatch):
    if request.param == "fer2013":
        request.getfixturevalue("fer2013")
    else:
        monkeypatch.delenv("SKFER_DATA", raising=False)
    return request.param


def test_pages_of_the_guide():
    pages = {path.relative_to(DOCS).as_posix() for path in (DOCS / "guide").glob("*.md")}
    assert pages - {"guide/index.md"} == {
        page for page in REPLACEMENTS if page.startswith("guide/")
    }


@pytest.mark.slow
def test_readme(run, tmp_path, capsys):
    write_photo(tmp_path / "photo.jpg")
    write_photos(tmp_path / "photos")
    page = run("../README.md")
    assert capsys.readouterr().out.startswith("['happy']\nangry")
    assert page["table"]["image"].nunique() == 16
    assert len(list((tmp_path / "drawn").iterdir())) == 16
    saved = skfer.load(tmp_path / "mine.skfer")
    assert np.array_equal(saved.predict(page["X_test"]), page["pipeline"].predict(page["X_test"]))


@pytest.mark.slow
def test_getting_started(run, tmp_path, capsys):
    page = run("getting_started.md")
    assert "['happy']" in capsys.readouterr().out
    assert len(page["photos"].paths) == 48
    assert page["model"].classes_.tolist() == ["happy", "sad", "surprise"]
    saved = skfer.load(tmp_path / "mine.skfer")
    assert np.array_equal(saved.predict(page["X_test"]), page["model"].predict(page["X_test"]))
    table = pd.read_csv(tmp_path / "faces.csv")
    assert table["image"].nunique() == 16
    assert len(list((tmp_path / "drawn").iterdir())) == 16


@pytest.mark.slow
def test_own_photos(run, tmp_path):
    write_photos(tmp_path / "photos")
    page = run("guide/own_photos.md")
    assert page["model"].classes_.tolist() == ["happy", "sad", "surprise"]
    assert page["y_pred"].shape == page["y_test"].shape
    assert len(page["found"]) == 48
    assert page["table"]["image"].nunique() == 16
    assert skfer.load(tmp_path / "quick.skfer").classes_.tolist() == ["happy", "sad", "surprise"]


@pytest.mark.slow
def test_fer2013(run, tmp_path):
    write_fer2013(tmp_path)
    page = run("guide/fer2013.md")
    assert (len(page["train"]), len(page["test"]), len(page["last"].labels)) == (70, 28, 14)
    assert page["audit"].counts["copy"] == 3
    assert len(page["unseen"]) <= 25
    assert page["search"].n_splits_ == 1
    assert "contempt" in page["pipeline"].classes_
    assert skfer.load(tmp_path / "fer.skfer").classes_.tolist()[0] == "angry"


@pytest.mark.slow
def test_tuning(run, tmp_path):
    write_photos(tmp_path / "photos")
    page = run("guide/tuning.md")
    people = page["people"]
    assert not set(people[page["train"]]) & set(people[page["test"]])
    with pytest.raises(ValueError, match="held out"):
        page["search"].fit(page["X"], page["y"], groups=people)
    assert len(page["search"].cv_results_["params"]) == 2
    assert page["halving"].n_resources_ == [1, 2]
    assert (tmp_path / "epochs.csv").read_text().startswith("epoch,")
    assert list((tmp_path / "checkpoints").iterdir()) == []


@pytest.mark.slow
def test_transfer(run, tmp_path):
    write_photos(tmp_path / "photos")
    page = run("guide/transfer.md")
    assert page["pipeline"].classes_.tolist() == ["not smiling", "smiling"]
    assert page["pipeline"]["classifier"].fine_tune_epoch_ == 1
    assert page["embedder"].transform(page["X_test"][:2]).shape == (2, 256)
    assert page["second"].classes_.tolist() == ["not smiling", "smiling"]
    assert page["loaded"].classes_.tolist() == ["not smiling", "smiling"]
    assert page["retrained"].classes_.tolist() == ["frowning", "neutral", "smiling"]


@pytest.mark.slow
def test_affect(run):
    page = run("guide/affect.md")
    assert page["estimates"].shape == page["baseline"].shape == (30, 2)
    assert page["rated"].n_dropped == 1
    np.testing.assert_allclose(page["rated"].target, page["affect"][:5], atol=0.005)


@pytest.mark.slow
def test_video(run, tmp_path, named_pipeline):
    write_video(tmp_path / "talk.mp4")
    page = run("guide/video.md", named_pipeline=named_pipeline)
    assert page["report"].n_frames == 8
    assert page["table"]["face_id"].isna().sum() == 2
    assert page["table"]["face_id"].nunique() == 1
    written = {path.name for path in tmp_path.iterdir()}
    assert {"drawn.mp4", "faces.csv", "talk.png", "boxes.mp4"} <= written


def test_web(run, tmp_path, named_pipeline):
    write_photo(tmp_path / "photo.jpg")
    page = run("guide/web.md", named_pipeline=named_pipeline)
    assert page["response"].status_code == 200
    assert len(page["response"].json["faces"]) == 1
    refused = page["app"].test_client().post("/api/v1/recognize", data=bytes(6_000_000))
    assert refused.status_code == 413


@pytest.mark.slow
def test_deploy(run, tmp_path, named_pipeline, capsys):
    write_photo(tmp_path / "photo.jpg")
    page = run("guide/deploy.md", named_pipeline=named_pipeline)
    assert capsys.readouterr().out.startswith("True\n")
    expected = named_pipeline.predict_proba([tmp_path / "photo.jpg"])
    np.testing.assert_allclose(page["probabilities"], expected, atol=1e-4)
    assert page["fast"]["classifier"].backend == "onnx-int8"


@pytest.mark.slow
def test_evaluation(run):
    page = run("guide/evaluation.md")
    assert page["audit"].counts["leaked"] == 0
    assert page["model"].temperature == page["temperature"]
    assert page["prior"].sum() == pytest.approx(1)
    assert page["abstaining"].selective_score(
        page["faces"].images[page["tune"]], page["faces"].labels[page["tune"]]
    ).coverage == pytest.approx(0.8, abs=0.05)
    assert set(page["report"].groups["group"]) == {"faint", "clear"}
    assert len(page["robustness"]) == 7
    assert len(page["doubtful"]) == len(page["test"])


@pytest.mark.slow
def test_faq(run, tmp_path):
    write_photo(tmp_path / "photo.jpg")
    page = run("faq.md")
    assert page["table"]["expression"].isna().tolist() == [False, True]
    assert page["table"]["error"].notna().tolist() == [False, True]
    assert skfer.load(tmp_path / "model.skfer").classes_.shape == (7,)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_model_selection(data, run, capsys):
    page = run("guide/model_selection.md", tiny_network=tiny_network)
    n_classes = 4 if data == "drawn faces" else 7
    assert len(np.unique(page["y"])) == n_classes
    # 240 images of FER2013 contain four of disgust, which is enough for nested folds.
    assert len(page["X"]) == (120 if n_classes == 4 else 240)
    for curve in page["curves"].values():
        assert curve.test_scores.shape == (2, 2)
    assert len(page["nested"]["estimator"]) == 2
    assert set(page["right"]) == {
        *("network", "HOG and SVM", "stacked"),
        *("3 networks", "network and SVM"),
    }
    for model in page["fitted"].values():
        assert model.predict(page["X_test"]).shape == page["y_test"].shape
    assert page["right"]["stacked"].mean() > 1.2 / n_classes
    assert len(re.findall(r"accuracy 0\.\d+, gain [+-]", capsys.readouterr().out)) == 5
