from __future__ import annotations

import sys
import threading
from types import SimpleNamespace

import pytest
from sklearn.pipeline import Pipeline

from skfer import FaceCropper, FacialExpressionClassifier, GrayscaleResizer
from skfer.datasets import make_faces
from skfer.web import Readers, create_app


@pytest.fixture(scope="module")
def pipeline():
    import _utils

    photos = make_faces(40, classes=["happy", "sad"], scene=True, random_state=0)
    classifier = FacialExpressionClassifier(_utils.tiny_network, epochs=1, random_state=0)
    pipeline = Pipeline(
        [
            ("cropper", FaceCropper(on_missing="blank")),
            ("resizer", GrayscaleResizer(24)),
            ("classifier", classifier),
        ]
    )
    with pytest.warns(UserWarning, match="no face found"):
        pipeline.fit(photos.images, photos.labels)
    return pipeline


@pytest.mark.slow
def test_a_users_own_pipeline_reads_photos(pipeline, encoded):
    readers = Readers.of(pipeline)
    assert readers.models == ["yours"]
    assert readers.detectors[:2] == ["automatic", "haar"]
    client = create_app(readers).test_client()
    for query in ("", "?detector=haar"):
        answer = client.post(f"/api/v1/recognize{query}", data=encoded(".jpg")).json
        assert answer["classes"] == ["happy", "sad"]
        [face] = answer["faces"]
        assert sum(face["probabilities"].values()) == pytest.approx(1, abs=1e-3)


def test_several_pipelines_by_name(pipeline):
    readers = Readers.of({"mine": pipeline, "old": pipeline}, "haar")
    assert readers.models == ["mine", "old"]
    assert readers.detectors[0] == "haar"
    assert readers.get("old") is readers.get("old", "haar")
    assert readers.get("old") is not readers.get("mine")


def test_a_detector_that_lacks_its_package_is_an_answer(pipeline, encoded, monkeypatch):
    monkeypatch.setattr("skfer.detection._mtcnn._networks", [])
    monkeypatch.setitem(sys.modules, "mtcnn", None)
    client = create_app(Readers.of(pipeline)).test_client()
    answer = client.post("/api/v1/recognize?detector=mtcnn", data=encoded(".jpg"))
    assert answer.status_code == 400
    assert "skfer[mtcnn]" in answer.json["error"]["message"]


def test_names_there_are_not(pipeline):
    with pytest.raises(ValueError, match="Unknown face detector 'eyes'"):
        Readers.of(pipeline, "eyes")
    with pytest.raises(ValueError, match="no weights 'huge'"):
        Readers.of("huge")
    with pytest.raises(ValueError, match="at least 1"):
        Readers.of({})


def test_a_reader_that_is_loaded_is_there_while_another_loads():
    begun, go_on = threading.Event(), threading.Event()

    def make(model, detector):
        if detector == "slow":
            begun.set()
            assert go_on.wait(60)
        return SimpleNamespace(classes=[detector])

    readers = Readers(make, ["one"], ["quick", "slow"])
    readers.get()
    loading = threading.Thread(target=readers.get, args=(None, "slow"))
    loading.start()
    assert begun.wait(60)
    found = []
    other = threading.Thread(target=lambda: found.append(readers.get().classes))
    other.start()
    other.join(10)
    meanwhile = list(found)
    go_on.set()
    loading.join()
    other.join()
    assert meanwhile == [["quick"]]
