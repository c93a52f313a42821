"""
====================================================
Calibrate probabilities and abstain from predictions
====================================================

A model is calibrated if 70 of 100 predictions with probability 0.7 are right. The temperature
corrects probabilities that are too high or too low, and `AbstainingClassifier` answers only if the
probability is high enough. Use both if somebody acts on the probabilities. See
:doc:`/guide/evaluation`.
"""

# %%
# Predict with the shipped weights
# --------------------------------
# The weights were trained on photos. Drawn faces differ from photos, as your images may, so that
# the probabilities may be wrong. One half of the faces is for choices, the other for the test.

from sklearn.model_selection import train_test_split

from skfer import load_pretrained
from skfer.datasets import make_faces

faces = make_faces(600, classes=["angry", "happy", "sad", "surprise"], random_state=0)
X_tune, X_test, y_tune, y_test = train_test_split(
    faces.images, faces.labels, test_size=0.5, stratify=faces.labels, random_state=0
)
model = load_pretrained("fer2013")
print(f"accuracy: {model.score(X_test, y_test):.2f}")

# %%
# Fit the temperature
# -------------------
# `fit_temperature` expects probabilities of temperature 1.

import matplotlib.pyplot as plt

from skfer.inspection import ReliabilityDisplay
from skfer.metrics import expected_calibration_error, fit_temperature

shipped = model[-1].temperature_
model.set_params(classifier__temperature=1)
fitted = fit_temperature(y_tune, model.predict_proba(X_tune), labels=model.classes_)

figure, axis = plt.subplots(figsize=(5.5, 5), layout="constrained")
for temperature in (shipped, fitted):
    model.set_params(classifier__temperature=temperature)
    proba = model.predict_proba(X_test)
    error = expected_calibration_error(y_test, proba, labels=model.classes_)
    print(f"temperature {temperature:.2f}: calibration error {error:.3f}")
    ReliabilityDisplay.from_predictions(
        y_test, proba, labels=model.classes_, name=f"temperature {temperature:.2f}", ax=axis
    )
plt.show()

# %%
# The probabilities of the shipped temperature (blue) are too low for drawn faces: the accuracy is
# higher. The fitted temperature (orange) halves the calibration error and changes no label.
#
# Answer only if the probability is high
# --------------------------------------
# The curve shows the accuracy of the answers for each share of answers.

from skfer import AbstainingClassifier
from skfer.inspection import CoverageDisplay
from skfer.metrics import threshold_for_coverage

threshold = threshold_for_coverage(model.predict_proba(X_tune), 0.6)
abstaining = AbstainingClassifier(model, threshold=threshold)
score = abstaining.selective_score(X_test, y_test)
print(f"{score.coverage:.0%} of the faces get a label, {score.accuracy:.0%} of these are right")

display = CoverageDisplay.from_predictions(y_test, proba, labels=model.classes_)
display.ax_.axvline(score.coverage, color="0.5", linestyle=":")
display.ax_.annotate(
    "answered with the\nchosen threshold", (score.coverage - 0.02, 0.76), ha="right", color="0.3"
)
plt.show()

# %%
# The accuracy of the answers rises from 73 % to 87 % if the least certain third has no answer. The
# labels of six faces, with "unsure" for an abstention:

print("given:    ", *y_test[:6])
print("predicted:", *abstaining.predict(X_test[:6]))
