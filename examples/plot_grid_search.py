"""
===============================================
Tune cropper, network and learning rate at once
===============================================

`GridSearchCV` tunes the parameters of all steps of a Pipeline. The cropper stores the boxes of the
faces in the folder `memory`, so that each photo is searched for faces only once. See
:doc:`/guide/tuning`.
"""

# %%
# Search
# ------

import tempfile

import pandas as pd
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline

from skfer import FaceCropper, FacialExpressionClassifier, GrayscaleResizer
from skfer.datasets import make_faces

photos = make_faces(
    180, classes=["happy", "sad", "surprise"], scene=True, occlusion=0, pose=0, random_state=0
)

boxes = tempfile.TemporaryDirectory()
pipeline = Pipeline(
    [
        ("cropper", FaceCropper(memory=boxes.name)),
        ("resizer", GrayscaleResizer(24)),
        (
            "classifier",
            FacialExpressionClassifier("small_cnn", epochs=6, verbose=0, random_state=0),
        ),
    ]
)
search = GridSearchCV(
    pipeline,
    {"cropper__margin": [0.0, 0.2], "classifier__learning_rate": [1e-3, 3e-3]},
    scoring="neg_log_loss",
    cv=2,
    refit=False,
)
search.fit(photos.images, photos.labels)
print(search.best_params_)

# %%
# Compare the candidates
# ----------------------

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
rates = sorted(table["classifier__learning_rate"].unique())
axis.set(xlabel="learning rate", ylabel="log loss (lower is better)", xticks=rates)
axis.legend()
plt.show()
boxes.cleanup()
