"""
============================================
Train an SVM on HOG, LBP and learnt features
============================================

`HOGDescriptor` computes histograms of oriented gradients, `LBPDescriptor` local binary patterns,
and `ExpressionEmbedder` the features of a network. All are transformers, so that an SVM can use
any of them or several together. Use them if there are few images or little time. See
:doc:`/guide/transfer`.
"""

# %%
# Define four kinds of features
# -----------------------------
# `ExpressionEmbedder` returns the inputs of the last layer of a network, here of the shipped one,
# which `FrozenEstimator` keeps as it is. `FeatureUnion` concatenates features.

import matplotlib.pyplot as plt
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from skfer import ExpressionEmbedder, HOGDescriptor, LBPDescriptor, load_pretrained
from skfer.datasets import make_faces

faces = make_faces(300, classes=["happy", "neutral", "sad", "surprise"], random_state=0)
network = FrozenEstimator(load_pretrained("fer2013"))
features = {
    "LBP": LBPDescriptor(),
    "HOG": HOGDescriptor(),
    "learnt": ExpressionEmbedder(network),
    "learnt and HOG": FeatureUnion(
        [("learnt", ExpressionEmbedder(network)), ("hog", HOGDescriptor())]
    ),
}

# %%
# Compare them in an SVM
# ----------------------

accuracies = {}
for name, transformer in features.items():
    svm = make_pipeline(transformer, StandardScaler(), SVC())
    scores = cross_validate(svm, faces.images, faces.labels, cv=3)["test_score"]
    accuracies[name] = scores
    print(f"{name:20} {scores.mean():.2f} ({scores.min():.2f} to {scores.max():.2f})")

figure, axes = plt.subplots(figsize=(6, 3), layout="constrained")
axes.boxplot(list(accuracies.values()), orientation="horizontal", tick_labels=list(accuracies))
axes.set_xlabel("accuracy in 3 folds")
plt.show()

# %%
# The features of the network are the best; HOG adds little to them.
#
# Tune features and SVM together
# ------------------------------
# A search sets the parameters of both.

search = GridSearchCV(
    make_pipeline(HOGDescriptor(), StandardScaler(), SVC()),
    {"hogdescriptor__pixels_per_cell": [6, 8], "svc__C": [1, 10]},
    cv=3,
)
search.fit(faces.images, faces.labels)
print(f"best: {search.best_params_}, accuracy {search.best_score_:.2f}")
