"""Every face of many photos through a Pipeline, as a table or drawn into the picture."""

from skfer.recognition._annotate import annotate
from skfer.recognition._face_reader import FaceReader, FaceReading
from skfer.recognition._recognize import recognize

__all__ = ["FaceReader", "FaceReading", "annotate", "recognize"]
