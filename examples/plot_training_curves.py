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
# Solid is what was trained on, dashed the part held out by `validation_fraction`. Training may
# stand below validation at first: dropout is at work in training alone. Where validation gets
# worse while training gets better, the network learns by heart.

from skfer import FacialExpressionClassifier
from skfer.inspection import HistoryDisplay

settings = {"epochs": 10, "batch_size": 32, "validation_fraction": 0.2, "random_state": 0}
classifier = FacialExpressionClassifier("plain_cnn", **settings)
classifier.fit(X_train, y_train)
HistoryDisplay.from_estimator(classifier)
plt.show()

# %%
# Two fits side by side
# ---------------------
# The second one starts where the first one ended: three epochs for its head alone, and then
# fine-tuning of all layers, from the dashed vertical line on.

from sklearn.frozen import FrozenEstimator

tuned = FacialExpressionClassifier(
    "plain_cnn", weights=FrozenEstimator(classifier), fine_tune={"frozen_epochs": 3}, **settings
)
tuned.fit(X_train, y_train)
HistoryDisplay.from_histories({"from random weights": classifier, "from the first fit": tuned})
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
# Every layer of a fitted network has a row in the table.

from skfer.inspection import layer_table, plot_network

print(layer_table(classifier).to_string(index=False))

# %%
# In the picture, a box is a run of layers; beside it stand the shape that comes out of it and
# its number of parameters. A network that is only named is drawn as well. This one is residual:
# the arcs are its short cuts.

plot_network("mini_xception", input_shape=(48, 48, 1), n_outputs=7)
plt.show()
