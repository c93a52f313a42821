"""Recognition of all faces in photos: tables, annotated images and tracking."""

# Names that are not in `__all__` are for video/, distributed/ and cli/.
from skfer.recognition._annotation import (
    FaceMark,
    annotate,
    draw_marks,
    expression_color,
    expression_hex_color,
    face_label,
    probability_bars,
)
from skfer.recognition._reader import (
    FaceReader,
    FaceReading,
    Region,
    make_reader,
    validate_region,
)
from skfer.recognition._recognize import (
    class_columns,
    escape_formula,
    files_below,
    image_files,
    map_text,
    progress_bar,
    recognize,
    set_column_types,
    unescape_formula,
)
from skfer.recognition._tracking import (
    MIN_DURATION,
    FaceFollower,
    FollowedFace,
    KnownFace,
    delay_faces,
    numbered_faces,
)

__all__ = [
    "FaceFollower",
    "FaceReader",
    "FaceReading",
    "FollowedFace",
    "KnownFace",
    "annotate",
    "image_files",
    "recognize",
]
