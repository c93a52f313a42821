import sys
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from types import SimpleNamespace

import pytest
from _web import RECOGNIZE, message

from skfer.web import Readers, create_app


def test_a_pipeline_of_the_user(fitted_pipeline, encoded):
    readers = Readers.of(fitted_pipeline)
    assert readers.models == ["yours"]
    assert readers.detectors[:2] == ["automatic", "haar"]
    client = create_app(readers).test_client()
    for query in ("", "?detector=haar"):
        answer = client.post(RECOGNIZE + query, data=encoded(".jpg")).json
        assert sorted(answer["classes"]) == ["happy", "sad", "surprise"]
        [face] = answer["faces"]
        assert sum(face["probabilities"].values()) == pytest.approx(1, abs=1e-3)


def test_several_pipelines_by_name(fitted_pipeline):
    readers = Readers.of({"mine": fitted_pipeline, "old": fitted_pipeline}, "haar")
    assert readers.models == ["mine", "old"]
    assert readers.detectors[0] == "haar"
    assert readers.get("old") is readers.get("old", "haar")
    assert readers.get("old") is not readers.get("mine")


def test_a_detector_without_its_package_is_refused(fitted_pipeline, encoded, monkeypatch):
    monkeypatch.setattr("skfer.detection._mtcnn._networks", [])
    monkeypatch.setitem(sys.modules, "mtcnn", None)
    client = create_app(Readers.of(fitted_pipeline)).test_client()
    answer = client.post(f"{RECOGNIZE}?detector=mtcnn", data=encoded(".jpg"))
    assert "skfer[mtcnn]" in message(answer, 400)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ((None, "eyes"), "Unknown face detector 'eyes'"),
        (("huge",), "no weights 'huge'"),
        (({},), "at least 1"),
    ],
)
def test_unknown_names_are_refused(arguments, problem):
    with pytest.raises(ValueError, match=problem):
        Readers.of(*arguments)


def test_a_named_model_is_the_default():
    assert Readers.of("ferplus").models == ["ferplus", "fer2013"]


def test_a_loaded_reader_is_returned_while_another_one_is_loaded():
    started, go_on = threading.Event(), threading.Event()

    def make(model, detector):
        if detector == "slow":
            started.set()
            assert go_on.wait(60)
        return SimpleNamespace(classes=[detector])

    readers = Readers(make, ["one"], ["quick", "slow"])
    readers.get()
    with ThreadPoolExecutor(2) as threads:
        loading = threads.submit(readers.get, None, "slow")
        assert started.wait(60)
        meanwhile = threads.submit(readers.get)
        wait([meanwhile], 10)
        in_time = meanwhile.done()
        go_on.set()
        assert (meanwhile.result().classes, in_time) == (["quick"], True)
        assert loading.result().classes == ["slow"]
