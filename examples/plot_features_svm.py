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
# `ExpressionEmbedder` fits a network and returns the inputs of its last layer. `FeatureUnion`
# concatenates features.

import matplotlib.pyplot as plt
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from skfer import ExpressionEmbedder, FacialExpressionClassifier, HOGDescriptor, LBPDescriptor
from skfer.datasets import make_faces

faces = make_faces(300, classes=["happy", "neutral", "sad", "surprise"], random_state=0)
network = FacialExpressionClassifier(
    "mini_xception", epochs=10, batch_size=32, learning_rate=5e-3, random_state=0
)
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
# Tune the network inside the Pipeline
# ------------------------------------
# A search can set the parameters of the network and of the SVM.

search = GridSearchCV(
    make_pipeline(ExpressionEmbedder(network), StandardScaler(), SVC()),
    {"expressionembedder__estimator__augment": ["none", "flip"]},
    cv=2,
)
search.fit(faces.images, faces.labels)
print(f"best: {search.best_params_}, accuracy {search.best_score_:.2f}")
