"""
================================================
Plot the data, the training curves and a network
================================================

The displays of `skfer.inspection` plot the classes and images of a data set, the history of a fit,
wrong predictions and the layers of a network. As in scikit-learn, they are created from an
estimator or from data, and can draw into given axes. See :doc:`/guide/tuning`.
"""

# %%
# Data
# ----
# Drawn faces of four expressions. Most images of surprise are left out, so that one class is rare.

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
# Five random images of each class:

ImageGridDisplay.from_data(X_train, y_train, random_state=0)
plt.show()

# %%
# Training curves
# ---------------
# Solid lines are the training images, dashed lines those held out by `validation_fraction`. At
# first, training accuracy can be below validation accuracy, because dropout is only active in
# training. If validation gets worse while training gets better, the network overfits.

from skfer import FacialExpressionClassifier
from skfer.inspection import HistoryDisplay

settings = {"epochs": 15, "batch_size": 32, "validation_fraction": 0.2, "random_state": 0}
classifier = FacialExpressionClassifier(**settings)
classifier.fit(X_train, y_train)
HistoryDisplay.from_estimator(classifier)
plt.show()

# %%
# Compare two fits
# ----------------
# The second fit starts from the weights of the first. It trains the head for three epochs, and
# then all layers; the dashed vertical line marks the change.

from sklearn.frozen import FrozenEstimator

tuned = FacialExpressionClassifier(
    weights=FrozenEstimator(classifier), fine_tune={"frozen_epochs": 3}, **settings
)
tuned.fit(X_train, y_train)
HistoryDisplay.from_histories({"from random weights": classifier, "from the first fit": tuned})
plt.show()

# %%
# Wrong predictions
# -----------------
# A cross and a thick frame mark wrong predictions.

predicted = classifier.predict(X_test)
print(f"accuracy on new faces: {np.mean(predicted == y_test):.2f}")
ImageGridDisplay.from_data(X_test, y_test, y_pred=predicted, n_images=6, random_state=0)
plt.show()

# %%
# The network
# -----------
# The table has a row for each layer.

from skfer.inspection import layer_table, plot_network

print(layer_table(classifier).to_string(index=False))

# %%
# In the diagram, a box is a sequence of layers, with its output shape and number of parameters.
# The name of a network is sufficient. The arcs are the shortcuts of this residual network.

plot_network("mini_xception", input_shape=(48, 48, 1), n_outputs=7)
plt.show()
