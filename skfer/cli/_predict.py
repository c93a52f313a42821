"""``skfer predict``: faces in photos."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import click

from skfer._utils import printable, shorten
from skfer.cli._models import find_detector, load_model
from skfer.cli._options import (
    SOME_UNREADABLE,
    detector_option,
    echo,
    is_shown,
    model_option,
    output_file,
    progress_option,
    region_option,
)

_KINDS = ("text", "json", "csv", "parquet")


@click.command()
@click.argument("photos", nargs=-1, required=True, metavar="PHOTO|FOLDER...")
@model_option
@detector_option
@region_option
@click.option("--json", "kind", flag_value="json", help="Print JSON: an object for each photo.")
@click.option("--csv", "kind", flag_value="csv", help="Print CSV: a row for each face.")
@click.option(
    "-o",
    "--output",
    type=output_file(),
    metavar="FILE",
    help="Write to this file instead, of the kind its name says: .json, .csv or .parquet.",
)
@click.option(
    "--annotate",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Write a copy of each photo with the faces drawn in into this folder.",
)
@click.option("--overwrite", is_flag=True, help="Let copies replace what lies in that folder.")
@progress_option
@click.pass_context
def predict(
    ctx: click.Context,
    photos: tuple[str, ...],
    model: str | None,
    detector: str | None,
    region: Any,
    kind: str | None,
    output: Path | None,
    folder: Path | None,
    overwrite: bool,
    progress: bool | None,
) -> None:
    """Name the expression of every face in photos.

    A folder stands for the images in it. A photo that can't be read is told on standard error,
    keeps its place in the result, and makes the exit code 3.

    \b
    Examples:
      skfer predict party.jpg
      skfer predict *.jpg --json | python -m json.tool
      skfer predict holidays/ --output faces.csv --annotate drawn/
      skfer predict party.jpg --model mine.skfer --detector yunet
    """
    kind = _kind_of(output, kind)
    paths = _paths(photos)
    copies = {} if folder is None else _copies(paths, folder, overwrite)
    pipeline = load_model(model)
    from skfer import recognize

    table = recognize(
        paths,
        pipeline,
        detector=find_detector(detector),
        on_error="keep",
        region=region,
        progress=is_shown(progress),
    )
    table["error"] = [
        None if _missing(error) else _plain(error, image)
        for image, error in zip(table["image"], table["error"], strict=True)
    ]
    table["error"] = table["error"].astype("string")  # all missing, it is still text
    _write_annotated(table, copies)
    _write(table, kind, output)
    unreadable = table[table["error"].notna()]
    for image, error in zip(unreadable["image"], unreadable["error"], strict=True):
        echo(f"Error: {image}: {error}", err=True)
    if len(unreadable):
        ctx.exit(SOME_UNREADABLE)


def _kind_of(output: Path | None, kind: str | None) -> str:
    if output is None:
        return kind or "text"
    named = output.suffix.lower().removeprefix(".")
    if kind is None and named not in _KINDS[1:]:
        raise click.BadParameter(
            f"{str(output)!r} has to end in .json, .csv or .parquet, or add --json or --csv.",
            param_hint="--output",
        )
    return kind or named


def _paths(photos: tuple[str, ...]) -> list[str]:
    from skfer.recognition import image_files

    paths: list[str] = []
    for photo in photos:
        paths += map(str, image_files(Path(photo))) if os.path.isdir(photo) else [photo]
    return paths


def _plain(error: str, image: str) -> str:
    """The message without the place in the batch, which a user of files never sees."""
    place, named, rest = error.partition(f" ({shorten(image)}) ")
    return rest if named and place.startswith("X[") else error


def _write(table: Any, kind: str, output: Path | None) -> None:
    from skfer._storage import partial_file

    if output is None:
        click.echo(_as_text(table, kind), nl=False)
        return
    with partial_file(output) as part:
        if kind == "parquet":
            words = table.select_dtypes(include=["object", "string"]).columns
            shown = {name: table[name].map(_shown) for name in words}
            table.assign(**shown).rename(columns=printable).to_parquet(part, index=False)
        else:
            part.write_text(_as_text(table, kind), encoding="utf-8")


def _as_text(table: Any, kind: str) -> str:
    if kind == "csv":
        from skfer.recognition import table_to_csv

        return table_to_csv(table, float_format="%.6g")
    if kind == "json":
        text = json.dumps(_photos(table), indent=2, ensure_ascii=False)
        return printable(text, keep="\n") + "\n"
    readable = table[table["error"].isna()]
    return "".join(printable(_line(row)) + "\n" for row in readable.to_dict("records"))


def _shown(value: Any) -> Any:
    return printable(value) if isinstance(value, str) else value


def _missing(value: Any) -> bool:
    import pandas as pd

    return bool(pd.isna(value))


def _line(row: dict[str, Any]) -> str:
    if _missing(row["expression"]):
        return f"{row['image']}: no face"
    where = f"{row['width']} x {row['height']} at {row['x']}, {row['y']}"
    percent = 100 * row["probability"]
    return f"{row['image']}: face {row['face']}: {row['expression']} {percent:.0f} % ({where})"


def _photos(table: Any) -> list[dict[str, Any]]:
    """The rows as an object for each photo, with a list of its faces."""
    after = table.columns.get_loc("probability") + 1
    classes = [name for name in table.columns[after:] if name != "error"]
    photos: list[dict[str, Any]] = []
    for row in table.to_dict("records"):
        # The first row of a photo is its face 0, or says that there is none.
        if _missing(row["face"]) or row["face"] == 0:
            photos.append({"image": row["image"], "faces": []})
        if not _missing(row["error"]):
            photos[-1]["error"] = row["error"]
        if not _missing(row["face"]):
            photos[-1]["faces"].append(
                {
                    "box": {name: int(row[name]) for name in ("x", "y", "width", "height")},
                    "confidence": round(row["confidence"], 6),
                    "expression": row["expression"],
                    "probability": round(row["probability"], 6),
                    "probabilities": {name: round(row[name], 6) for name in classes},
                }
            )
    return photos


def _write_annotated(table: Any, copies: dict[str, Path]) -> None:
    import cv2

    from skfer import annotate
    from skfer._storage import partial_file

    readable = table[table["error"].isna()]
    for path, target in copies.items():
        rows = readable[readable["image"] == printable(path, controls=False)]
        if rows.empty:
            continue
        drawn = annotate(path, rows.drop(columns="error").drop_duplicates(), bars=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        _, encoded = cv2.imencode(target.suffix, cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR))
        with partial_file(target) as part:
            part.write_bytes(encoded.tobytes())


def _copies(paths: list[str], folder: Path, overwrite: bool) -> dict[str, Path]:
    """Return the path of the copy of each photo; equal names are numbered."""
    photos = {os.path.realpath(path) for path in paths}
    copies: dict[str, Path] = {}
    for path in dict.fromkeys(paths):
        source = Path(path)
        suffix = source.suffix.lower() if source.suffix.lower() in (".jpg", ".jpeg") else ".png"
        target, number = folder / f"{source.stem}{suffix}", 2
        while target in copies.values():
            target, number = folder / f"{source.stem}_{number}{suffix}", number + 1
        lost = None
        if os.path.realpath(target) in photos:
            lost = "is one of the photos, which would be lost: choose another folder."
        elif target.exists() and not overwrite:
            lost = "is there already: choose another folder, or add --overwrite."
        if lost:
            raise click.BadParameter(f"{str(target)!r} {lost}", param_hint="--annotate")
        copies[path] = target
    return copies
