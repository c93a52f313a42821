"""Fit, tune, save and load a Pipeline on drawn faces, then classify a real photo.

``make demo`` runs it. It writes a plot and the model to ``demo_output/``.
"""

from __future__ import annotations

import time
import warnings
from pathlib import Path

import joblib
import matplotlib as mpl
from skimage.data import astronaut
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline

from skfer import FaceCropper, FacialExpressionClassifier, GrayscaleResizer, load_pretrained
from skfer.datasets import make_faces

OUTPUT = Path("demo_output")


def main() -> None:
    OUTPUT.mkdir(exist_ok=True)
    start = time.perf_counter()

    def log(message: str) -> None:
        print(f"[{time.perf_counter() - start:4.0f} s] {message}", flush=True)

    log("Drawing 300 photos with a face in each ...")
    photos = make_faces(300, scene=True, classes=["happy", "sad", "surprise"], random_state=0)
    X_train, X_test, y_train, y_test = train_test_split(
        photos.images, photos.labels, test_size=100, stratify=photos.labels, random_state=0
    )

    pipeline = Pipeline(
        [
            ("cropper", FaceCropper(memory=OUTPUT / "boxes")),
            ("resizer", GrayscaleResizer(48)),
            ("classifier", FacialExpressionClassifier(weights="fer2013", epochs=4, random_state=0)),
        ]
    )
    log("Fitting cropper, resizer and classifier, from the shipped weights ...")
    pipeline.fit(X_train, y_train)
    first = pipeline.score(X_test, y_test)
    # The first fit has printed this warning; each fold would repeat it.
    warnings.filterwarnings("ignore", ".* no face found", UserWarning)

    log("Searching two crop margins over 2 folds; faces are detected once ...")
    search = GridSearchCV(pipeline, {"cropper__margin": [0.0, 0.3]}, cv=2, verbose=1)
    search.fit(X_train, y_train)
    tuned = search.score(X_test, y_test)

    log("Saving and loading the fitted Pipeline with joblib ...")
    path = OUTPUT / "pipeline.joblib"
    joblib.dump(search.best_estimator_, path)
    loaded = joblib.load(path)
    same = (loaded.predict_proba(X_test) == search.predict_proba(X_test)).all()

    log("Classifying a real photo with the shipped weights ...")
    photo = astronaut()
    pretrained = load_pretrained("fer2013")
    probabilities = pretrained.predict_proba([photo])[0]
    picture = draw(pretrained, photo, probabilities, X_test[:4], loaded.predict(X_test[:4]))

    expression = pretrained.classes_[probabilities.argmax()]
    rows = [
        ("training and test images", f"{len(X_train)} and {len(X_test)}, 3 expressions"),
        ("accuracy on test images", f"{first:.3f}"),
        ("best crop margin of the search", f"{search.best_params_['cropper__margin']:g}"),
        ("accuracy with this margin", f"{tuned:.3f}"),
        ("probabilities after joblib", "identical" if same else "different"),
        ("file size", f"{path.stat().st_size / 1e6:.1f} MB"),
        ("real photo", f"{expression} ({probabilities.max():.2f})"),
    ]
    print()
    for name, value in rows:
        print(f"  {name:<34}{value}")
    print("\n  The real photo was classified by the pretrained network.")
    log(f"Done. The plot is {picture.resolve()}")


def draw(pipeline: Pipeline, photo, probabilities, scenes, predictions) -> Path:
    """Plot the real photo with its box and probabilities, and four drawn photos."""
    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure = plt.figure(figsize=(11, 6), layout="constrained")
    top, bottom = figure.subfigures(2, 1, height_ratios=[2, 1])
    photo_axes, crop_axes, bars = top.subplots(1, 3, width_ratios=[2, 1, 1])
    scene_axes = bottom.subplots(1, 4)
    cropper = pipeline["cropper"]
    titles = ["real photo, pretrained network"] + [f"predicted: {name}" for name in predictions]
    for ax, image, title in zip([photo_axes, *scene_axes], [photo, *scenes], titles, strict=True):
        ax.imshow(image)
        for x, y, width, height in cropper.detect([image])[0].boxes[:1]:
            ax.add_patch(plt.Rectangle((x, y), width, height, fill=False, color="lime", lw=2))
        ax.set_title(title)
    crop_axes.imshow(pipeline[:-1].transform([photo])[0, ..., 0], cmap="gray")
    crop_axes.set_title("input of the network")
    for ax in (photo_axes, crop_axes, *scene_axes):
        ax.axis("off")
    bars.barh(pipeline.classes_, probabilities, color="tab:green")
    bars.set(xlim=(0, 1), title="probabilities")
    path = OUTPUT / "demo.png"
    figure.savefig(path, dpi=110)
    return path


if __name__ == "__main__":
    main()
