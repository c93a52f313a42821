"""
==============================
Classify expressions in photos
==============================

`FaceCropper` finds the face in each photo, `GrayscaleResizer` resizes it to 48 x 48 gray pixels and
`FacialExpressionClassifier` classifies its expression. `make_faces` draws the photos; a list of
paths works in the same way. See :doc:`/guide/own_photos`.
"""

# %%
# Fit a Pipeline
# --------------
# ``weights="fer2013"`` starts from the shipped weights, so that 180 photos are enough.

from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline

from skfer import FaceCropper, FacialExpressionClassifier, GrayscaleResizer
from skfer.datasets import make_faces

photos = make_faces(240, classes=["happy", "sad", "surprise"], scene=True, random_state=0)
X_train, X_test, y_train, y_test = train_test_split(
    photos.images, photos.labels, stratify=photos.labels, random_state=0
)

pipeline = Pipeline(
    [
        ("cropper", FaceCropper(margin=0.1)),
        ("resizer", GrayscaleResizer(48)),
        ("classifier", FacialExpressionClassifier(weights="fer2013", random_state=0)),
    ]
)
pipeline.fit(X_train, y_train)
print(f"accuracy on new photos: {pipeline.score(X_test, y_test):.2f}")

# %%
# Plot the predictions
# --------------------
# `skfer.recognize` returns a table with the box, expression and probabilities of each face, and
# `skfer.annotate` draws them.

import matplotlib.pyplot as plt

from skfer import annotate, recognize

sample = X_test[:6]
table = recognize(sample, pipeline)
figure, axes = plt.subplots(2, 3, figsize=(9, 4.6), layout="constrained")
for index, axis in enumerate(axes.flat):
    axis.imshow(annotate(sample[index], table[table["image"] == index]))
    axis.axis("off")
plt.show()
