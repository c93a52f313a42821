import numpy as np
import pytest
from _utils import tiny_network
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import VotingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline

import skfer
from skfer._pipelines import find_abstaining, flat_steps, image_shape, split_pipeline
from skfer.datasets import make_faces
from skfer.inspection import HistoryDisplay, grad_cam

# The faces in the calibration of some pipelines are too small for the detector.
pytestmark = pytest.mark.filterwarnings("ignore:.* no face found:UserWarning")

CLASSES = ["happy", "sad"]


@pytest.fixture(scope="module")
def faces():
    return make_faces(40, classes=CLASSES, size=32, random_state=0)


@pytest.fixture(scope="module")
def photos():
    return list(make_faces(3, classes=CLASSES, scene=True, random_state=1).images)


@pytest.fixture(scope="module")
def classifier(faces):
    classifier = skfer.FacialExpressionClassifier(tiny_network, epochs=2, random_state=0)
    return classifier.fit(faces.images, faces.labels)


@pytest.fixture(scope="module")
def pipeline(classifier):
    steps = [
        ("c", skfer.FaceCropper(margin=0.1)),
        ("r", skfer.GrayscaleResizer(32)),
        ("n", classifier),
    ]
    return Pipeline(steps)


def make_search(estimator, faces):
    search = GridSearchCV(LogisticRegression(), {"C": [1.0]}, cv=2)
    search.fit(faces.images.reshape(40, -1), faces.labels)
    search.best_estimator_ = estimator
    return search


def make_conformal(estimator, faces):
    sets = skfer.ConformalClassifier(FrozenEstimator(estimator))
    return sets.fit(faces.images, faces.labels)


WRAPPED = {
    "FrozenEstimator": lambda inner, faces: FrozenEstimator(inner),
    "ConformalClassifier": make_conformal,
    "search": make_search,
    "AbstainingClassifier": lambda inner, faces: skfer.AbstainingClassifier(inner, threshold=0),
    "search in FrozenEstimator": lambda inner, faces: FrozenEstimator(make_search(inner, faces)),
    "sets around abstention": lambda inner, faces: make_conformal(
        skfer.AbstainingClassifier(FrozenEstimator(inner), threshold=0), faces
    ),
    "abstention around a search": lambda inner, faces: skfer.AbstainingClassifier(
        make_search(inner, faces), threshold=0
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("wrap", WRAPPED.values(), ids=WRAPPED)
def test_wrapped_pipelines(wrap, pipeline, faces, photos):
    expected = skfer.recognize(photos, pipeline)
    table = skfer.recognize(photos, wrap(pipeline, faces))
    assert table.equals(expected)
    assert table["expression"].notna().any()


@pytest.mark.parametrize("wrap", WRAPPED.values(), ids=WRAPPED)
def test_wrapped_classifiers(wrap, classifier, faces, photos):
    expected = skfer.recognize(photos, classifier)
    assert skfer.recognize(photos, wrap(classifier, faces)).equals(expected)
    steps = skfer.FaceCropper("auto"), skfer.GrayscaleResizer(32), wrap(classifier, faces)
    assert skfer.recognize(photos, make_pipeline(*steps)).equals(expected)


@pytest.mark.slow
@pytest.mark.parametrize("wrap", WRAPPED.values(), ids=WRAPPED)
def test_wrapped_classifier_in_other_functions(wrap, classifier, faces, tmp_path):
    wrapped, X = wrap(classifier, faces), faces.images[:4]
    np.testing.assert_array_equal(grad_cam(wrapped, X).maps, grad_cam(classifier, X).maps)
    HistoryDisplay.from_estimator(wrapped)
    embedder = skfer.ExpressionEmbedder(FrozenEstimator(wrapped)).fit(X)
    np.testing.assert_array_equal(embedder.transform(X), classifier._embed(X))
    fit = skfer.FacialExpressionClassifier(
        classifier.network, weights=FrozenEstimator(wrapped), epochs=1, learning_rate=1e-9
    ).fit(faces.images, faces.labels)
    np.testing.assert_allclose(fit.predict_proba(X), classifier.predict_proba(X), atol=1e-4)
    assert skfer.export_onnx(wrapped, tmp_path / "wrapped.onnx").is_file()


def test_calibrated_classifiers(classifier, faces, photos):
    calibrated = CalibratedClassifierCV(FrozenEstimator(classifier), cv=2)
    calibrated.fit(faces.images, faces.labels)
    table = skfer.recognize(photos, calibrated)
    pipeline = make_pipeline(skfer.FaceCropper("auto"), skfer.GrayscaleResizer(32), calibrated)
    assert table.equals(skfer.recognize(photos, pipeline))
    assert not table.equals(skfer.recognize(photos, classifier))


def test_ensembles_and_features(classifier, faces, photos):
    vote = VotingClassifier([("a", FrozenEstimator(classifier))], voting="soft")
    vote.fit(faces.images, faces.labels)
    hog = make_pipeline(skfer.HOGDescriptor(), LogisticRegression()).fit(faces.images, faces.labels)
    embedded = make_pipeline(
        skfer.ExpressionEmbedder(FrozenEstimator(classifier)), LogisticRegression()
    )
    embedded.fit(faces.images, faces.labels)
    for estimator in (vote, hog, embedded):
        steps = skfer.FaceCropper("auto"), skfer.GrayscaleResizer(32), *flat_steps(estimator)
        expected = skfer.recognize(photos, make_pipeline(*steps))
        assert skfer.recognize(photos, estimator).equals(expected)


def test_outermost_abstention_is_found(pipeline, faces):
    inner = skfer.AbstainingClassifier(pipeline, threshold=0.7)
    outer = skfer.AbstainingClassifier(FrozenEstimator(inner), threshold=0.9)
    assert find_abstaining(pipeline) is None
    assert find_abstaining(FrozenEstimator(inner)) is inner
    assert find_abstaining(FrozenEstimator(make_pipeline(inner))) is inner
    assert find_abstaining(make_conformal(inner, faces)) is inner
    assert find_abstaining(outer) is outer
    assert (
        find_abstaining(make_pipeline(skfer.GrayscaleResizer(32), FrozenEstimator(outer))) is outer
    )
    assert split_pipeline(outer, None).threshold == 0.9
    assert split_pipeline(make_conformal(inner, faces), None).unsure == "unsure"


def test_image_shape_of_the_network(pipeline, classifier):
    assert image_shape(FrozenEstimator(classifier)) == (32, 32, 1)
    assert image_shape(pipeline) is None
    assert image_shape(make_pipeline(classifier)) == (32, 32, 1)
    assert image_shape(LogisticRegression()) is None


def test_unfitted_estimators(pipeline, classifier, faces, photos):
    with pytest.raises(NotFittedError, match="ConformalClassifier instance is not fitted"):
        skfer.recognize(photos, skfer.ConformalClassifier(pipeline))
    search = GridSearchCV(LogisticRegression(), {"C": [1.0]}, cv=2, refit=False)
    with pytest.raises(NotFittedError, match="GridSearchCV instance is not fitted"):
        skfer.recognize(photos, search)
    search.fit(faces.images.reshape(40, -1), faces.labels)
    with pytest.raises(NotFittedError, match="refit=False"):
        skfer.recognize(photos, search)
    with pytest.raises(NotFittedError, match="FacialExpressionClassifier is not fitted"):
        skfer.recognize(photos, FrozenEstimator(skfer.FacialExpressionClassifier()))
    with pytest.raises(NotFittedError, match="CalibratedClassifierCV is not fitted"):
        skfer.recognize(photos, CalibratedClassifierCV(skfer.FacialExpressionClassifier()))
