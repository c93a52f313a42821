"""
==================================
Learn own labels from a few images
==================================

`ExpressionEmbedder` computes the features of a network that was trained on many faces, and a linear
model learns your labels from them. Fine-tuning the network with ``weights="fer2013"`` takes longer
and can be more accurate. Use either if you have few labelled images. See :doc:`/guide/transfer`.
"""

# %%
# Own labels
# ----------
# The labels tell whether a person smiles. The shipped network does not know them.

import numpy as np
from sklearn.model_selection import train_test_split

from skfer.datasets import make_faces

faces = make_faces(500, classes=["happy", "neutral", "sad", "surprise"], random_state=0)
labels = np.where(faces.labels == "happy", "smiling", "not smiling")
X, X_test, y, y_test = train_test_split(
    faces.images, labels, test_size=300, stratify=labels, random_state=0
)

# %%
# Compare features and few images
# -------------------------------
# The same linear model is fitted on pixels, on histograms of gradients and on the features of the
# shipped network, with 20 to 100 images and five random samples of each size.

import matplotlib.pyplot as plt
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import StratifiedShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skfer import ExpressionEmbedder, HOGDescriptor, load_pretrained

pretrained = load_pretrained("fer2013")
features = {
    "pixels": FunctionTransformer(lambda images: images.reshape(len(images), -1) / 255),
    "histograms of gradients": HOGDescriptor(),
    "shipped network": ExpressionEmbedder(FrozenEstimator(pretrained)).fit(X),
}
sizes = [20, 50, 100]
figure, axis = plt.subplots(figsize=(6.5, 4), layout="constrained")
for name, transformer in features.items():
    train, test = transformer.fit_transform(X), transformer.transform(X_test)
    scores = []
    for size in sizes:
        splitter = StratifiedShuffleSplit(5, train_size=size, random_state=0)
        row = []
        for rows, _ in splitter.split(train, y):
            linear = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000))
            linear.set_params(logisticregression__class_weight="balanced")
            predicted = linear.fit(train[rows], y[rows]).predict(test)
            row.append(balanced_accuracy_score(y_test, predicted))
        scores.append(row)
    scores = np.array(scores)
    axis.errorbar(sizes, scores.mean(axis=1), scores.std(axis=1), marker="o", capsize=3, label=name)
    print(f"{name:24}", *(f"{score:.2f}" for score in scores.mean(axis=1)))
axis.set(xlabel="labelled images", ylabel="balanced accuracy on new faces", xticks=sizes)
axis.legend(frameon=False)
plt.show()

# %%
# With the features of the shipped network, 20 images are enough.
#
# Fine-tune the network
# ---------------------
# ``fit`` of a pretrained Pipeline starts from its weights, whatever the labels are. The head is
# trained first, and then all layers at a lower rate.

from skfer.inspection import ImageGridDisplay

few = np.arange(60)
pretrained.set_params(
    classifier__epochs=9, classifier__class_weight="balanced", classifier__random_state=0
)
pretrained.fit(X[few], y[few])
predicted = pretrained.predict(X_test)
print(f"balanced accuracy: {balanced_accuracy_score(y_test, predicted):.2f}")
ImageGridDisplay.from_data(X_test, y_test, y_pred=predicted, random_state=0)
plt.show()
