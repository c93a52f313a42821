"""What ``evaluation.py`` measured, as a page of the documentation."""

from __future__ import annotations

from typing import Any

_METHODS = {
    ("lac", False): '`"lac"`',
    ("aps", False): '`"aps"`',
    ("lac", True): '`"lac"`, `per_class=True`',
}


def page(figures: dict[str, Any]) -> str:
    """The whole page, in Markdown."""
    parts = (_head(), _matrix(figures), _leaks(figures), _conformal(figures), _foot(figures))
    return "\n\n".join(parts) + "\n"


def table(head: list[str], rows: list[list[Any]], words: int = 1) -> str:
    """A table whose first columns are words and the others numbers."""
    lines = [head, ["---"] * words + ["---:"] * (len(head) - words), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _head() -> str:
    return """\
# On other data, for whom, and how sure

What `skfer.evaluation` and `ConformalClassifier` say of the weights that come with skfer. This
page is written by `python benchmarks/evaluation.py --data fer2013.npz`; its figures are in
`benchmarks/results/evaluation.json`. Faces are given to the networks as they are. The recipe of
the weights was chosen on PublicTest too; PrivateTest was not looked at."""


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
                    f"{_percent(score['value'])} ({_percent(score['low'])} - "
                    f"{_percent(score['high'])})"
                    for score in scores.values()
                ),
                _percent(first["answers_outside"]),
            ]
        )
    head = ["weights", "data", "labels", "images", "left out", "accuracy"]
    head += ["weighted F1", "balanced accuracy", "answers outside"]
    sets = {row["labels"]: row["n_labels"] for row in figures["matrix"]}
    shared = "\n".join(f"- {count} labels: {names}" for names, count in sets.items())
    return f"""\
## Every model on every data set

`cross_dataset_matrix` maps labels to those that both sides know: images with other labels are
left out, and an answer that is no label of the data is replaced by the most probable one that is
(how often, stands under "answers outside"). In percent, with the interval of 95 % of the
bootstrap samples.

{table(head, rows, words=2)}

{shared}

The last data set is a folder in the layout of CK+ (`S010_004_00000017.png`) with
{figures["people"]} people an expression and {figures["frames"]} frames each; its people, not its
images, were drawn for the intervals. Its faces are drawings: networks that have seen photos alone
read them badly, and the row says nothing about CK+ itself, which can't be given out.

![Accuracy of every model on every data set](images/cross_dataset.png)"""


def _leaks(figures: dict[str, Any]) -> str:
    leaks = figures["leaks"]
    counts = leaks["counts"]
    rows = [
        [kind, counts[kind], _percent(counts[kind] / counts["test"]), leaks["labels_differ"][kind]]
        for kind in ("copy", "near copy", "mirrored copy")
    ]
    total = sum(leaks["labels_differ"].values())
    rows.append(["any", counts["leaked"], _percent(counts["leaked"] / counts["test"]), total])
    gaps = [
        [
            f"`{row['model']}`",
            _percent(row["all"]),
            _percent(row["leaked"]),
            _percent(row["unseen"]),
            f"{_percent(row['gap'])} ({_percent(row['low'])} - {_percent(row['high'])})",
            f"{row['p_value']:.3f}",
        ]
        for row in figures["leak_gaps"]
    ]
    head = ["weights", "all", "leaked", "unseen", "gap", "p"]
    return f"""\
## What of FER2013's PublicTest stands in Training

`leak_audit` on {counts["train"]:,} images of Training and {counts["test"]:,} of PublicTest:

{table(["kind", "images", "% of PublicTest", "labels differ"], rows)}

A near copy is the same photo cut, scaled, lit or compressed otherwise, with or without a
watermark. The rows of all pairs, counted as in `fer2013.csv`, are in the figures under
`leaks.pairs`; the script writes contact sheets of them to `build/` (FER2013's images are not ours
to give out). Pairs drawn by lot from 0.85 up were looked at when the bound was chosen, and all of
them showed one photo. It is no full count: a larger `n_candidates` finds some more.

Accuracy on leaked and unseen images, in percent, the gap by `group_report`. Not all of the gap
need be memory: photos that were found twice on the web may show clearer expressions. (Its p-value
allows for differing classes.)

{table(head, gaps)}"""


def _conformal(figures: dict[str, Any]) -> str:
    found = figures["conformal"]
    rows = [
        [
            _METHODS[row["method"], row["per_class"]],
            _percent(row["stated"]),
            f"{100 * row['coverage']:.2f}",
            f"{100 * row['deviation']:.2f}",
            _percent(row["lowest_class"]),
            f"{row['mean_size']:.2f}",
            _percent(row["single"]),
        ]
        for row in found["rows"]
    ]
    head = ["sets", "stated, %", "coverage, %", "deviation", "lowest class, %"]
    head += ["labels a set", "single, %"]
    first = found["rows"][0]
    return f"""\
## Sets of labels that hold the right one

`ConformalClassifier` around `{found["model"]}`, calibrated on a random half of PublicTest and
measured on the other ({first["images"]:,} images): means over {first["splits"]} such splits, and
the deviation from split to split. The lowest class is the one covered least.

{table(head, rows)}

![Coverage by class and sizes of the sets, for one of the splits](images/prediction_sets.png)"""


def _foot(figures: dict[str, Any]) -> str:
    used = ", ".join(f"{name} {value}" for name, value in figures["versions"].items())
    return f"With {used}."
