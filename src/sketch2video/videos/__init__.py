"""Videos: files in and out, sources of captioned clips, clips in shards, synthetic scenes.

The checks of the tables are in :mod:`sketch2video.videos.expectations`, which is not imported here: Great Expectations
takes seconds to load.
"""

from sketch2video.videos.captions import read_captions
from sketch2video.videos.codec import DecodedClip, VideoInfo, probe_video, read_clip, read_excerpt, read_frames
from sketch2video.videos.containers import VIDEOS, RejectedVideo, is_clip, looks_like_video
from sketch2video.videos.pictures import IMAGES, read_picture
from sketch2video.videos.seeking import FrameIndex, FrameReader, index_frames
from sketch2video.videos.shards import ShardReader, read_table
from sketch2video.videos.sources import Source, SourceRow
from sketch2video.videos.synthetic import (
    COLOURS,
    MOTIONS,
    SHAPES,
    Combination,
    RenderedScene,
    Scene,
    caption_of,
    combinations,
    held_out,
    render_scene,
    sample_scene,
)
from sketch2video.videos.writing import write_gif, write_video

__all__ = [
    "COLOURS",
    "IMAGES",
    "MOTIONS",
    "SHAPES",
    "VIDEOS",
    "Combination",
    "DecodedClip",
    "FrameIndex",
    "FrameReader",
    "RejectedVideo",
    "RenderedScene",
    "Scene",
    "ShardReader",
    "Source",
    "SourceRow",
    "VideoInfo",
    "caption_of",
    "combinations",
    "held_out",
    "index_frames",
    "is_clip",
    "looks_like_video",
    "probe_video",
    "read_captions",
    "read_clip",
    "read_excerpt",
    "read_frames",
    "read_picture",
    "read_table",
    "render_scene",
    "sample_scene",
    "write_gif",
    "write_video",
]
