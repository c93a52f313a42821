"""Documentation page with the figures of ``evaluation.py``."""

from __future__ import annotations

from typing import Any

from _markdown import percent, table, versions_line, wrap

_HEAD = """\
# Evaluation of the shipped weights

This page gives the accuracy of the shipped weights on several data sets, how many images
of FER2013's PublicTest are also in Training, and the coverage of prediction sets.

`python benchmarks/evaluation.py --data fer2013.npz` writes this page; its figures are in
`benchmarks/results/evaluation.json`. The images are faces and are not cropped. The recipe of the
weights was chosen on PublicTest, so the figures are slightly optimistic; PrivateTest was not
used."""
_METHODS = {
    ("lac", False): '`"lac"`',
    ("aps", False): '`"aps"`',
    ("lac", True): '`"lac"`, `per_class=True`',
}


def page(figures: dict[str, Any]) -> str:
    """Return the page as Markdown."""
    parts = (_HEAD, _matrix(figures), _leaks(figures), _conformal(figures))
    return wrap("\n\n".join([*parts, versions_line(figures["versions"])]))


def _matrix(figures: dict[str, Any]) -> str:
    cells: dict[tuple[str, str], dict[str, dict]] = {}
    for row in figures["matrix"]:
        cells.setdefault((row["estimator"], row["dataset"]), {})[row["metric"]] = row
    rows = []
    for (estimator, dataset), scores in cells.items():
        first = scores["accuracy"]
        rows.append(
            [
                f"`{estimator}`",
                dataset,
                first["n_labels"],
                f"{first['images']:,}",
                first["left_out"],
                *(
                    f"{percent(score['value'])} ({percent(score['low'])} - "
                    f"{percent(score['high'])})"
                    for score in scores.values()
                ),
                percent(first["answers_outside"]),
            ]
        )
    head = ["weights", "data", "labels", "images", "left out", "accuracy"]
    head += ["weighted F1", "balanced accuracy", "labels replaced"]
    sets = {row["labels"]: row["n_labels"] for row in figures["matrix"]}
    shared = "\n".join(f"- {count} labels: {names}" for names, count in sets.items())
    return f"""\
## Accuracy on several data sets

`cross_dataset_matrix` compares labels that the model and the data set have in common. Images with
other labels are left out. A predicted label that the data set lacks is replaced by the most
probable one that it has; the last column is the share of such predictions. In percent, with 95 %
bootstrap intervals.

{table(head, rows, words=2)}

{shared}

The last data set has drawn faces in files named as in CK+ (`S010_004_00000017.png`), with
{figures["people"]} people per expression and {figures["frames"]} frames each. Its intervals are
over people. The weights were trained on photos only, and this row says nothing about CK+.

![Accuracy of every model on every data set](images/cross_dataset.png)"""


def _leaks(figures: dict[str, Any]) -> str:
    leaks = figures["leaks"]
    counts = leaks["counts"]
    rows = [
        [kind, counts[kind], percent(counts[kind] / counts["test"]), leaks["labels_differ"][kind]]
        for kind in ("copy", "near copy", "mirrored copy")
    ]
    total = sum(leaks["labels_differ"].values())
    rows.append(["any", counts["leaked"], percent(counts["leaked"] / counts["test"]), total])
    gaps = [
        [
            f"`{row['model']}`",
            percent(row["all"]),
            percent(row["leaked"]),
            percent(row["unseen"]),
            f"{percent(row['gap'])} ({percent(row['low'])} - {percent(row['high'])})",
            f"{row['p_value']:.3f}",
        ]
        for row in figures["leak_gaps"]
    ]
    head = ["weights", "all", "with a copy", "without", "gap", "p"]
    return f"""\
## Images of PublicTest that are also in Training

`leak_audit` on {counts["train"]:,} images of Training and {counts["test"]:,} of PublicTest:

{table(["kind", "images", "% of PublicTest", "labels differ"], rows)}

A near copy is the same photo cropped, scaled, lit or compressed differently, with or without a
watermark. All pairs with their rows in `fer2013.csv` are in the figures under `leaks.pairs`; the
script also writes contact sheets to `build/`. A random sample of pairs with a similarity of at
least 0.85 was checked by eye when the limit was chosen, and all showed the same photo. A larger
`n_candidates` finds some more.

Accuracy in percent on images with and without a copy in Training, with the gap of `group_report`.
Memory is not the only possible reason for the gap: photos that are on the web twice may show
clearer expressions. The p-value takes different class shares into account.

{table(head, gaps)}"""


def _conformal(figures: dict[str, Any]) -> str:
    results = figures["conformal"]
    rows = [
        [
            _METHODS[row["method"], row["per_class"]],
            percent(row["stated"]),
            f"{100 * row['coverage']:.2f}",
            f"{100 * row['deviation']:.2f}",
            percent(row["lowest_class"]),
            f"{row['mean_size']:.2f}",
            percent(row["single"]),
        ]
        for row in results["rows"]
    ]
    head = ["sets", "stated, %", "coverage, %", "deviation", "lowest class, %"]
    head += ["labels per set", "single, %"]
    first = results["rows"][0]
    return f"""\
## Prediction sets

`ConformalClassifier` with `{results["model"]}`, calibrated on a random half of PublicTest and
measured on the other half ({first["images"]:,} images): means over {first["splits"]} such splits,
and the standard deviation over the splits. The lowest class is the one with the smallest coverage.

{table(head, rows)}

The stated coverage is that of the mean over splits; the figure shows one of them.

![Coverage by class and sizes of the sets](images/prediction_sets.png)"""
