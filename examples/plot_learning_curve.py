"""
============================
See whether more images help
============================

A learning curve shows the accuracy on new images for growing training sets. If it still rises at
its end, collect more images; if it is flat, change the model. See :doc:`/guide/model_selection`.
"""

# %%
# Two models
# ----------
# An SVM on histograms of oriented gradients, and a linear model on the features of the shipped
# network.

from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from skfer import ExpressionEmbedder, HOGDescriptor, load_pretrained
from skfer.datasets import make_faces

faces = make_faces(480, classes=["happy", "neutral", "sad", "surprise"], random_state=0)
embedder = ExpressionEmbedder(FrozenEstimator(load_pretrained("fer2013"))).fit(faces.images)
svm = make_pipeline(StandardScaler(), SVC())
linear = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000))

# %%
# The features do not depend on the labels or on the other images, so that they are computed once.

features = {
    "HOG and SVM": (svm, HOGDescriptor().fit_transform(faces.images)),
    "shipped network and linear model": (linear, embedder.transform(faces.images)),
}

# %%
# Plot the curves
# ---------------
# ``shuffle=True`` mixes the classes in the smaller training sets.

import matplotlib.pyplot as plt
from sklearn.model_selection import LearningCurveDisplay

figure, axis = plt.subplots(figsize=(6.5, 4), layout="constrained")
for name, (model, X) in features.items():
    curve = LearningCurveDisplay.from_estimator(
        model,
        X,
        faces.labels,
        train_sizes=[0.1, 0.2, 0.4, 0.7, 1.0],
        cv=5,
        shuffle=True,
        random_state=0,
        score_type="test",
        score_name="accuracy on new faces",
        ax=axis,
    )
    curve.lines_[0].set(label=name, marker="o")
    print(name, curve.test_scores.mean(axis=1).round(2))
axis.legend(frameon=False)
plt.show()

# %%
# The SVM would profit from more images: its curve still rises. The features of the shipped network
# need far fewer, and more images hardly help.
