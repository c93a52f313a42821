import importlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks" / "pretrain"
MODULES = ("augment", "recipes", "ship", "shrink", "train")


@pytest.fixture(scope="module")
def modules():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(FOLDER)
        yield {name: importlib.import_module(name) for name in MODULES}
    for name in MODULES:
        sys.modules.pop(name, None)


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    return {
        "images": rng.integers(0, 256, (60, 48, 48), dtype=np.uint8),
        "labels": np.arange(60, dtype=np.int8) % 7,
        "votes": rng.dirichlet(np.ones(8), 60).astype(np.float16) * (np.arange(60) > 0)[:, None],
        "voted": np.arange(60, dtype=np.int8) % 8,
        "training": np.arange(60) < 48,
        "copied": np.zeros(60, bool),
    }


@pytest.fixture
def train(modules, tmp_path, monkeypatch):
    module = modules["train"]
    recipe = modules["recipes"].RUNS["small"] | {
        **{"start": None, "taught": 0.0, "epochs": 2, "sizes": ((0, 24), (1, 48))},
        **{"network_params": {"width": 0.125, "dropout": 0.5}, "batch_size": 16},
    }
    monkeypatch.setitem(module.RUNS, "tiny", recipe)
    monkeypatch.setattr(module, "FOLDER", tmp_path)
    return module


@pytest.mark.slow
def test_stopped_run(train, data, tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for folder in (whole, parts):
        folder.mkdir()
    images = data["images"][data["training"]]
    run = train.Run("tiny", whole, images)
    assert train.train(run, data, time.time() + 1000, workers=1)
    stopped = train.Run("tiny", parts, images)
    assert not train.train(stopped, data, time.time() - 1, workers=1)  # after one step
    continued = train.Run("tiny", parts, images)
    assert (continued.epoch, continued.step) == (0, 1)
    assert train.train(continued, data, time.time() + 1000, workers=2)
    for a, b in zip(run.average, continued.average, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    text = (tmp_path / "logs" / "tiny.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2, 1, 2]
    assert lines[1]["loss"] == pytest.approx(lines[3]["loss"], abs=1e-3)
    run.snapshot()
    recipe, weights = train.snapshot_weights("tiny")
    assert recipe["epochs"] == 2
    for a, b in zip(weights, run.average, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)


def test_targets_rates_and_augmentation(train, data, modules):
    recipe = train.RUNS["tiny"]
    targets = train.make_targets(data, recipe)
    assert targets.shape == (48, 15)
    np.testing.assert_allclose(targets.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(targets[1:, :7].sum(axis=1), 0.5, rtol=1e-2)
    assert targets[0, 7:].sum() == 0  # no votes
    assert (targets[:, :7].argmax(axis=1) == data["labels"][:48]).all()
    recipe = {"learning_rate": 0.1, "warm_up": 0.1, "decay": 0.5}
    rates = [train.learning_rate(recipe, progress) for progress in (0.05, 0.1, 0.5, 0.75, 1.0)]
    np.testing.assert_allclose(rates, [0.05, 0.1, 0.1, 0.05, 0.0])
    images = data["images"]
    changed, _ = modules["augment"].augment(
        images, np.zeros((60, 15), np.float32), np.random.default_rng(0), 48, {}
    )
    same = np.isclose(changed[..., 0], images / 255, atol=2e-3).all(axis=(1, 2))
    mirrored = np.isclose(changed[..., 0], images[:, :, ::-1] / 255, atol=2e-3).all(axis=(1, 2))
    assert (same | mirrored).all()
    assert 10 < same.sum() < 50


def test_class_prior_of_shipped_weights(modules, data):
    data = data | {
        "label_names": np.array(list("abcdefg")),
        "vote_names": np.array(list("abcdefgh")),
    }
    counts = np.bincount(data["labels"][:48])

    def prior(head, **settings):
        recipe = {"network": "mini_resnet", **settings}
        return modules["ship"].make_record(head, "tiny", recipe, data).class_prior

    as_trained = prior("fer2013", label_smoothing=0.0, logit_adjustment=0.0)
    np.testing.assert_allclose(as_trained, counts / 48, atol=1e-5)
    even = prior("fer2013", label_smoothing=0.0, logit_adjustment=1.0)
    np.testing.assert_allclose(even, 1 / 7, atol=1e-5)
    half = prior("fer2013", label_smoothing=0.0, logit_adjustment=0.5)
    np.testing.assert_allclose(half, np.sqrt(counts) / np.sqrt(counts).sum(), atol=1e-5)
    votes = prior("ferplus", label_smoothing=0.1, logit_adjustment=0.5)  # of labels only
    np.testing.assert_allclose(votes, data["votes"][1:48].mean(axis=0, dtype=float), atol=1e-3)


def test_small_training_images(modules):
    images = np.zeros((20, 48, 48), np.uint8)
    images[:, 4:44, 4:44] = 255  # all that is seen
    small, _ = modules["augment"].augment(
        images, np.zeros((20, 15), np.float32), np.random.default_rng(0), 32, {}
    )
    assert small.shape == (20, 32, 32, 1)
    np.testing.assert_allclose(small[:, 0], 1, atol=0.3)
    np.testing.assert_allclose(small[:, 1:-1, 1:-1], 1, atol=1e-3)
    images[:, 5:43, 5:43] = 0
    edges, _ = modules["augment"].augment(
        images, np.zeros((20, 15), np.float32), np.random.default_rng(0), 32, {}
    )
    assert edges[:, 0].min() > 0.5
    assert edges[:, 3:-3, 3:-3].max() == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("size", [48, 40, 32])
def test_augmentation(modules, data, size):
    settings = dict.fromkeys(("blur", "resolution", "jpeg", "noise", "erasing"), 0.5)
    settings |= {"rotation": 15, "zoom": 0.2, "shift": 4, "shear": 0.1, "cutmix": 0.3, "mixup": 0.3}
    settings |= {"gamma": 0.4, "contrast": 0.3, "brightness": 0.2}
    targets = np.eye(15, dtype=np.float32)[np.arange(60) % 15]
    augment = modules["augment"].augment
    first, mixed = augment(data["images"], targets, np.random.default_rng(3), size, settings)
    second, _ = augment(data["images"], targets, np.random.default_rng(3), size, settings)
    assert first.shape == (60, size, size, 1)
    assert first.dtype == mixed.dtype == np.float32
    assert first.min() >= 0
    assert first.max() <= 1
    np.testing.assert_allclose(mixed.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(first, second)


@pytest.mark.slow
def test_shrink(modules, data):
    train, shrink = modules["train"], modules["shrink"]
    wide, same = (train.build({}, 24) for _ in range(2))
    images = train.scale_images(data["images"][:8, :24, :24])
    shrink.shrink(wide, same, images)
    kernels = [layer.kernel for layer in wide.layers if hasattr(layer, "kernel")]
    copied = [layer.kernel for layer in same.layers if hasattr(layer, "kernel")]
    for a, b in zip(kernels, copied, strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))
    narrow = train.build({"network_params": {"width": 0.5}}, 24)
    shrink.shrink(wide, narrow, images)
    assert np.isfinite(np.asarray(narrow(images, training=False))).all()


@pytest.mark.slow
def test_imports_of_training():
    code = """
import sys, train
train.build({"network_params": {"width": 0.5}}, 48)
folders = tuple(sys.argv[1:])
files = {m: getattr(m, "__file__", "") or "" for m in sys.modules.values()}
modules = [m for m, file in files.items() if file.startswith(folders)]
names = {getattr(value, "__name__", "") for m in modules for value in vars(m).values()}
assert len(modules) > 5
assert not [n for n in names if isinstance(n, str) and n.startswith(("tensorflow", "sklearn"))]
"""
    root = FOLDER.parent.parent
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(FOLDER), str(root)])}
    command = [sys.executable, "-c", code, str(root / "skfer"), str(FOLDER)]
    subprocess.run(command, check=True, env=environment, timeout=600)
