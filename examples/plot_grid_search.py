"""
==================================================
Choose crop margin, network and rate by GridSearch
==================================================

Every step of the Pipeline has parameters, and `GridSearchCV` tunes them together: how much of
the picture around the face is kept, which network looks at it, how fast it learns. Each photo
is searched for faces once, however many candidates and folds there are, because the cropper
keeps its boxes in the folder given as `memory`.
"""

# %%
# A small grid on drawn photos
# ----------------------------

import tempfile

import pandas as pd
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline

from skfer import FaceCropper, FacialExpressionClassifier, GrayscaleResizer
from skfer.datasets import make_faces

photos = make_faces(300, classes=["happy", "sad", "surprise"], scene=True, random_state=0)

boxes = tempfile.TemporaryDirectory()
pipeline = Pipeline(
    [
        ("cropper", FaceCropper(memory=boxes.name)),
        ("resizer", GrayscaleResizer(32)),
        ("classifier", FacialExpressionClassifier("little_vgg", epochs=8, random_state=0)),
    ]
)
search = GridSearchCV(
    pipeline,
    {"cropper__margin": [0.0, 0.2], "classifier__learning_rate": [1e-3, 3e-3]},
    scoring="neg_log_loss",
    cv=2,
)
search.fit(photos.images, photos.labels)
print(search.best_params_)

# %%
# What each candidate reached
# ---------------------------

import matplotlib.pyplot as plt

table = pd.DataFrame(search.cv_results_["params"]).assign(
    log_loss=-search.cv_results_["mean_test_score"],
    spread=search.cv_results_["std_test_score"],
)
print(table.round(3).to_string(index=False))

figure, axis = plt.subplots(figsize=(6, 3.5), layout="constrained")
for margin, rows in table.groupby("cropper__margin"):
    axis.errorbar(
        rows["classifier__learning_rate"],
        rows["log_loss"],
        rows["spread"],
        marker="o",
        capsize=3,
        label=f"margin {margin:g}",
    )
axis.set(xscale="log", xlabel="learning rate", ylabel="log loss (lower is better)")
axis.legend()
plt.show()
boxes.cleanup()
