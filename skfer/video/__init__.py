"""Faces in videos: found, followed from frame to frame, drawn, written down and plotted."""

from skfer._worker import WorkLimits
from skfer.recognition import FollowedFace
from skfer.video._follow_faces import VideoFrame, follow_faces
from skfer.video._recognize_video import VideoReport, recognize_video
from skfer.video._timeline import TimelineDisplay

__all__ = [
    "FollowedFace",
    "TimelineDisplay",
    "VideoFrame",
    "VideoReport",
    "WorkLimits",
    "follow_faces",
    "recognize_video",
]
