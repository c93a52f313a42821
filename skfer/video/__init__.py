"""Tracking of the faces and expressions of videos: tables, annotated videos and plots."""

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
