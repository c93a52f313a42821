"""Fit, tune, save and load a Pipeline on drawn photos, then classify a real photo.

``make demo`` runs it. It writes a picture and the model to ``demo_output/``.
"""

from __future__ import annotations

import time
import warnings
from pathlib import Path

import matplotlib as mpl
from skimage.data import astronaut
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline

import skfer
from skfer import FaceCropper, FacialExpressionClassifier, GrayscaleResizer
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

    log("Saving and loading the fitted Pipeline ...")
    path = skfer.save(search.best_estimator_, OUTPUT / "model.skfer")
    loaded = skfer.load(path)
    same = (loaded.predict_proba(X_test) == search.predict_proba(X_test)).all()

    log("Classifying a real photo with the shipped weights ...")
    photo = astronaut()
    table = skfer.recognize([photo], skfer.load_pretrained("fer2013"))
    picture = draw(photo, table, X_test[:4], loaded)

    rows = [
        ("training and test images", f"{len(X_train)} and {len(X_test)}, 3 expressions"),
        ("accuracy on test images", f"{first:.3f}"),
        ("best crop margin of the search", f"{search.best_params_['cropper__margin']:g}"),
        ("accuracy with this margin", f"{tuned:.3f}"),
        ("probabilities of the loaded model", "identical" if same else "different"),
        ("file size", f"{path.stat().st_size / 1e6:.1f} MB"),
        ("real photo", f"{table['expression'][0]} ({table['probability'][0]:.2f})"),
    ]
    print()
    for name, value in rows:
        print(f"  {name:<34}{value}")
    print("\n  The real photo was classified by the pretrained network.")
    log(f"Done. The picture is {picture.resolve()}")


def draw(photo, table, drawn, model: Pipeline) -> Path:
    """Plot the real photo and the drawn ones with their faces and expressions."""
    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure = plt.figure(figsize=(9, 8), layout="constrained")
    top, bottom = figure.subfigures(2, 1, height_ratios=[2, 1])
    top_axes, bottom_axes = top.subplots(), bottom.subplots(1, len(drawn))
    top_axes.imshow(skfer.annotate(photo, table, bars=True))
    top_axes.set_title("real photo, pretrained network")
    for ax, image in zip(bottom_axes, drawn, strict=True):
        ax.imshow(skfer.annotate(image, skfer.recognize([image], model)))
    for ax in (top_axes, *bottom_axes):
        ax.axis("off")
    path = OUTPUT / "demo.png"
    figure.savefig(path, dpi=110)
    return path


if __name__ == "__main__":
    main()
