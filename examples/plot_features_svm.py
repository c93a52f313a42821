"""
=======================================================
An SVM on orientations, textures and what a network saw
=======================================================

Before networks, faces were described by hand: by the orientations of their edges (HOG) or by
their textures (LBP). A network learns its own features. All of them are transformers, so an SVM
can be given any of them, or several side by side.
"""

# %%
# Four kinds of features
# ----------------------
# `ExpressionEmbedder` fits a network and gives its last layer's inputs. `FeatureUnion` puts
# features side by side.

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
    "textures (LBP)": LBPDescriptor(),
    "orientations (HOG)": HOGDescriptor(),
    "learnt": ExpressionEmbedder(network),
    "learnt and HOG": FeatureUnion(
        [("learnt", ExpressionEmbedder(network)), ("hog", HOGDescriptor())]
    ),
}

# %%
# How well an SVM does with each
# ------------------------------

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
# Search over both
# ----------------
# The parameters of the network and of the SVM are those of one Pipeline; here, of the network.

search = GridSearchCV(
    make_pipeline(ExpressionEmbedder(network), StandardScaler(), SVC()),
    {"expressionembedder__estimator__augment": ["none", "flip"]},
    cv=2,
)
search.fit(faces.images, faces.labels)
print(f"best: {search.best_params_}, accuracy {search.best_score_:.2f}")
