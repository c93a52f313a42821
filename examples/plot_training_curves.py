"""
=====================================================
Look at the data, the curves of a fit and the network
=====================================================

Before a fit: how many images each class has, and what they look like. After it: whether the
network still learns, whether it learns by heart, and which images it gets wrong. The displays
of `skfer.inspection` draw all of it, as those of scikit-learn do: from an estimator, from data,
or into axes of your own.
"""

# %%
# What there is to learn from
# ---------------------------
# Drawn faces of four expressions; of surprise, most are left out, as some expression is rare in
# every collection.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import train_test_split

from skfer.datasets import make_faces
from skfer.inspection import ClassBalanceDisplay, ImageGridDisplay

faces = make_faces(
    800, classes=["happy", "neutral", "sad", "surprise"], size=24, noise=0.02, random_state=0
)
common = np.flatnonzero(faces.labels != "surprise")
rare = np.flatnonzero(faces.labels == "surprise")[:60]
kept = np.sort(np.concatenate([common, rare]))
X_train, X_test, y_train, y_test = train_test_split(
    faces.images[kept], faces.labels[kept], stratify=faces.labels[kept], random_state=0
)
ClassBalanceDisplay.from_labels({"training": y_train, "test": y_test})
plt.show()

# %%
# Five images of each class, drawn by lot.

ImageGridDisplay.from_data(X_train, y_train, random_state=0)
plt.show()

# %%
# The curves of a fit
# -------------------
# The part held out by `validation_fraction` is drawn dashed. Where it stays behind while
# training goes on, the network learns by heart.

from skfer import FacialExpressionClassifier
from skfer.inspection import HistoryDisplay

settings = {"epochs": 10, "batch_size": 32, "validation_fraction": 0.2, "random_state": 0}
classifier = FacialExpressionClassifier("little_vgg", **settings)
classifier.fit(X_train, y_train)
HistoryDisplay.from_estimator(classifier)
plt.show()

# %%
# Two fits side by side
# ---------------------
# The second one starts from the first one's weights: three epochs for its head alone, and then
# fine-tuning, from the dashed vertical line on.

from sklearn.frozen import FrozenEstimator

tuned = FacialExpressionClassifier(
    "little_vgg", weights=FrozenEstimator(classifier), frozen_epochs=3, **settings
)
tuned.fit(X_train, y_train)
HistoryDisplay.from_histories({"from random weights": classifier, "fine-tuned": tuned})
plt.show()

# %%
# Which images it gets wrong
# --------------------------
# A cross and a thick frame mark what was named wrong.

predicted = classifier.predict(X_test)
print(f"accuracy on new faces: {np.mean(predicted == y_test):.2f}")
ImageGridDisplay.from_data(X_test, y_test, y_pred=predicted, n_images=6, random_state=0)
plt.show()

# %%
# The network
# -----------
# A box is a run of layers; beside it stand the shape that comes out of it and its number of
# parameters. Every layer has a row in the table.

from skfer.inspection import layer_table, plot_network

plot_network(classifier)
plt.show()

table = layer_table(classifier)
print(table.groupby("type")["parameters"].sum().to_string())
