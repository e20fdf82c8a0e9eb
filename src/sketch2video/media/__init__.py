"""Reading and writing of video and image files: decode, encode, seek, cuts."""

from sketch2video.media.codec import DecodedClip, VideoInfo, probe_video, read_clip, read_excerpt, read_frames
from sketch2video.media.pictures import read_picture
from sketch2video.media.seeking import FrameIndex, FrameReader, index_frames
from sketch2video.media.writing import write_gif, write_video

__all__ = [
    "DecodedClip",
    "FrameIndex",
    "FrameReader",
    "VideoInfo",
    "index_frames",
    "probe_video",
    "read_clip",
    "read_excerpt",
    "read_frames",
    "read_picture",
    "write_gif",
    "write_video",
]
