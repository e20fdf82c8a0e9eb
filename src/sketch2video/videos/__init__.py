"""Videos: files in and out, sources of captioned clips, clips in shards, synthetic scenes.

The checks of the tables are in :mod:`sketch2video.videos.expectations`, which is not imported here: Great Expectations
takes seconds to load.
"""

from sketch2video.videos.codec import (
    DecodedClip,
    RejectedVideo,
    VideoInfo,
    probe_video,
    read_clip,
    read_frames,
    write_gif,
    write_video,
)

__all__ = [
    "DecodedClip",
    "RejectedVideo",
    "VideoInfo",
    "probe_video",
    "read_clip",
    "read_frames",
    "write_gif",
    "write_video",
]
