"""``skfer predict``: the faces of photos as text, JSON or a table."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import click

from skfer._utils import import_extra, join_first, printable, shorten
from skfer.cli._options import (
    OUTPUT_FILE,
    SOME_UNREADABLE,
    count,
    detector_option,
    echo,
    load_model,
    model_option,
    progress_option,
    region_option,
)

_FORMATS = ("json", "csv", "parquet")
# Number of files that a message names; the others are counted.
_MAX_NAMED_FILES = 3
# Of OpenCV's encoder.
_LONGEST_JPEG_SIDE = 65_500
# Suffixes of the files in a folder that are reported as videos.
_VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv")


@click.command()
@click.argument("photos", nargs=-1, required=True, metavar="PHOTO|FOLDER...")
@click.option("-r", "--recursive", is_flag=True, help="Include the subfolders of folders.")
@model_option
@detector_option
@region_option
@click.option(
    "--on-missing",
    type=click.Choice(["blank", "image", "raise"]),
    default="blank",
    show_default=True,
    help="Result of a photo without a face: no expression (blank), the expression of the whole "
    "photo (image), or an error (raise).",
)
@click.option("--json", "format", flag_value="json", help="Print JSON: an object for each photo.")
@click.option("--csv", "format", flag_value="csv", help="Print CSV: a row for each face.")
@click.option(
    "-o",
    "--output",
    type=OUTPUT_FILE,
    metavar="FILE",
    help="Write to this file. Without --json and --csv, its suffix sets the format: .json, .csv or "
    ".parquet.",
)
@click.option(
    "--annotate",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Write a copy of each photo with boxes and labels to this folder.",
)
@click.option("--overwrite", is_flag=True, help="Allow copies to replace files in that folder.")
@progress_option
@click.pass_context
def predict(
    ctx: click.Context,
    photos: tuple[str, ...],
    recursive: bool,
    model: str | None,
    detector: Any,
    region: Any,
    on_missing: str,
    format: str | None,
    output: Path | None,
    folder: Path | None,
    overwrite: bool,
    progress: bool,
) -> None:
    """Classify the expression of every face in photos.

    A folder means the image files in it. A photo that can't be read is reported on standard
    error, and the result contains its error. The exit code is then 3, or 1 if none can be read.

    \b
    Examples:
      skfer predict party.jpg
      skfer predict *.jpg --json | python -m json.tool
      skfer predict holidays/ --recursive --output faces.csv --annotate drawn/
      skfer predict party.jpg --model mine.skfer --detector yunet
    """
    if output is not None and format is None:
        format = output.suffix.lower().removeprefix(".")
        if format not in _FORMATS:
            raise click.BadParameter(
                f"{str(output)!r} must end in .json, .csv or .parquet, or add --json or --csv.",
                param_hint="--output",
            )
    if format == "parquet":  # before the photos are read
        import_extra("pyarrow", "A Parquet file", "parquet", "use the suffix .csv")
    paths = _list_photos(photos, recursive)
    if output is not None and os.path.realpath(output) in {*map(os.path.realpath, paths)}:
        raise click.BadParameter(f"{str(output)!r} is one of the photos.", param_hint="--output")
    copies = {} if folder is None else _name_copies(paths, folder, overwrite)
    pipeline = load_model(model)
    import pandas as pd

    from skfer import recognize

    table = recognize(
        paths,
        pipeline,
        detector=detector,
        on_error="keep",
        on_missing=on_missing,
        region=region,
        progress=progress,
    )
    errors = [
        None if _is_missing(error) else _remove_index(error, image)
        for image, error in zip(table["image"], table["error"], strict=True)
    ]
    table["error"] = pd.array(errors, dtype="string")
    _write(table, format or "text", output)
    if output is not None:
        n_faces = table["face"].count()
        echo(f"{output}: {count(len(paths), 'photo')}, {count(n_faces, 'face')}")
    for image, error in zip(table["image"], errors, strict=True):
        if error is not None:
            echo(f"Error: {image}: {error}", err=True)
    _report_missing(table, len(paths), on_missing)
    _write_copies(table, copies)  # last, because an error would end the command
    if any(errors):
        ctx.exit(1 if all(errors) else SOME_UNREADABLE)


def _report_missing(table: Any, n_photos: int, on_missing: str) -> None:
    """Print the number and the first names of photos without a face, and the choices."""
    without = table[table["face"].isna() & table["error"].isna()]["image"].tolist()
    if not without:
        return
    names = join_first(without, _MAX_NAMED_FILES)
    result = {
        "blank": "there is no expression. --on-missing image classifies the whole photo.",
        "image": "the whole photo is classified. --on-missing blank gives no expression.",
    }
    echo(
        f"{len(without)} of {n_photos} photos: no face found in {names}; {result[on_missing]}",
        err=True,
    )


def _list_photos(photos: tuple[str, ...], recursive: bool) -> list[str]:
    from skfer.recognition import image_files

    paths: list[str] = []
    for photo in photos:
        if os.path.isdir(photo):
            paths += map(str, image_files(photo, recursive=recursive))
            _report_left_out(Path(photo), recursive)
        else:
            paths.append(photo)
    return paths


def _report_left_out(folder: Path, recursive: bool) -> None:
    """Print which videos, other files and subfolders of a folder are not read."""
    from skfer._images._batch import IMAGE_SUFFIXES
    from skfer.recognition import files_below

    files = files_below(folder, None, recursive=recursive)
    videos = [file for file in files if file.suffix.lower() in _VIDEO_SUFFIXES]
    if videos:
        named = join_first([*map(str, videos)], _MAX_NAMED_FILES)
        echo(f"Videos are left out ({named}). Read them with: skfer video FILE", err=True)
    read = (*IMAGE_SUFFIXES, *_VIDEO_SUFFIXES)
    n_others = sum(file.suffix.lower() not in read for file in files)
    others = [f"files of other types: {n_others}"] if n_others else []
    names = [name for name in os.listdir(folder) if not name.startswith(".")]
    n_folders = 0 if recursive else sum(os.path.isdir(folder / name) for name in names)
    if n_folders:
        others.append(f"subfolders: {n_folders} (read with --recursive)")
    if others:
        echo(f"Left out in {folder}: {', '.join(others)}", err=True)


def _remove_index(error: str, image: str) -> str:
    """Return a message without the index in the batch, which is unknown in the shell."""
    index, path, rest = error.partition(f" ({shorten(image)}) ")
    return rest if path and index.startswith("X[") else error


def _write(table: Any, format: str, output: Path | None) -> None:
    from skfer._storage import partial_file

    if output is None:
        click.echo(_to_text(table, format), nl=False)
        return
    with partial_file(output) as part:
        if format == "parquet":
            from skfer.recognition import map_text

            map_text(table, printable).to_parquet(part, index=False)
        else:
            part.write_text(_to_text(table, format), encoding="utf-8")


def _to_text(table: Any, format: str) -> str:
    if format == "csv":
        from skfer.recognition import escape_formula, map_text

        return map_text(table, escape_formula).to_csv(index=False, float_format="%.6g")
    if format == "json":
        text = json.dumps(_group_by_photo(table), indent=2, ensure_ascii=False)
        return printable(text, keep="\n") + "\n"
    readable = table[table["error"].isna()]
    return "".join(printable(_line(row)) + "\n" for row in readable.to_dict("records"))


def _is_missing(value: Any) -> bool:
    import pandas as pd

    return bool(pd.isna(value))


def _line(row: dict[str, Any]) -> str:
    from skfer.recognition import face_label

    if _is_missing(row["expression"]):
        return f"{row['image']}: no face"
    label = face_label(row["expression"], row["probability"])
    if _is_missing(row["face"]):
        return f"{row['image']}: no face; whole photo: {label}"
    where = f"{row['width']} x {row['height']} at {row['x']}, {row['y']}"
    return f"{row['image']}: face {row['face']}: {label} ({where})"


def _group_by_photo(table: Any) -> list[dict[str, Any]]:
    """Return an object for each photo, with a list of its faces.

    The list of a photo without a face is empty, or has the whole photo with
    ``"whole_image": true``.
    """
    first = table.columns.get_loc("probability") + 1
    classes = [name for name in table.columns[first:] if name != "error"]
    detector = table.attrs["detector"]
    photos: list[dict[str, Any]] = []
    for row in table.to_dict("records"):
        # The first row of a photo has face 1, or no face.
        if _is_missing(row["face"]) or row["face"] == 1:
            photos.append({"image": row["image"], "detector": detector, "faces": []})
        if not _is_missing(row["error"]):
            photos[-1]["error"] = row["error"]
        if not _is_missing(row["expression"]):
            whole = _is_missing(row["face"])
            if whole:
                photos[-1]["whole_image"] = True
            photos[-1]["faces"].append(
                {
                    "box": {name: int(row[name]) for name in ("x", "y", "width", "height")},
                    "confidence": None if whole else round(row["confidence"], 6),
                    "expression": row["expression"],
                    "probability": round(row["probability"], 6),
                    "probabilities": {name: round(row[name], 6) for name in classes},
                }
            )
    return photos


def _write_copies(table: Any, copies: dict[str, Path]) -> None:
    import cv2

    from skfer import annotate
    from skfer._storage import partial_file

    faces = table[table["error"].isna()].drop(columns="error")
    rows_of = dict(list(faces.groupby("image")))
    for path, target in copies.items():
        rows = rows_of.get(printable(path, controls=False))
        if rows is None:
            continue
        drawn = annotate(path, rows.drop_duplicates(), bars=True)  # of a photo named twice
        if target.suffix != ".png" and max(drawn.shape) > _LONGEST_JPEG_SIDE:
            echo(
                f"Warning: {target} is not written: a JPEG has at most {_LONGEST_JPEG_SIDE:,} "
                "pixels a side.",
                err=True,
            )
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        _, encoded = cv2.imencode(target.suffix, cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR))
        with partial_file(target) as part:
            part.write_bytes(encoded.tobytes())


def _name_copies(paths: list[str], folder: Path, overwrite: bool) -> dict[str, Path]:
    """Return the path of the copy of each photo; equal names get a number."""
    photos = {os.path.realpath(path) for path in paths}
    copies: dict[str, Path] = {}
    used: set[Path] = set()
    for path in dict.fromkeys(paths):
        source = Path(path)
        suffix = source.suffix.lower() if source.suffix.lower() in (".jpg", ".jpeg") else ".png"
        target, number = folder / f"{source.stem}{suffix}", 2
        while target in used:
            target, number = folder / f"{source.stem}_{number}{suffix}", number + 1
        problem = None
        if os.path.realpath(target) in photos:
            problem = "is one of the photos. Choose another folder."
        elif target.exists() and not overwrite:
            problem = "exists already. Choose another folder, or add --overwrite."
        if problem:
            raise click.BadParameter(f"{str(target)!r} {problem}", param_hint="--annotate")
        used.add(target)
        copies[path] = target
    return copies
