"""How large a picture or a clip is, before anything of it is decoded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sketch2video.media.containers import looks_like_video, opened_video, seconds_of
from sketch2video.media.pictures import header_of


@dataclass(frozen=True)
class Extent:
    """What a file states.

    Attributes:
        width, height: px, of the stored pixels.
        frames: number of them; of a video its packets, which are counted.
        seconds: from the first to the last frame; 0 for pictures.
    """

    width: int
    height: int
    frames: int
    seconds: float


def picture_extent(path: Path | str) -> Extent | None:
    """The extent of an image file, still or animated; None if it is none.

    The duration of an animation is not known before it is decoded, and 0 here.
    """
    header = header_of(path)
    return None if header is None else Extent(*header, 0.0)


def clip_extent(path: Path | str) -> Extent:
    """The extent of a video or an animated image. A video's packets are read, since headers may state too little.

    Raises:
        RejectedVideo: the file is missing or damaged, or has no video stream.
    """
    if not looks_like_video(path) and (picture := picture_extent(path)) is not None:
        return picture
    with opened_video(path) as (container, stream):
        frames, first, last = 0, 0.0, 0.0
        for packet in container.demux(stream):
            if not packet.size:
                continue
            if packet.pts is not None:
                time = seconds_of(packet.pts, packet.time_base)
                first, last = (min(first, time), max(last, time)) if frames else (time, time)
            frames += 1
        return Extent(stream.width, stream.height, frames, last - first)
