"""Text of a model card, around the figures of ``model_card.py``."""

from __future__ import annotations

from typing import Any

from _markdown import percent, table, versions_line, wrap

LABELS = {
    "fer2013": """\
Labels are those of FER2013: one label per image, from the web search that found it, checked by
people. Its authors estimate that people agree with them in 60 to 70 % of cases. A higher accuracy
means agreement with this data set, not with people.""",
    "ferplus": """\
Labels are the votes of FER+: ten people chose one of eight expressions, "unknown" or "not a face"
for every image of FER2013. The label is the expression with most votes (`load_ferplus`). {dropped}
images of PublicTest are excluded, because "unknown" or "not a face" had more votes than every
expression, or nobody voted. The FER+ paper uses fewer images: single votes are dropped, and an
expression must have more than half of the remaining votes. {paper_majority} of the {images} images
have such a majority.""",
}
INTENDED = """\
## Intended use

Recognition of facial expressions in research, teaching and your own tools: photos, stimuli and
videos of people who agreed, a starting point for other labels
(`FacialExpressionClassifier(weights="{name}")`), a baseline. The network takes one
upright, frontal face; in the Pipeline, `FaceCropper` cuts such faces out of photos, and
`GrayscaleResizer` makes dark ones brighter.

## Out of scope

- **Work and education.** Regulation (EU) 2024/1689 (the AI Act), article 5(1)(f), prohibits AI
  systems that infer the emotions of people at the workplace and in education
  institutions, except for medical or safety reasons. This model has not been tested for these
  exceptions.
- **Decisions about a person**: hiring, credit, insurance, policing, borders, courts, health, or
  whether a person lies.
- **Observing people without their knowledge or consent.** Where the AI Act allows emotion
  recognition, it is high-risk (annex III) and people must be informed (article 50).
- **Identifying people or their group.** The model was not trained for this.

An expression is what a face shows, not what a person feels (Barrett et al. 2019). See
[Responsible use](../responsible_use.md)."""
LIMITATIONS = """\
## Limitations

- **Age, sex, skin tone.** The data has no such labels, so differences between groups are unknown
  and possible. Measure the model on the people it is meant for.
- **Other cameras and situations.** All figures are for PublicTest: small gray images from the web,
  many of them posed. Expect lower accuracy elsewhere.
- **Glasses, beards, masks, make-up, profiles** occur in the data, but have no labels.
- **PrivateTest** was not used."""
TRAINING = """\
## Training

The [changelog of the weights](../weights_changelog.md) describes the recipe and how it was chosen.
The record in `skfer/weights/` has every setting."""
REFERENCES = """\
## References

[Responsible use](../responsible_use.md) lists the sources. The form follows Mitchell, M. et al.
(2019). Model cards for model reporting. FAT*."""


def card_text(figures: dict[str, Any]) -> str:
    """Return the card as Markdown."""
    name = figures["model"]["name"]
    parts = [
        _head(figures),
        INTENDED.format(name=name, network=figures["model"]["network"]),
        _data(figures),
        TRAINING,
        _accuracy(figures),
        _by_class(figures),
        _calibration(figures),
        _coverage(figures),
        _robustness(figures),
        LIMITATIONS,
        REFERENCES,
        versions_line(figures["versions"]),
    ]
    return wrap("\n\n".join(parts))


def _head(figures: dict[str, Any]) -> str:
    model = figures["model"]
    best = figures["accuracy"][0]
    return f"""\
# Model card: `{model["name"]}`

`load_pretrained("{model["name"]}")` is a scikit-learn Pipeline that predicts one of
{len(model["classes"])} expressions ({", ".join(model["classes"])}) per face. Its network is
`{model["network"]}` ({model["n_weights"]:,} weights, gray faces of 48 x 48 pixels). Accuracy on
PublicTest is {percent(best["none"])} % of {best["images"]:,} images, and
{percent(best["flip"])} % with `test_time_augmentation="flip"`.

`python benchmarks/model_card.py --data fer2013.npz` writes this page; its figures are in
`benchmarks/results/model_card_{model["name"]}.json`."""


def _data(figures: dict[str, Any]) -> str:
    counts, model = figures["counts"], figures["model"]
    images = sum(counts["test"].values())
    classes = sorted(set(counts["training"]) | set(counts["test"]))
    rows = [[c, counts["training"].get(c, 0), counts["test"].get(c, 0)] for c in classes]
    rows.append(["all", sum(counts["training"].values()), images])
    labels = LABELS.get(model["name"].removesuffix("-small"), "").format(
        dropped=counts.get("dropped"), paper_majority=counts.get("paper_majority"), images=images
    )
    return f"""\
## Data

{model["data"]}. Licence of the data: {model["licence"]}.

{labels}

{table(["class", "Training", "PublicTest"], rows)}

{counts["copies"]} images of PublicTest are identical to images of Training. Accuracy is stated with
and without these copies."""


def _accuracy(figures: dict[str, Any]) -> str:
    rows = [
        [
            f"PublicTest, {row['subset']}",
            f"{row['images']:,}",
            f"{percent(row['none'])} +- {percent(row['half_interval'])}",
            percent(row["flip"]),
            percent(row["ten"]),
        ]
        for row in figures["accuracy"]
    ]
    head = ["images", "number", "one view", "image and mirror image", "ten views"]
    return f"""\
## Accuracy

In percent; +- is the half-width of the 95 % interval. The recipe was chosen on PublicTest, so the
figures are slightly optimistic.

{table(head, rows)}

Accuracy of the whole Pipeline, with face detection: {percent(figures["whole_pipeline"])} % (one
view)."""


def _by_class(figures: dict[str, Any]) -> str:
    name = figures["model"]["name"]
    rows = [
        [row["class"], row["images"], *(percent(row[k]) for k in ("recall", "precision", "f1"))]
        for row in figures["by_class"]
    ]
    rare = [row for row in figures["by_class"] if row["images"] < 100]
    note = ", ".join(f"{row['class']} ({row['images']} images)" for row in rare)
    note = note and f" Uncertain, because they are rare: {note}."
    priors = figures["class_prior"]
    classes = [row["class"] for row in figures["by_class"]]
    prior_rows = [
        [
            f"`{'None' if row['class_prior'] == 'none' else repr(row['class_prior'])}`",
            percent(row["accuracy"]),
            percent(row["balanced_accuracy"]),
            *(percent(row["recall"][label]) for label in classes),
        ]
        for row in priors
    ]
    return f"""\
## Accuracy by class

In percent, one view.{note}

{table(["class", "images", "recall", "precision", "F1"], rows)}

`set_params(classifier__class_prior="uniform")` gives probabilities for equally frequent
expressions, so that rare ones are predicted more often. Balanced accuracy is the mean recall.

{table(["class prior", "accuracy", "balanced accuracy", *classes], prior_rows)}

![Confusion matrix](images/{name}_confusion.png)"""


def _calibration(figures: dict[str, Any]) -> str:
    name, errors = figures["model"]["name"], figures["calibration"]
    rows = []
    for views, title in (("none", "one view"), ("flip", "image and mirror image")):
        whole = errors[views]
        rows += [
            [
                f"{title}, as trained (temperature 1)",
                "1",
                f"{whole['at_temperature_1']:.4f}",
            ],
            [f"{title}, as shipped", whole["shipped_temperature"], f"{whole['as_shipped']:.4f}"],
        ]
        rows += [
            [
                f"{title}, fitted on {fitted} ({half['before']:.4f} before)",
                half["temperature"],
                f"{half['after']:.4f}",
            ]
            for fitted, half in zip(("one half", "the other half"), whole["halves"], strict=True)
        ]
    return f"""\
## Calibration

Expected calibration error in 15 bins of the predicted probability. The shipped temperature was
fitted on PublicTest. In the other rows it is fitted on one half of PublicTest and measured on the
other half, as an estimate for new images.

{table(["probabilities", "temperature", "calibration error"], rows)}

![Accuracy over predicted probability](images/{name}_calibration.png)"""


def _coverage(figures: dict[str, Any]) -> str:
    name = figures["model"]["name"]
    rows = [
        [f"{row['threshold']:.3f}", percent(row["answered"]), percent(row["accuracy"])]
        for row in figures["coverage"]
    ]
    head = ["threshold", "answered, %", "accuracy of answers, %"]
    return f"""\
## Abstention

`AbstainingClassifier(load_pretrained("{name}"), threshold=...)` predicts only where the
probability reaches the threshold. `skfer.metrics.threshold_for_accuracy` chooses it on your images.

{table(head, rows, words=0)}

![Accuracy over share of images answered](images/{name}_coverage.png)"""


def _robustness(figures: dict[str, Any]) -> str:
    name, report = figures["model"]["name"], figures["robustness"]
    base = next(row for row in report if row["corruption"] == "none")
    strengths = max(row["strength"] for row in report)
    rows = []
    for corruption in dict.fromkeys(row["corruption"] for row in report):
        if corruption == "none":
            continue
        steps = [row for row in report if row["corruption"] == corruption]
        cells = [f"{percent(row['accuracy'])} ({row['level']:g})" for row in steps]
        cells += [""] * (strengths - len(cells))
        rows.append([corruption.replace("_", " "), steps[0]["unit"], *cells])
    head = ["change", "level is", *(f"strength {step}" for step in range(1, strengths + 1))]
    return f"""\
## Robustness

Accuracy in percent, with the level in brackets, on {base["images"]:,} changed images
(`skfer.evaluation.robustness_report`); {percent(base["accuracy"])} % without changes. Faces are
changed after cropping, so failures of the detector are not included.

{table(head, rows, words=2)}

![Accuracy over the strength of each change](images/{name}_robustness.png)"""
