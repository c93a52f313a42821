import hashlib
import json
import zipfile

import joblib
import keras
import numpy as np
import pytest
from _utils import (
    MODELS,
    is_too_new,
    read_record,
    small_network,
    tiny_network,
    untrained_classifier,
)
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC

import skfer
from skfer.datasets import make_faces
from skfer.detection import HaarDetector, MTCNNDetector, YuNetDetector
from skfer.networks import register_network


@pytest.fixture(scope="module")
def classifier(faces):
    register_network("tiny_network", tiny_network)
    return skfer.FacialExpressionClassifier("tiny_network", epochs=2, random_state=0).fit(
        faces.images, faces.labels
    )


@pytest.fixture(scope="module")
def content(classifier, unpacked, tmp_path_factory):
    path = skfer.save(classifier, tmp_path_factory.mktemp("content") / "tiny.skfer")
    values, arrays = unpacked(path)
    return json.dumps(values), arrays


def test_pipeline(classifier, tmp_path, astronaut):
    pipeline = Pipeline(
        [
            ("cropper", skfer.FaceCropper(margin=0.25, on_missing="blank", n_jobs=2)),
            ("resizer", skfer.GrayscaleResizer((24, 24), equalize="histogram")),
            ("classifier", classifier),
        ]
    )
    path = skfer.save(pipeline, tmp_path / "faces.skfer")
    loaded = skfer.load(str(path))
    np.testing.assert_array_equal(
        loaded.predict_proba([astronaut]), pipeline.predict_proba([astronaut])
    )
    assert repr(loaded) == repr(pipeline)
    restored = loaded["classifier"]
    for name in ("classes_", "history_", "n_iter_", "image_shape_", "pixel_range_", "_seed"):
        np.testing.assert_equal(getattr(restored, name), getattr(classifier, name))
    assert restored.fine_tune_epoch_ is None
    assert restored.classes_.dtype == classifier.classes_.dtype
    assert [path.name for path in tmp_path.iterdir()] == ["faces.skfer"]


def test_loaded_model_can_be_fitted_further(classifier, faces, tmp_path):
    loaded = skfer.load(skfer.save(classifier, tmp_path / "tiny.skfer"))
    loaded.set_params(warm_start=True, epochs=1).fit(faces.images, faces.labels)
    assert loaded.n_iter_ == 3
    assert loaded.partial_fit(faces.images, faces.labels).n_iter_ == 4
    loaded = skfer.load(skfer.save(classifier, tmp_path / "tiny.skfer"))
    assert loaded.partial_fit(faces.images, faces.labels).n_iter_ == 3


def test_classifier_as_weights_is_saved(classifier, tmp_path):
    transfer = skfer.FacialExpressionClassifier("tiny_network", weights=FrozenEstimator(classifier))
    loaded = skfer.load(skfer.save(transfer, tmp_path / "a.skfer"))
    assert loaded.weights.estimator.n_iter_ == 2


def test_folders_are_not_saved(tmp_path):
    cropper = skfer.FaceCropper(memory=str(tmp_path / "boxes"))
    classifier = skfer.FacialExpressionClassifier(checkpoint_dir=tmp_path, random_state=0)
    for estimator in (cropper, classifier):
        loaded = skfer.load(skfer.save(estimator, tmp_path / "a.skfer"))
        assert getattr(loaded, "memory", None) is None
        assert getattr(loaded, "checkpoint_dir", None) is None
    assert cropper.memory == str(tmp_path / "boxes")


@pytest.mark.slow
def test_network_state_and_settings(faces, tmp_path):
    register_network("small_network", small_network)
    classifier = skfer.FacialExpressionClassifier(
        "small_network",
        epochs=2,
        fine_tune={"frozen_epochs": 1},
        optimizer=keras.optimizers.SGD(0.05, momentum=0.9),
        class_weight={0: 1.0, 1: 2.0, 2: 1.0},
        network_params={"dropout": 0.1},
        test_time_augmentation="flip",
        temperature=1.5,
        validation_fraction=0.2,
        random_state=0,
    ).fit(faces.images.astype(np.float32) / 255, faces.target)
    loaded = skfer.load(skfer.save(classifier, tmp_path / "small.skfer"))
    np.testing.assert_array_equal(
        loaded.predict_proba(faces.images), classifier.predict_proba(faces.images)
    )
    assert loaded.predict(faces.images[:3]).dtype == classifier.predict(faces.images[:3]).dtype
    assert loaded.class_weight == {0: 1.0, 1: 2.0, 2: 1.0}
    assert loaded.optimizer.momentum == 0.9
    assert loaded.fine_tune_epoch_ == 1
    assert loaded._trained_at_first == classifier._trained_at_first


EXAMPLES = {
    "ratings": lambda frozen: skfer.FacialAffectRegressor("tiny_network", epochs=1, random_state=0),
    "abstaining": lambda frozen: skfer.AbstainingClassifier(frozen, threshold=0.9),
    "sets": skfer.ConformalClassifier,
    "sets by class": lambda frozen: skfer.ConformalClassifier(frozen, per_class=True),
    "embedder": lambda frozen: make_pipeline(
        skfer.ExpressionEmbedder(frozen), StandardScaler(), LogisticRegression()
    ),
    "texture": lambda frozen: make_pipeline(
        skfer.LBPDescriptor(grid=2), LogisticRegression(C=np.float64(np.inf), max_iter=20, tol=1)
    ),
    "components": lambda frozen: make_pipeline(
        skfer.HOGDescriptor(),
        PCA(9, svd_solver="covariance_eigh"),  # in Fortran's order
    ),
    "edges": lambda frozen: skfer.HOGDescriptor(),
    "union": lambda frozen: FeatureUnion(
        [("edges", skfer.HOGDescriptor()), ("t", skfer.LBPDescriptor(grid=2))]
    ),
    "rgb": lambda frozen: skfer.ImageResizer((32, 24), color="rgb"),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_estimators(classifier, faces, tmp_path, name):
    example = EXAMPLES[name](FrozenEstimator(classifier))
    y = np.column_stack([faces.valence, faces.arousal]) if name == "ratings" else faces.labels
    example.fit(faces.images, y)
    loaded = skfer.load(skfer.save(example, tmp_path / "a.skfer"))
    assert type(loaded) is type(example)
    methods = ("predict_set", "predict", "transform")
    method = next(method for method in methods if hasattr(example, method))
    outputs, expected = (getattr(one, method)(faces.images[:5]) for one in (loaded, example))
    np.testing.assert_array_equal(outputs, expected)


@pytest.mark.slow
def test_network_of_a_keras_file(faces, tmp_path):
    small_network((24, 24, 1), 3).save(tmp_path / "keras.keras")
    example = skfer.FacialExpressionClassifier.from_keras(
        tmp_path / "keras.keras", classes=["surprise", "happy", "sad"]
    )
    loaded = skfer.load(skfer.save(example, tmp_path / "a.skfer"))
    outputs, expected = (one.predict_proba(faces.images[:4]) for one in (loaded, example))
    np.testing.assert_array_equal(outputs, expected)


@pytest.mark.slow
def test_networks(tmp_path):
    for name in ["cnn4", "mini_resnet", "mini_xception"]:
        classifier = untrained_classifier(name, (16, 16, 1), ["happy", "sad"])
        loaded = skfer.load(skfer.save(classifier, tmp_path / f"{name}.skfer"))
        images = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 1), dtype=np.uint8)
        np.testing.assert_array_equal(
            loaded.predict_proba(images), classifier.predict_proba(images)
        )
        l2 = [
            getattr(layer, "kernel_regularizer", None)
            for layer in loaded.network_.layers[-1].layers
        ]
        assert any(l2) == (name == "mini_xception")


@pytest.mark.parametrize(
    "detector",
    ["haar", "yunet", "mtcnn", HaarDetector(1.2, 3), YuNetDetector(max_side=640), MTCNNDetector()],
)
def test_detectors(detector, tmp_path):
    loaded = skfer.load(skfer.save(skfer.FaceCropper(detector), tmp_path / "cropper.skfer"))
    assert repr(loaded) == repr(skfer.FaceCropper(detector))


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (SVC(), r"SVC is a sklearn.svm.*SVC, which .* can't hold.*joblib.dump"),
        (
            make_pipeline(skfer.GrayscaleResizer(), FunctionTransformer(np.ravel)),
            r"Pipeline\['functiontransformer'\] is a .*FunctionTransformer.*joblib.dump",
        ),
        (
            skfer.FacialExpressionClassifier(tiny_network),
            r"network is a function, tiny_network.*register_network\('tiny_network', tiny",
        ),
        (
            skfer.FacialExpressionClassifier(callbacks=[keras.callbacks.TerminateOnNaN()]),
            "callbacks can't be saved.*callbacks=None",
        ),
        (
            skfer.FacialExpressionClassifier(random_state=np.random.RandomState(0)),
            "an int, or None",
        ),
        (GridSearchCV(SVC(), {"C": [1]}), "which .* can't hold"),
        (
            skfer.FacialExpressionClassifier(
                optimizer=keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(0.1, 100))
            ),
            "optimiser with settings that are not plain data",
        ),
        ({"not": "an estimator"}, "dict is a builtins.dict, which .* can't hold"),
    ],
)
def test_values_that_cannot_be_saved(estimator, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        skfer.save(estimator, tmp_path / "a.skfer")
    assert not any(tmp_path.iterdir())


def test_unknown_classes_and_attributes_are_not_saved(tmp_path):
    subclass = type("FaceCropper", (skfer.FaceCropper,), {"__init__": skfer.FaceCropper.__init__})
    with pytest.raises(ValueError, match="can't hold"):
        skfer.save(subclass(), tmp_path / "a.skfer")
    cropper = skfer.FaceCropper()
    cropper.note_ = "text"
    with pytest.raises(ValueError, match="FaceCropper has an attribute note_"):
        skfer.save(cropper, tmp_path / "a.skfer")


def test_layers_with_code_are_not_saved(tmp_path, faces):
    def with_code(input_shape, n_outputs):
        body = tiny_network(input_shape, n_outputs)
        body.add(keras.layers.Lambda(lambda x: x, name="code"))
        return body

    register_network("with_code", with_code)
    classifier = skfer.FacialExpressionClassifier("with_code", epochs=1, random_state=0)
    classifier.fit(faces.images, faces.labels)
    with pytest.raises(ValueError, match="its layer 'code' is a Lambda"):
        skfer.save(classifier, tmp_path / "a.skfer")


def test_other_file_types(classifier, tmp_path):
    with pytest.raises(ValueError, match=r"suffix of a pickle.*'faces.skfer'"):
        skfer.save(classifier, tmp_path / "faces.joblib")
    with pytest.raises(FileNotFoundError, match=r"no model file .*none.skfer"):
        skfer.load(tmp_path / "none.skfer")
    pickle, compressed, keras_file, junk, empty, archive = (tmp_path / name for name in "abcdef")
    joblib.dump(skfer.GrayscaleResizer(), pickle)
    joblib.dump(skfer.GrayscaleResizer(), compressed, compress=3)
    tiny_network((8, 8, 1), 2).save(tmp_path / "t.keras")
    (tmp_path / "t.keras").rename(keras_file)
    junk.write_text("text")
    empty.touch()
    zipfile.ZipFile(archive, "w").close()
    for path, message in [
        (pickle, "is a pickle.*may run any code.*joblib.load"),
        (compressed, "is a pickle"),
        (keras_file, "from_keras"),
        (junk, "was not written by skfer.save"),
        (empty, "is empty"),
        (archive, "is a zip archive"),
        (tmp_path, "no model file"),
    ]:
        with pytest.raises((ValueError, FileNotFoundError), match=message):
            skfer.load(path)
    search = GridSearchCV(classifier, {"epochs": [1]})
    search.best_estimator_ = classifier
    with pytest.raises(ValueError, match="best_estimator_"):
        skfer.save(search, tmp_path / "a.skfer")


def test_damaged_files(classifier, tmp_path):
    path = skfer.save(classifier, tmp_path / "tiny.skfer")
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for place in [*rng.integers(0, len(whole), 200), 10, len(whole) - 1, len(whole) - 70]:
        changed = bytearray(whole)
        changed[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(changed)
        with pytest.raises(ValueError, match=r"tiny\.skfer"):
            skfer.load(path)
    path.write_bytes(whole[:-1000])
    with pytest.raises(ValueError, match="is truncated"):
        skfer.load(path)
    path.write_bytes(whole[:500] + b"\0" + whole[501:])
    with pytest.raises(ValueError, match="has been changed or is damaged"):
        skfer.load(path)


def test_files_of_a_newer_version(content, sealed):
    text, arrays = content
    newer = json.loads(text) | {"format": 2, "versions": {"skfer": "9.0"}}
    with pytest.raises(ValueError, match=r"format 2, written by skfer 9\.0.*install a newer one"):
        skfer.load(sealed(newer, arrays))


def test_compressed_entries_are_refused(content, sealed, tmp_path):
    text, arrays = content
    path = sealed(json.loads(text), [np.zeros(3, "O").astype("U1"), *arrays])
    bomb = tmp_path / "bomb.skfer"
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(bomb, "w") as packed:
        for name in archive.namelist():
            packed.writestr(name, archive.read(name), zipfile.ZIP_DEFLATED)
        packed.comment = archive.comment
    whole = bomb.read_bytes()[:-64]
    bomb.write_bytes(whole + hashlib.sha256(whole).hexdigest().encode())
    with pytest.raises(ValueError, match=r"entry 'skfer\.json' is compressed"):
        skfer.load(bomb)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"class": "FacialExpressionClassifier"', '"class": "Popen"', "class 'Popen'"),
        ('"class": "FacialExpressionClassifier"', '"class": "__init__"', "class '__init__'"),
        ('"class": "Conv2D"', '"class": "Lambda"', "class='Lambda' is none of"),
        ('"class": "Conv2D"', '"class": "TFSMLayer"', "'TFSMLayer' is none of"),
        ('"class": "Dense"', '"class": "Conv2D"', "can't be built"),
        ('"n_iter_": 2', '"predict": 2', "no attribute 'predict'"),
        ('"n_iter_": 2', '"n_iter_": "2"', "no attribute 'n_iter_' of that kind"),
        ('"n_iter_": 2', '"network_": 2', "no attribute 'network_'"),
        ('"units": 3', '"units": 1000', "which are not in the file"),
        ('"units": 3', '"lora_rank": 4, "units": 3', "setting 'lora_rank' is not known"),
        ('"filters": 4', '"filters": 400', "which are not in the file"),
        ('"padding": "same"', '"padding": {"class_name": "x"}', "is not plain data"),
        ('"activation": "softmax"', '"activation": "os.system"', "can't be built"),
        ('"temperature": null', '"temperature": -1.0', "temperature"),
        ('"epochs": 2', '"epochs": {"estimator": {"class": "Popen"}}', "class 'Popen'"),
        ('"epochs": 2', '"epochs": {"pickle": "gASV"}', "kind 'pickle'"),
        ('"format": 1', '"format": 0', "format 0"),
        (
            '"optimizer": "adam"',
            '"optimizer": {"optimizer": {"class": "Popen", "settings": {"dict": []}}}',
            "optimiser 'Popen', which is not known",
        ),
        ('"pixel_range": [0.0, 255.0]', '"pixel_range": [0.0, 1e300]', "pixel_range_ is 0 to 1e"),
        ('"image_shape_": {"tuple": [24', '"image_shape_": {"tuple": [-24', "image_shape_ is"),
        ('"_seed": ', '"n_iter_": ', "a network and no _seed"),
        ('"class": "Functional"', '"class": "Subclass"', "'Subclass' is none of"),
    ],
)
def test_harmful_content(content, sealed, old, new, message):
    text, arrays = content
    assert old in text
    with pytest.raises(ValueError, match=message):
        skfer.load(sealed(json.loads(text.replace(old, new, 1)), arrays))


@pytest.mark.slow
@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_files_of_earlier_releases(path):
    if is_too_new(path):
        pytest.skip("holds parameters of a newer scikit-learn")
    record = read_record(path)
    estimator = skfer.load(path)
    faces = make_faces(3, size=record["size"], random_state=1)
    outputs = getattr(estimator, record["method"])(faces.images)
    np.testing.assert_allclose(outputs, record["outputs"], atol=1e-5)


@pytest.mark.parametrize(
    ("former", "expected"),
    [
        ({"frozen_epochs": 0}, {"fine_tune": {"frozen_epochs": 0}}),
        (
            {"frozen_epochs": None, "fine_tune_from": "a", "fine_tune_learning_rate": 1e-4},
            {"fine_tune": {"first_layer": "a", "learning_rate": 1e-4}},
        ),
        ({"frozen_epochs": None, "patience": 3}, {"fine_tune": None, "early_stopping": False}),
        ({"early_stopping": True, "patience": 3}, {"early_stopping": 3}),
        ({"early_stopping": True, "patience": 0}, {"early_stopping": 1}),
    ],
)
def test_former_parameters(former, expected, content, sealed):
    text, arrays = content
    changed = json.loads(text)
    parameters = changed["estimator"]["parameters"]
    del parameters["fine_tune"]
    parameters.update(former)
    loaded = skfer.load(sealed(changed, arrays))
    assert {name: getattr(loaded, name) for name in expected} == expected
