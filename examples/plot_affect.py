"""
============================
Estimate valence and arousal
============================

`FacialAffectRegressor` estimates valence (unpleasant to pleasant) and arousal (calm to excited)
instead of a label. Use it if your images have ratings. `expressions_to_affect` computes the same
from the probabilities of any classifier, without ratings. See :doc:`/guide/affect`.
"""

# %%
# Faces with ratings
# ------------------
# The ratings of drawn faces are known exactly.

import numpy as np
from sklearn.model_selection import train_test_split

from skfer.datasets import make_faces

faces = make_faces(1000, size=24, noise=0.01, occlusion=0, random_state=0)
ratings = np.column_stack([faces.valence, faces.arousal])
X_train, X_test, y_train, y_test = train_test_split(
    faces.images, ratings, test_size=250, random_state=0
)

# %%
# Fit the regressor
# -----------------
# The loss is the concordance: a correlation that a wrong mean or spread reduces as well. The circle
# shows the ratings, the estimates and the places of the expressions.

import matplotlib.pyplot as plt

from skfer import FacialAffectRegressor
from skfer.inspection import CircumplexDisplay

regressor = FacialAffectRegressor(
    "small_cnn",
    loss="concordance",
    epochs=12,
    batch_size=32,
    learning_rate=3e-3,
    verbose=0,
    random_state=0,
)
regressor.fit(X_train, y_train)
CircumplexDisplay.from_predictions(y_test, regressor.predict(X_test), name="regressor")
plt.show()

# %%
# Compare with a classifier
# -------------------------
# The shipped classifier needs no ratings. `sign_agreement` is the share of estimates with the right
# sign.

from skfer import expressions_to_affect, load_pretrained
from skfer.metrics import concordance_correlation, sign_agreement

classifier = load_pretrained("fer2013")
estimates = {
    "regressor": regressor.predict(X_test),
    "classifier": expressions_to_affect(classifier.predict_proba(X_test), classifier.classes_),
}
for name, values in estimates.items():
    valence, arousal = concordance_correlation(y_test, values, multioutput="raw_values")
    signs = sign_agreement(y_test, values)
    print(f"{name:10} concordance {valence:.2f} and {arousal:.2f}, right signs {signs:.2f}")

# %%
# The regressor has learnt from ratings of drawn faces and is better than the classifier, which was
# trained on photos.
#
# Look at some faces
# ------------------
# The estimates are above each face.

figure, axes = plt.subplots(1, 6, figsize=(9, 2.2), layout="constrained")
for axis, image, (valence, arousal) in zip(axes, X_test, estimates["regressor"], strict=False):
    axis.imshow(image, cmap="gray")
    axis.set_title(f"valence {valence:+.1f}\narousal {arousal:+.1f}", fontsize="small")
    axis.axis("off")
plt.show()
