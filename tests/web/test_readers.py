import sys
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from types import SimpleNamespace

import pytest
from _web import RECOGNIZE, message

from skfer import load_pretrained
from skfer.detection import HaarDetector
from skfer.web import Readers, create_app


def test_pipeline(fitted_pipeline, encoded):
    readers = Readers.of(fitted_pipeline)
    assert readers.models == ["yours"]
    assert readers.detectors[0] == "haar"
    assert "auto" in readers.detectors
    client = create_app(readers).test_client()
    for query in ("", "?detector=haar"):
        result = client.post(RECOGNIZE + query, data=encoded(".jpg")).json
        assert sorted(result["classes"]) == ["happy", "sad", "surprise"]
        [face] = result["faces"]
        assert sum(face["probabilities"].values()) == pytest.approx(1, abs=1e-3)


def test_named_pipelines(fitted_pipeline):
    readers = Readers.of({"new": fitted_pipeline, "old": fitted_pipeline}, "haar")
    assert readers.models == ["new", "old"]
    assert readers.detectors[0] == "haar"
    assert readers.get("old") is readers.get("old", "haar")
    assert readers.get("old") is not readers.get("new")


def test_detector_without_its_package(fitted_pipeline, encoded, monkeypatch):
    monkeypatch.setattr("skfer.detection._mtcnn._networks", [])
    monkeypatch.setitem(sys.modules, "mtcnn", None)
    client = create_app(Readers.of(fitted_pipeline)).test_client()
    response = client.post(f"{RECOGNIZE}?detector=mtcnn", data=encoded(".jpg"))
    assert "Known detectors: haar, auto" in message(response, 400)
    client = create_app(Readers.of(fitted_pipeline, "mtcnn")).test_client()
    response = client.post(RECOGNIZE, data=encoded(".jpg"))
    assert "skfer[mtcnn]" in message(response, 400)


@pytest.mark.parametrize("installed", [True, False])
def test_installed_detectors(monkeypatch, installed):
    monkeypatch.setattr("skfer.detection.YuNetDetector.is_installed", lambda: installed)
    texts = Readers.of().descriptions
    names = list(texts["detectors"])
    assert names[0] == "auto"
    assert ("yunet" in names) is installed
    assert texts["detectors"]["auto"].startswith("YuNet" if installed else "Haar")
    assert ("skfer download yunet" in texts["detectors"]["auto"]) is not installed
    assert all(text for kind in texts.values() for text in kind.values())


@pytest.mark.parametrize(
    ("detector", "default", "name"),
    [
        ("auto", None, "auto"),
        ("haar", None, "haar"),
        (HaarDetector(min_neighbors=3), None, "model"),
        ("auto", HaarDetector(), "yours"),
        (HaarDetector(), "auto", "auto"),
    ],
)
def test_default_detector(detector, default, name):
    pipeline = load_pretrained().set_params(cropper__detector=detector)
    descriptions = Readers.of({"a": pipeline, "b": pipeline}, default).descriptions["detectors"]
    assert next(iter(descriptions)) == name
    assert sum("haar" in text for text in descriptions.values()) == (name in ("model", "yours"))


def test_response_names_the_detector_but_no_path(fitted_pipeline, encoded, monkeypatch, caplog):
    client = create_app(Readers.of(fitted_pipeline, "haar")).test_client()
    assert client.post(RECOGNIZE, data=encoded(".jpg")).json["detector"] == "haar"

    def create(model, detector):
        raise FileNotFoundError("No such file: '/srv/secret/model.onnx'")

    client = create_app(Readers(create, ["one"], ["haar"])).test_client()
    text = message(client.post(RECOGNIZE, data=encoded(".jpg")), 400)
    assert "/" not in text
    assert "/srv/secret/model.onnx" in caplog.text


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ((None, "eyes"), "Unknown face detector 'eyes'"),
        (("huge",), "no weights 'huge'"),
        (({},), "at least 1"),
    ],
)
def test_unknown_names(arguments, problem):
    with pytest.raises(ValueError, match=problem):
        Readers.of(*arguments)


def test_default_model():
    assert Readers.of("ferplus").models == ["ferplus", "fer2013", "fer2013-small", "ferplus-small"]


def test_readers_are_loaded_concurrently():
    started, resume = threading.Event(), threading.Event()

    def create(model, detector):
        if detector == "slow":
            started.set()
            assert resume.wait(60)
        return SimpleNamespace(classes=[detector])

    readers = Readers(create, ["one"], ["quick", "slow"])
    readers.get()
    with ThreadPoolExecutor(2) as threads:
        loading = threads.submit(readers.get, None, "slow")
        assert started.wait(60)
        loaded = threads.submit(readers.get)
        wait([loaded], 10)
        in_time = loaded.done()
        resume.set()
        assert (loaded.result().classes, in_time) == (["quick"], True)
        assert loading.result().classes == ["slow"]
