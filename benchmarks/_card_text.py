"""The prose of a model card, around the figures that ``model_card.py`` measured."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from typing import Any

LABELS = {
    "fer2013": """\
Labels are those of FER2013 (Goodfellow et al. 2013): one word an image, from the web search that
found it, checked by people. Its authors estimated that people agree with these labels in 60 to 70
of 100 cases: an accuracy above that is agreement with this data set, not a better eye
than a person's.""",
    "ferplus": """\
Labels are the votes of FER+ (Barsoum et al. 2016): ten people chose one of eight expressions,
"unknown" or "not a face" for every image of FER2013. The label of an image is the expression with
most votes, as `load_ferplus` gives it; {dropped} images of PublicTest are left out because
"unknown" or "not a face" had more votes than every expression, or nobody voted. FER+'s authors
judge by fewer images: single votes are dropped, and the choice with most votes has to have more
than half of those left and be an expression. {paper_majority} of the {images} images have such a
majority; both figures stand below.""",
}
INTENDED = """\
## What it is for

Naming the expression that a face shows, in research, teaching and one's own tools: sorting photos
by expression, stimuli and videos whose people agreed to it, a starting point for labels of your
own (`FacialExpressionClassifier("{network}", weights="{name}")`), a baseline to compare with.

It expects one upright face, seen from the front, that fills the image. In the Pipeline,
`FaceCropper` cuts such faces out of photos; faces that are cropped already pass it whole.

## What it must not be used for

- **Work and education.** Regulation (EU) 2024/1689 (the AI Act), article 5(1)(f), prohibits
  placing on the market, putting into service for this purpose, or using AI systems that infer the
  emotions of people at the workplace and in education institutions, unless it is for medical or
  safety reasons. That goes for applicants, employees, pupils and students, and this model was
  made for no such exception: it has not been tested as a medical device or a safety component.
- **Decisions about a person**: hiring, credit, insurance, policing, borders, courts, health,
  whether somebody lies or can be trusted.
- **Watching people who don't know of it or have not agreed.** Where the AI Act allows emotion
  recognition at all, it counts as high-risk (annex III) and those exposed to it have to be told
  (article 50).
- **Finding out who somebody is, or to which group they belong.** It was trained for neither.

An expression is what a face shows, not what a person feels. People smile without being happy and
are angry without a frown; how the two go together differs between people, cultures and situations
(Barrett et al. 2019). The answer is what some labellers would call the picture, out of context."""
UNKNOWN = """\
## What is unknown

- **Age, sex, skin tone.** The data has no such labels, so nothing is known of how the model does
  for any group, and a difference between groups can't be ruled out. A web search shows neither
  all people nor all situations; measure it on the people it is meant for before relying on it.
- **Other cameras and places.** All figures are of FER2013's PublicTest: small gray pictures from
  the web, many of them posed. On photos and films of another kind expect less.
- **Glasses, beards, masks, make-up, faces seen from the side** are in the data, but not labelled.
- **PrivateTest** was not looked at."""
REFERENCES = """\
## References

- Barrett, L. F., Adolphs, R., Marsella, S., Martinez, A. M. & Pollak, S. D. (2019). Emotional
  expressions reconsidered: challenges to inferring emotion from human facial movements.
  Psychological Science in the Public Interest 20(1).
- Barsoum, E., Zhang, C., Canton Ferrer, C. & Zhang, Z. (2016). Training deep networks for facial
  expression recognition with crowd-sourced label distribution. ICMI.
- Goodfellow, I. et al. (2013). Challenges in representation learning: a report on three machine
  learning contests. ICONIP.
- Mitchell, M. et al. (2019). Model cards for model reporting. FAT*.
- Regulation (EU) 2024/1689 of 13 June 2024 laying down harmonised rules on artificial
  intelligence."""


def card_text(figures: dict[str, Any]) -> str:
    """The card, in Markdown."""
    name = figures["model"]["name"]
    parts = [
        _head(figures),
        INTENDED.format(name=name, network=figures["model"]["network"]),
        _data(figures),
        _recipe(figures["model"]),
        _accuracy(figures),
        _by_class(figures),
        _calibration(figures),
        _coverage(figures),
        _robustness(figures),
        UNKNOWN,
        REFERENCES,
        "Measured with " + ", ".join(f"{k} {v}" for k, v in figures["versions"].items()) + ".",
    ]
    return "\n\n".join(map(_filled, "\n\n".join(parts).split("\n\n"))) + "\n"


def _filled(block: str) -> str:
    """A paragraph or a list with lines of equal length; anything else as it is."""
    if block.startswith(("|", "#", "!")):
        return block
    items = re.split(r"\n(?=- )", block) if block.startswith("- ") else [block]
    return "\n".join(
        textwrap.fill(
            " ".join(item.split()),
            100,
            subsequent_indent="  " if item.startswith("- ") else "",
            break_long_words=False,
            break_on_hyphens=False,
        )
        for item in items
    )


def table(head: Sequence[str], rows: Sequence[Sequence[Any]], *, words: int = 1) -> str:
    """A table whose first `words` columns are words and whose others are figures."""
    align = ["---"] * words + ["---:"] * (len(head) - words)
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in (head, align, *rows))


def percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _head(figures: dict[str, Any]) -> str:
    model = figures["model"]
    best = figures["accuracy"][0]
    return f"""\
# Model card: `{model["name"]}`

`load_pretrained("{model["name"]}")` is a scikit-learn Pipeline that names one of
{len(model["classes"])} expressions ({", ".join(model["classes"])}) on every face it is given. Its
network is `{model["network"]}`, of {model["n_weights"]:,} weights, for gray faces of 48 x 48
pixels. On PublicTest it is right in {percent(best["none"])} % of {best["images"]:,} images, and
in {percent(best["flip"])} % with `test_time_augmentation="flip"`.

This page is written by `python benchmarks/model_card.py --data fer2013.npz`; its figures are in
`benchmarks/results/model_card_{model["name"]}.json`."""


def _data(figures: dict[str, Any]) -> str:
    counts, model = figures["counts"], figures["model"]
    images = sum(counts["test"].values())
    classes = sorted(set(counts["training"]) | set(counts["test"]))
    rows = [[c, counts["training"].get(c, 0), counts["test"].get(c, 0)] for c in classes]
    rows.append(["all", sum(counts["training"].values()), images])
    labels = LABELS.get(model["name"], "").format(
        dropped=counts.get("dropped"), paper_majority=counts.get("paper_majority"), images=images
    )
    return f"""\
## Data

{model["data"]}. Licence of the data: {model["licence"]}.

{labels}

{table(["class", "Training", "PublicTest"], rows)}

{counts["copies"]} images of PublicTest also stand in Training, byte for byte. Accuracy is told
with and without them."""


def _recipe(model: dict[str, Any]) -> str:
    lines = "\n".join(
        f"- {key.replace('_', ' ')}: {_plain(value)}" for key, value in model["recipe"].items()
    )
    return f"## Recipe\n\n{lines}"


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(item)}" for key, item in value.items())
    if isinstance(value, list):
        return "; then ".join(map(_plain, value))
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


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

In percent; +- is half of the interval in which 95 of 100 other samples of as many images would
lie. The recipe and the temperature were chosen on PublicTest too, so that a little less is to be
expected elsewhere.

{table(head, rows)}

Through the whole Pipeline, which searches the faces anew, it is right in
{percent(figures["whole_pipeline"])} % (one view)."""


def _by_class(figures: dict[str, Any]) -> str:
    name = figures["model"]["name"]
    rows = [
        [row["class"], row["images"], *(percent(row[k]) for k in ("recall", "precision", "f1"))]
        for row in figures["by_class"]
    ]
    rare = [row for row in figures["by_class"] if row["images"] < 100]
    note = "".join(
        f" `{row['class']}` has only {row['images']} images: its figures are uncertain."
        for row in rare
    )
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
## By class

In percent, one view.{note}

{table(["class", "images", "recall", "precision", "F1"], rows)}

With `set_params(classifier__class_prior="uniform")` the probabilities are those for images of
which each expression is as frequent as the others: rare expressions are found more often.
Balanced accuracy is the mean of the recalls.

{table(["class prior", "accuracy", "balanced accuracy", *classes], prior_rows)}

![Share of the answers for every label](images/{name}_confusion.png)"""


def _calibration(figures: dict[str, Any]) -> str:
    name, found = figures["model"]["name"], figures["calibration"]
    rows = []
    for views, title in (("none", "one view"), ("flip", "image and mirror image")):
        whole = found[views]
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
                f"{title}, temperature fitted on {fitted} half, measured on the other "
                f"({half['before']:.4f} before)",
                half["temperature"],
                f"{half['after']:.4f}",
            ]
            for fitted, half in zip(("one", "the other"), whole["halves"], strict=True)
        ]
    return f"""\
## Calibration

Expected calibration error in 15 bins over the probability of the answer: 0 if of the answers
given with 70 % seventy in a hundred are right. The shipped temperature was fitted on PublicTest,
so the rows that were fitted on one half and measured on the other say what to expect.

{table(["probabilities", "temperature", "calibration error"], rows)}

![Share of right answers over the probability of the answer](images/{name}_calibration.png)"""


def _coverage(figures: dict[str, Any]) -> str:
    name = figures["model"]["name"]
    rows = [
        [f"{row['threshold']:.3f}", percent(row["answered"]), percent(row["accuracy"])]
        for row in figures["coverage"]
    ]
    head = ["threshold", "answered, %", "right among the answers, %"]
    return f"""\
## No answer rather than an unsure one

`AbstainingClassifier(load_pretrained("{name}"), threshold=...)` answers only where the
probability is at least the threshold; `skfer.metrics.threshold_for_accuracy` finds one on images
of your own.

{table(head, rows, words=0)}

![Share of right answers over the share of images answered](images/{name}_coverage.png)"""


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
## Worse images

Accuracy in percent, and the level in brackets, of {base["images"]:,} images changed one way at a
time (`skfer.evaluation.robustness_report`); {percent(base["accuracy"])} % on the images as they
are. Faces are changed after cropping: in a photo that dark or blurred, the detector may fail
first.

{table(head, rows, words=2)}

![Accuracy over the strength of each change](images/{name}_robustness.png)"""
