"""Faces in videos: found, followed from frame to frame, drawn, written down and plotted."""

from skfer.video._follow_faces import FollowedFace, VideoFrame, follow_faces
from skfer.video._recognize_video import VideoReport, recognize_video
from skfer.video._timeline import TimelineDisplay

__all__ = [
    "FollowedFace",
    "TimelineDisplay",
    "VideoFrame",
    "VideoReport",
    "follow_faces",
    "recognize_video",
]
