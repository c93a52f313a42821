"""
===================================================
Predict sets of labels that contain the right label
===================================================

`ConformalClassifier` predicts a set of labels for each image. The set contains the right label
with the chosen confidence, for any model and without assumptions on its probabilities. Use it if
"happy or surprise" is a better answer than a wrong label. See :doc:`/guide/evaluation`.
"""

# %%
# Fit and calibrate a model
# -------------------------
# The noise makes some faces hard to tell apart. `ConformalClassifier` fits the model on a part of
# the images and calibrates on the others; with a model in a `FrozenEstimator`, it only calibrates.

import matplotlib.pyplot as plt
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skfer import ConformalClassifier, HOGDescriptor
from skfer.datasets import make_faces

faces = make_faces(
    800, classes=["disgust", "happy", "neutral", "sad", "surprise"], noise=0.04, random_state=0
)
X_train, X_test, y_train, y_test = train_test_split(
    faces.images, faces.labels, test_size=0.4, stratify=faces.labels, random_state=0
)
model = make_pipeline(HOGDescriptor(), StandardScaler(), LogisticRegression(C=0.01, max_iter=1000))
sets = ConformalClassifier(model, confidence=0.9, calibration_fraction=0.4, random_state=0)
sets.fit(X_train, y_train)

print(f"accuracy of a single label: {sets.estimator_.score(X_test, y_test):.2f}")
print(sets.set_score(X_test, y_test))

# %%
# Coverage and size
# -----------------
# On the left, the share of the faces of each class whose set contains the right label. On the
# right, the sizes of the sets.

from skfer.inspection import PredictionSetDisplay

PredictionSetDisplay.from_estimator(sets, X_test, y_test)
plt.show()

# %%
# About 89 % of the sets contain the right label, which for 320 faces agrees with 90 %, and two
# thirds of the sets have a single label. The confidence holds for all classes together. With
# ``per_class=True``, it holds for each class.

sets.set_params(per_class=True)
print(sets.set_score(X_test, y_test))
PredictionSetDisplay.from_estimator(sets, X_test, y_test)
plt.show()

# %%
# Look at some sets
# -----------------
# `predict_set` returns a row of booleans for each image, in the order of `classes_`.

members = sets.predict_set(X_test[:8])
figure, axes = plt.subplots(2, 4, figsize=(9, 5.6), layout="constrained")
for axis, image, drawn, row in zip(axes.flat, X_test, y_test, members, strict=False):
    axis.imshow(image, cmap="gray")
    axis.set_title(", ".join(sets.classes_[row]), fontsize="small")
    axis.set_xlabel(f"drawn: {drawn}", fontsize="small")
    axis.set(xticks=[], yticks=[])
plt.show()

# %%
# Easy faces have one label, and ambiguous ones two. The seventh face shows that a set may be wrong.
