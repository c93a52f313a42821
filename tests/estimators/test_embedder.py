import numpy as np
import pytest
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from skfer import ExpressionEmbedder, FacialExpressionClassifier, GrayscaleResizer, HOGDescriptor
from skfer.datasets import make_faces


@pytest.fixture(scope="module")
def faces():
    return make_faces(60, classes=["happy", "sad"], random_state=0)


@pytest.fixture
def classifier(small_network):
    return FacialExpressionClassifier(small_network, epochs=2, random_state=0)


@pytest.mark.slow
def test_features(faces, classifier):
    embedder = ExpressionEmbedder(classifier).fit(faces.images, faces.labels)
    vectors = embedder.transform(faces.images)
    kernel, bias = embedder.estimator_.network_.layers[-1].layers[-1].get_weights()
    scores = np.exp(vectors @ kernel + bias)
    np.testing.assert_allclose(
        scores / scores.sum(axis=1, keepdims=True),
        embedder.estimator_.predict_proba(faces.images),
        rtol=1e-4,
    )
    embedder = ExpressionEmbedder(classifier).set_output(transform="pandas")
    table = embedder.fit(faces.images, faces.labels).transform(faces.images)
    assert table.columns[0] == "expressionembedder0"
    assert table.shape == (60, 8)
    pipeline = make_pipeline(GrayscaleResizer(32), classifier).fit(faces.images, faces.labels)
    embedder = ExpressionEmbedder(FrozenEstimator(pipeline))
    vectors = clone(embedder).fit(faces.images).transform(faces.images)
    resized = pipeline[0].transform(faces.images)
    alone = ExpressionEmbedder(FrozenEstimator(pipeline[-1])).fit(resized).transform(resized)
    np.testing.assert_array_equal(vectors, alone)
    frozen = FrozenEstimator(make_pipeline(StandardScaler()).fit(np.zeros((2, 2))))
    with pytest.raises(ValueError, match="holds a StandardScaler"):
        ExpressionEmbedder(frozen).fit(faces.images)


@pytest.mark.slow
@pytest.mark.real_data
def test_search_of_learned_and_hog_features(fer2013):
    rows = fer2013.train_index[:500]
    rows = rows[np.isin(fer2013.labels[rows], ["happy", "surprise"])]
    learned = ExpressionEmbedder(FacialExpressionClassifier("small_cnn", random_state=0))
    features = FeatureUnion([("learned", learned), ("orientations", HOGDescriptor())])
    steps = [("resizer", GrayscaleResizer(48)), ("features", features)]
    pipeline = Pipeline([*steps, ("scaler", StandardScaler()), ("svm", SVC())])
    search = GridSearchCV(pipeline, {"features__learned__estimator__epochs": [1, 3]}, cv=2).fit(
        fer2013.images[rows], fer2013.labels[rows]
    )
    chance = np.unique(fer2013.labels[rows], return_counts=True)[1].max() / len(rows)
    assert search.best_score_ > chance
    assert search.predict(fer2013.images[:5]).shape == (5,)
