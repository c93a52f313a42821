import json
import zipfile

import joblib
import keras
import numpy as np
import pytest
from _utils import MODELS, is_too_new, small_network, tiny_network, told_of
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC

import skfer
from skfer import (
    AbstainingClassifier,
    ConformalClassifier,
    ExpressionEmbedder,
    FaceCropper,
    FacialAffectRegressor,
    FacialExpressionClassifier,
    GrayscaleResizer,
    HOGDescriptor,
    ImageResizer,
    LBPDescriptor,
)
from skfer.datasets import make_faces
from skfer.detection import HaarDetector, MTCNNDetector, YuNetDetector
from skfer.networks import build_network, list_networks, register_network


@pytest.fixture(scope="module")
def faces():
    return make_faces(60, classes=["happy", "sad", "surprise"], size=24, random_state=0)


@pytest.fixture(scope="module")
def classifier(faces):
    register_network("tiny_network", tiny_network)
    return FacialExpressionClassifier("tiny_network", epochs=2, random_state=0).fit(
        faces.images, faces.labels
    )


@pytest.fixture(scope="module")
def content(classifier, unpacked, tmp_path_factory):
    """The JSON of a saved classifier, and its arrays."""
    path = skfer.save(classifier, tmp_path_factory.mktemp("content") / "tiny.skfer")
    values, arrays = unpacked(path)
    return json.dumps(values), arrays


def test_a_pipeline_comes_back_whole(classifier, tmp_path, astronaut):
    pipeline = Pipeline(
        [
            ("cropper", FaceCropper(margin=0.25, on_missing="blank", n_jobs=2)),
            ("resizer", GrayscaleResizer((24, 24), equalize="histogram")),
            ("classifier", classifier),
        ]
    )
    path = skfer.save(pipeline, tmp_path / "faces.skfer")
    loaded = skfer.load(str(path))
    np.testing.assert_array_equal(
        loaded.predict_proba([astronaut]), pipeline.predict_proba([astronaut])
    )
    assert repr(loaded) == repr(pipeline)
    again = loaded["classifier"]
    for name in ("classes_", "history_", "n_iter_", "image_shape_", "pixel_range_", "_seed"):
        np.testing.assert_equal(getattr(again, name), getattr(classifier, name))
    assert again.fine_tune_epoch_ is None
    assert again.classes_.dtype == classifier.classes_.dtype
    assert [path.name for path in tmp_path.iterdir()] == ["faces.skfer"]


def test_training_goes_on_after_loading(classifier, faces, tmp_path):
    loaded = skfer.load(skfer.save(classifier, tmp_path / "tiny.skfer"))
    loaded.set_params(warm_start=True, epochs=1).fit(faces.images, faces.labels)
    assert loaded.n_iter_ == 3


@pytest.mark.slow
def test_a_network_with_a_state_of_its_own_and_other_settings(faces, tmp_path):
    register_network("small_network", small_network)
    classifier = FacialExpressionClassifier(
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


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cnn4", "mini_resnet", "mini_xception"])
def test_every_layer_of_our_networks_is_known(name, tmp_path):
    classifier = FacialExpressionClassifier(name, random_state=0)
    classifier.classes_ = np.array(["happy", "sad"])
    classifier._build_untrained((16, 16, 1), 2)
    loaded = skfer.load(skfer.save(classifier, tmp_path / f"{name}.skfer"))
    images = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 1), dtype=np.uint8)
    np.testing.assert_array_equal(loaded.predict_proba(images), classifier.predict_proba(images))
    l2 = [getattr(layer, "kernel_regularizer", None) for layer in loaded.network_.layers[-1].layers]
    assert any(l2) == (name == "mini_xception")


EXAMPLES = {
    "ratings": lambda frozen: FacialAffectRegressor("tiny_network", epochs=1, random_state=0),
    "abstaining": lambda frozen: AbstainingClassifier(frozen, threshold=0.9),
    "sets": ConformalClassifier,
    "sets by class": lambda frozen: ConformalClassifier(frozen, per_class=True),
    "embedder": lambda frozen: make_pipeline(
        ExpressionEmbedder(frozen), StandardScaler(), LogisticRegression()
    ),
    "texture": lambda frozen: make_pipeline(
        LBPDescriptor(grid=2), LogisticRegression(max_iter=20, tol=1)
    ),
    "edges": lambda frozen: HOGDescriptor(),
    "union": lambda frozen: FeatureUnion(
        [("edges", HOGDescriptor()), ("t", LBPDescriptor(grid=2))]
    ),
    "rgb": lambda frozen: ImageResizer((32, 24), color="rgb"),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_kind_of_estimator_predicts_the_same_after_loading(classifier, faces, tmp_path, name):
    example = EXAMPLES[name](FrozenEstimator(classifier))
    y = np.column_stack([faces.valence, faces.arousal]) if name == "ratings" else faces.labels
    example.fit(faces.images, y)
    loaded = skfer.load(skfer.save(example, tmp_path / "a.skfer"))
    assert type(loaded) is type(example)
    methods = ("predict_set", "predict", "transform")
    method = next(method for method in methods if hasattr(example, method))
    given, expected = (getattr(one, method)(faces.images[:5]) for one in (loaded, example))
    np.testing.assert_array_equal(given, expected)


def test_frozen_weights_come_back(classifier, tmp_path):
    transfer = FacialExpressionClassifier("tiny_network", weights=FrozenEstimator(classifier))
    loaded = skfer.load(skfer.save(transfer, tmp_path / "a.skfer"))
    assert loaded.weights.estimator.n_iter_ == 2


@pytest.mark.slow
def test_a_model_from_keras_with_its_outputs_in_another_order(faces, tmp_path):
    small_network((24, 24, 1), 3).save(tmp_path / "keras.keras")
    example = FacialExpressionClassifier.from_keras(
        tmp_path / "keras.keras", classes=["surprise", "happy", "sad"]
    )
    loaded = skfer.load(skfer.save(example, tmp_path / "a.skfer"))
    given, expected = (one.predict_proba(faces.images[:4]) for one in (loaded, example))
    np.testing.assert_array_equal(given, expected)


@pytest.mark.parametrize(
    "detector",
    ["haar", "yunet", "mtcnn", HaarDetector(1.2, 3), YuNetDetector(max_side=640), MTCNNDetector()],
)
def test_detectors(detector, tmp_path):
    loaded = skfer.load(skfer.save(FaceCropper(detector), tmp_path / "cropper.skfer"))
    assert repr(loaded) == repr(FaceCropper(detector))


def test_folders_to_write_to_stay_behind(tmp_path):
    cropper = FaceCropper(memory=str(tmp_path / "boxes"))
    classifier = FacialExpressionClassifier(checkpoint_dir=tmp_path, random_state=0)
    for estimator in (cropper, classifier):
        loaded = skfer.load(skfer.save(estimator, tmp_path / "a.skfer"))
        assert getattr(loaded, "memory", None) is None
        assert getattr(loaded, "checkpoint_dir", None) is None
    assert cropper.memory == str(tmp_path / "boxes")


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (SVC(), r"SVC is a sklearn.svm.*SVC, which .* can't hold.*joblib.dump"),
        (
            make_pipeline(GrayscaleResizer(), FunctionTransformer(np.ravel)),
            r"Pipeline\['functiontransformer'\] is a .*FunctionTransformer.*joblib.dump",
        ),
        (
            FacialExpressionClassifier(tiny_network),
            r"network is a function, tiny_network.*register_network\('tiny_network', tiny",
        ),
        (
            FacialExpressionClassifier(callbacks=[keras.callbacks.TerminateOnNaN()]),
            "callbacks can't be saved.*callbacks=None",
        ),
        (FacialExpressionClassifier(random_state=np.random.RandomState(0)), "an int, or None"),
        (GridSearchCV(SVC(), {"C": [1]}), "which .* can't hold"),
        (
            FacialExpressionClassifier(
                optimizer=keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(0.1, 100))
            ),
            "optimiser with settings that are no plain data",
        ),
        ({"not": "an estimator"}, "dict is a builtins.dict, which .* can't hold"),
    ],
)
def test_what_is_no_data_is_refused_with_its_place(estimator, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        skfer.save(estimator, tmp_path / "a.skfer")
    assert not any(tmp_path.iterdir())


def test_a_class_of_ones_own_is_refused_though_it_has_the_name(tmp_path):
    own = type("FaceCropper", (FaceCropper,), {"__init__": FaceCropper.__init__})
    with pytest.raises(ValueError, match="can't hold"):
        skfer.save(own(), tmp_path / "a.skfer")


def test_an_attribute_and_a_layer_that_are_not_known_are_refused(tmp_path, faces):
    cropper = FaceCropper()
    cropper.note_ = "mine"
    with pytest.raises(ValueError, match="FaceCropper has an attribute note_"):
        skfer.save(cropper, tmp_path / "a.skfer")

    def with_code(input_shape, n_outputs):
        body = tiny_network(input_shape, n_outputs)
        body.add(keras.layers.Lambda(lambda x: x, name="code"))
        return body

    register_network("with_code", with_code)
    classifier = FacialExpressionClassifier("with_code", epochs=1, random_state=0)
    classifier.fit(faces.images, faces.labels)
    with pytest.raises(ValueError, match="its layer 'code' is a Lambda"):
        skfer.save(classifier, tmp_path / "a.skfer")


def test_a_found_best_estimator_is_what_to_save(classifier, tmp_path):
    search = GridSearchCV(classifier, {"epochs": [1]})
    search.best_estimator_ = classifier
    with pytest.raises(ValueError, match="best_estimator_"):
        skfer.save(search, tmp_path / "a.skfer")


def test_names_of_other_kinds_of_file(classifier, tmp_path):
    with pytest.raises(ValueError, match=r"suffix of a pickle.*'faces.skfer'"):
        skfer.save(classifier, tmp_path / "faces.joblib")
    with pytest.raises(FileNotFoundError, match=r"no model file .*none.skfer"):
        skfer.load(tmp_path / "none.skfer")
    pickle, compressed, theirs, junk, empty, archive = (tmp_path / name for name in "abcdef")
    joblib.dump(GrayscaleResizer(), pickle)
    joblib.dump(GrayscaleResizer(), compressed, compress=3)
    tiny_network((8, 8, 1), 2).save(tmp_path / "t.keras")
    (tmp_path / "t.keras").rename(theirs)
    junk.write_text("hello, I am no model")
    empty.touch()
    zipfile.ZipFile(archive, "w").close()
    for path, message in [
        (pickle, "is a pickle.*may run any code.*joblib.load"),
        (compressed, "is a pickle"),
        (theirs, "from_keras"),
        (junk, "no model that skfer.save wrote"),
        (empty, "is empty"),
        (archive, "is a zip archive"),
        (tmp_path, "no model file"),
    ]:
        with pytest.raises((ValueError, FileNotFoundError), match=message):
            skfer.load(path)


def test_every_byte_counts(classifier, tmp_path):
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
    with pytest.raises(ValueError, match="breaks off"):
        skfer.load(path)
    path.write_bytes(whole[:500] + b"\0" + whole[501:])
    with pytest.raises(ValueError, match="has been changed or is damaged"):
        skfer.load(path)


def test_a_file_of_a_newer_skfer_says_so(content, sealed):
    text, arrays = content
    newer = json.loads(text) | {"format": 2, "versions": {"skfer": "9.0"}}
    with pytest.raises(ValueError, match=r"format 2, written by skfer 9\.0.*install a newer one"):
        skfer.load(sealed(newer, arrays))


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
        ('"padding": "same"', '"padding": {"class_name": "x"}', "is no plain data"),
        ('"activation": "softmax"', '"activation": "os.system"', "can't be built"),
        ('"temperature": null', '"temperature": -1.0', "temperature"),
        ('"epochs": 2', '"epochs": {"estimator": {"class": "Popen"}}', "class 'Popen'"),
        ('"epochs": 2', '"epochs": {"pickle": "gASV"}', "kind 'pickle'"),
        ('"format": 1', '"format": 0', "format 0"),
    ],
)
def test_a_file_made_to_do_harm_is_refused(content, sealed, old, new, message):
    text, arrays = content
    assert old in text
    with pytest.raises(ValueError, match=message):
        skfer.load(sealed(json.loads(text.replace(old, new, 1)), arrays))


def test_a_file_that_unfolds_into_more_is_refused(content, sealed, tmp_path):
    text, arrays = content
    path = sealed(json.loads(text), [np.zeros(3, "O").astype("U1"), *arrays])
    bomb = tmp_path / "bomb.skfer"
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(bomb, "w") as packed:
        for name in archive.namelist():
            packed.writestr(name, archive.read(name), zipfile.ZIP_DEFLATED)
        packed.comment = archive.comment
    import hashlib

    whole = bomb.read_bytes()[:-64]
    bomb.write_bytes(whole + hashlib.sha256(whole).hexdigest().encode())
    with pytest.raises(ValueError, match=r"entry 'skfer\.json' is compressed"):
        skfer.load(bomb)


def test_a_name_for_a_function():
    register_network("my_cnn", small_network)
    register_network("my_cnn", tiny_network)
    assert "my_cnn" in list_networks()
    assert build_network("my_cnn", (8, 8, 1), 2).name == "tiny_network"
    with pytest.raises(ValueError, match="'cnn4' is the name of a network of skfer"):
        register_network("cnn4", tiny_network)
    with pytest.raises(ValueError, match="letters, digits"):
        register_network("my.h5", tiny_network)
    with pytest.raises(ValueError, match="must be callable"):
        register_network("mine", "cnn4")


@pytest.mark.slow
@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_files_of_earlier_releases_load_and_say_what_they_said(path):
    if is_too_new(path):
        pytest.skip("holds parameters of a newer scikit-learn")
    told = told_of(path)
    estimator = skfer.load(path)
    faces = make_faces(3, size=told["size"], random_state=1)
    given = getattr(estimator, told["method"])(faces.images)
    np.testing.assert_allclose(given, told["answers"], atol=1e-5)


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
def test_former_parameters_are_read(former, expected, content, sealed):
    text, arrays = content
    changed = json.loads(text)
    parameters = changed["estimator"]["parameters"]
    del parameters["fine_tune"]
    parameters.update(former)
    loaded = skfer.load(sealed(changed, arrays))
    assert {name: getattr(loaded, name) for name in expected} == expected


def test_there_are_files_of_every_format():
    assert {path.stem.split("_")[0] for path in MODELS} >= {f"v{n + 1}" for n in range(1)}
