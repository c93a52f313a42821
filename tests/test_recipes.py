import pickle
import re
import sys
from types import ModuleType

import cv2
import numpy as np
import pytest
from _pages import DOCS, run_page

import skfer
from skfer import FaceCropper
from skfer.datasets import make_faces
from skfer.detection import FaceDetector
from skfer.networks import _registry, build_network, list_networks

RECIPES = ["add_a_network.md", "add_a_detector.md", "add_a_dataset.md"]


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(_registry, "_REGISTERED", dict(_registry._REGISTERED))

    def recipe(page):
        module = ModuleType("recipe")
        monkeypatch.setitem(sys.modules, "recipe", module)
        return run_page(f"development/{page}", module.__dict__)

    return recipe


def overlap(a, b):
    corner = np.maximum(a[:2], b[:2])
    sides = np.clip(np.minimum(a[:2] + a[2:], b[:2] + b[2:]) - corner, 0, None)
    shared = sides.prod()
    return shared / (a[2:].prod() + b[2:].prod() - shared)


@pytest.mark.parametrize("page", RECIPES)
def test_length_of_recipes(page):
    text = (DOCS / "development" / page).read_text(encoding="utf-8")
    recipe = re.search(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)[1]
    assert len([line for line in recipe.splitlines() if line.strip()]) < 30


@pytest.mark.slow
def test_add_a_network(run, tmp_path):
    page = run("add_a_network.md")
    assert "three_blocks" in list_networks()
    # 3x3 kernels without biases, four parameters of each filter's normalisation, the last layer.
    expected = 9 * (16 + 16 * 32 + 32 * 64) + 4 * (16 + 32 + 64) + 6 * 6 * 64 * 7 + 7
    assert build_network("three_blocks", (48, 48, 1), 7).count_params() == expected
    images, labels = make_faces(200, classes=["happy", "sad"], return_X_y=True, random_state=1)
    assert page["pipeline"].score(images, labels) > 0.8
    _registry._REGISTERED.clear()  # as in another process
    loaded = skfer.load(tmp_path / "three_blocks.skfer")
    assert np.array_equal(
        loaded.predict_proba(images[:20]), page["pipeline"].predict_proba(images[:20])
    )
    with pytest.raises(ValueError, match="three_blocks"):
        loaded.fit(images, labels)


@pytest.mark.filterwarnings("ignore:.* no face found")
def test_add_a_detector(run):
    page = run("add_a_detector.md")
    detector = page["cropper"].detector
    assert isinstance(detector, FaceDetector)
    detections = page["cropper"].detect(page["drawn"].images)
    best = [
        max((overlap(box, expected) for box in faces.boxes), default=0)
        for faces, expected in zip(detections, page["drawn"].boxes, strict=True)
    ]
    assert np.mean(np.array(best) > 0.5) >= 0.75
    assert len(page["crops"]) == 8
    scene = page["drawn"].images[0]
    unpickled = pickle.loads(pickle.dumps(detector))
    assert np.array_equal(unpickled.detect(scene).boxes, detector.detect(scene).boxes)
    assert len(detector.detect(np.zeros((60, 60), np.uint8))) == 0
    with pytest.raises(ValueError, match="align=True needs landmarks"):
        FaceCropper(detector, align=True).fit_transform([scene])
    assert "detector__min_neighbors" in page["cropper"].get_params()
    with pytest.raises(ValueError, match="Alt2Detector"):
        skfer.save(page["cropper"], "cropper.skfer")
    skfer.save(page["cropper"].set_params(detector="haar"), "cropper.skfer")


@pytest.mark.slow
def test_add_a_dataset(run, tmp_path):
    codes = {"angry": "AN", "happy": "HA", "sad": "SA", "surprise": "SU"}
    faces = make_faces(24, classes=list(codes), random_state=0)
    (tmp_path / "coded").mkdir()
    for number, (image, label) in enumerate(zip(faces.images, faces.labels, strict=True)):
        person = ("KA", "KL", "KM")[number % 3]
        name = f"{person}.{codes[label]}{number}.{number}.tiff"
        assert cv2.imwrite(str(tmp_path / "coded" / name), image)
    page = run("add_a_dataset.md")
    data, matrix = page["data"], page["matrix"]
    assert sorted(set(data.labels)) == sorted(codes)
    assert sorted(set(data.subjects)) == ["KA", "KL", "KM"]
    assert [codes[label] for label in data.labels] == [
        path.name.split(".")[1][:2] for path in data.paths
    ]
    assert set(matrix["images"]) == {24}
    assert set(matrix["groups"]) == {3}
    (tmp_path / "coded" / "KA.XX1.1.tiff").touch()
    with pytest.raises(ValueError, match=r"KA\.XX1\.1\.tiff"):
        page["load_coded"](tmp_path / "coded")
    with pytest.raises(ValueError, match="contains no"):
        page["load_coded"](tmp_path)
