"""Every face of many photos through a Pipeline, as a table or drawn into the picture."""

from skfer.recognition._annotate import annotate
from skfer.recognition._face_follower import FaceFollower, FollowedFace, KnownFace
from skfer.recognition._face_reader import FaceReader, FaceReading
from skfer.recognition._recognize import image_files, recognize

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
