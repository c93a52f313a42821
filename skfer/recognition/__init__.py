"""Every face of many photos through a Pipeline, as a table or drawn into the picture."""

# Names that `__all__` lacks are for video/, distributed/ and cli/, not for users.
from skfer.recognition._annotate import annotate, face_label, most_probable
from skfer.recognition._colors import color_of, rgb
from skfer.recognition._csv_text import defused, restored, table_as_csv
from skfer.recognition._drawing import Color, FaceMark, draw_marks
from skfer.recognition._face_follower import FaceFollower, FollowedFace, KnownFace
from skfer.recognition._face_reader import (
    FaceReader,
    FaceReading,
    Region,
    as_reader,
    checked_region,
)
from skfer.recognition._progress import progress_bar
from skfer.recognition._recognize import image_files, recognize
from skfer.recognition._table import class_columns, import_pandas, typed

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
