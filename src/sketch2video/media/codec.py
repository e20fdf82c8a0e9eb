"""Streaming reader of video files: only a few full frames are in memory at a time.

Frames are as a player shows them: rotated by the file's metadata, with square pixels, RGB.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from itertools import islice
from pathlib import Path

import av
import numpy as np

from sketch2video.media.containers import (
    RejectedVideo,
    far_below,
    frames_of,
    opened_video,
    packets_of,
    pixel_aspect_of,
    rate_of,
    seconds_of,
    stacked,
)
from sketch2video.media.cuts import CutFinder
from sketch2video.media.shown import Convert, is_turned, shown, shown_square, shown_whole


@dataclass(frozen=True)
class VideoInfo:
    """Facts from a video's header, without decoding.

    Attributes:
        width, height: of the stored pixels, before turning and stretching.
        frames: None if the container does not state it.
        duration: seconds; None if the container does not state it.
        fps: mean frame rate; None if the container does not state it.
    """

    width: int
    height: int
    frames: int | None
    duration: float | None
    fps: float | None


@dataclass(frozen=True)
class DecodedClip:
    """A whole action in T frames.

    Attributes:
        frames: uint8 (T, S, S, 3) RGB; (T, H, W, 3) if the whole frame was requested.
        cuts: bool (T,), whether the video was cut between the frame before and this one.
        numbers: int64 (T,), indices of these frames among the decoded ones of the video.
        proportion: width of the whole frame in heights, as a player shows it.
        fps: frame rate of ``frames``: (T - 1) / seconds from the video's first frame to its last.
        source_fps: mean frame rate of the video.
        source_frames: decoded frames of the video.
        source_width, source_height: of the stored pixels.
    """

    frames: np.ndarray
    cuts: np.ndarray
    numbers: np.ndarray
    proportion: Fraction
    fps: float
    source_fps: float
    source_frames: int
    source_width: int
    source_height: int


def probe_video(path: Path | str) -> VideoInfo:
    """Read a video's header.

    Raises:
        RejectedVideo: the file is missing, empty or damaged, or has no video stream.
    """
    with opened_video(path) as (container, stream):
        return VideoInfo(
            width=stream.width,
            height=stream.height,
            frames=stream.frames or None,
            duration=container.duration / av.time_base if container.duration else None,
            fps=float(stream.average_rate) if stream.average_rate else None,
        )


def read_frames(path: Path | str) -> Iterator[np.ndarray]:
    """Yield a video's frames one by one: uint8 (H, W, 3) RGB, upright, with square pixels.

    Raises:
        RejectedVideo: the file is missing, empty, truncated or damaged, or has no video stream.
    """
    with opened_video(path) as (container, stream):
        pixel_aspect = pixel_aspect_of(stream)
        for frame in frames_of(container, stream):
            yield shown(frame, pixel_aspect)


def read_clip(path: Path | str, frames: int, size: int, min_frames: int = 1, *, square: bool = True) -> DecodedClip:
    """Read the whole action of a video as T frames, evenly spread in time from its first frame to its last.

    Each of T evenly spaced times takes the nearest frame, so variable frame rates keep their speed and a video of fewer
    than T frames repeats some. The middle square is cut out and resized by area, without distortion; or the whole frame
    is shrunk.

    Args:
        path: a video or an animated image.
        frames: T, at least 2.
        size: S, pixels; of a whole frame the longer side at most.
        min_frames: a video with fewer decoded frames is too short.
        square: False for the whole frame, which is never enlarged.

    Raises:
        RejectedVideo: the file is missing, empty, truncated or damaged, has no video stream, is too short, or, of whole
            frames, changes its size on the way.
    """
    picked = _pick_evenly(path, frames, min_frames, partial(shown_square if square else shown_whole, size=size))
    span = picked.clock.last - picked.clock.first
    source_fps = (picked.count - 1) / span if span > 0 else picked.rate
    return DecodedClip(
        frames=stacked(path, picked.frames),
        cuts=np.diff(picked.shots, prepend=0) > 0,
        numbers=np.array(picked.numbers),
        proportion=picked.proportion,
        fps=(frames - 1) / span if span > 0 else picked.rate,
        source_fps=source_fps,
        source_frames=picked.count,
        source_width=picked.width,
        source_height=picked.height,
    )


def read_companion(path: Path | str, clip: DecodedClip, size: int | None = None) -> np.ndarray:
    """Read the frames of a companion video, such as depth, that correspond to those of a clip.

    The frames are those of the same numbers, and the square is the same part of the whole picture: a companion of
    another size or aspect ratio is resized to its video.

    Args:
        path: a video or an animated image.
        clip: of square frames.
        size: S, px; None: that of the clip.

    Returns:
        uint8 (T, S, S, 3) RGB.

    Raises:
        RejectedVideo: as :func:`read_frames`, and if it has not as many frames as its video.
    """
    size, numbers = size or clip.frames.shape[1], set(clip.numbers.tolist())
    pictures, count = {}, 0
    with opened_video(path) as (container, stream):
        for frame in frames_of(container, stream):
            if count in numbers:
                proportion = 1 / clip.proportion if is_turned(frame) else clip.proportion
                pictures[count] = shown_square(frame, proportion * frame.height / frame.width, size)
            count += 1
    if count != clip.source_frames:
        raise RejectedVideo(path, f"has {count} frames, its video has {clip.source_frames}: each must have its own")
    return np.stack([pictures[number] for number in clip.numbers.tolist()])


def read_excerpt(
    path: Path | str,
    frames: int,
    sampling: str = "first",
    stride: int = 1,
    change: Callable[[np.ndarray], np.ndarray] | None = None,
) -> np.ndarray:
    """Read T frames of a video as a player would show them, whole and in their own size.

    Args:
        path: a video or an animated image.
        frames: T, at least 1.
        sampling: "first": one in ``stride`` from the first frame on, and no later ones are decoded. "spread":
            evenly spread in time from the first frame to the last.
        stride: for "first".
        change: applied to each uint8 (H, W, 3) when it is decoded, so that large frames need not be kept; identity by
            default.

    Returns:
        (T, ...), results of ``change``.

    Raises:
        RejectedVideo: as :func:`read_clip`; a video that would have to repeat frames is too short.
        ValueError: the sampling is unknown.
    """
    change = change or (lambda picture: picture)
    if sampling == "first":
        needed = (frames - 1) * stride + 1
        pictures = [change(picture) for picture in islice(read_frames(path), 0, needed, stride)]
        if len(pictures) < frames:
            raise RejectedVideo(path, f"is too short: at least {needed} frames are needed")
        return stacked(path, pictures)
    if sampling == "spread":
        picked = _pick_evenly(path, frames, frames, lambda frame, aspect: change(shown(frame, aspect)))
        return stacked(path, picked.frames)
    raise ValueError(f"sampling must be first or spread, not {sampling!r}")


@dataclass(frozen=True)
class _Clock:
    """The time of a video's first and last frame in seconds, and whether frames are assumed to be evenly spaced.

    Times are computed from frame indices (``by_index``) where timestamps are not in order, as with B-frames in AVI.
    """

    first: float
    last: float
    by_index: bool


@dataclass(frozen=True)
class _Picked:
    frames: list[np.ndarray]
    numbers: list[int]
    shots: list[int]
    proportion: Fraction
    clock: _Clock
    count: int
    rate: float
    width: int
    height: int


def _promised_clock(path: Path | str) -> _Clock:
    """The span of a video by its packets, without decoding; NaN if they carry no times."""
    first, last = np.nan, np.nan
    with opened_video(path) as (container, stream):
        for packet in packets_of(path, container, stream):
            if packet.pts is not None and not packet.is_discard:
                time = seconds_of(packet.pts, packet.time_base)
                first, last = min(time, first), max(time, last)  # a comparison with NaN is false: `time` is taken
    return _Clock(first, last, by_index=False)


def _pick_evenly(path: Path | str, frames: int, min_frames: int, convert: Convert) -> _Picked:
    """Pick the frames nearest to T times, evenly spread from a video's first frame to its last."""
    promised = _promised_clock(path)
    picked = _pick(path, frames, convert, promised)
    if picked.clock != promised:
        # The times of packets are right for most files. For the others, the right ones are known after decoding.
        picked = _pick(path, frames, convert, picked.clock)
    clock = picked.clock
    if not clock.by_index and far_below(clock.last - promised.first, promised.last - promised.first, 1 / picked.rate):
        raise RejectedVideo(path, f"is damaged: nothing after {clock.last:.2f} s can be decoded")
    if picked.count < min_frames:
        raise RejectedVideo(path, f"is too short: {picked.count} frames, at least {min_frames} are needed")
    return picked


def _pick(path: Path | str, frames: int, convert: Convert, clock: _Clock) -> _Picked:
    """Decode a video once and convert the frames nearest to T times, evenly spread over the clock's span.

    The ``clock`` of the result is that of the decoded frames: if it differs from the given one, other frames must be
    picked.
    """
    times = np.linspace(clock.first, clock.last, frames).tolist()
    picked: list[np.ndarray] = []
    numbers: list[int] = []
    shots: list[int] = []
    first, time, before, count, in_order = 0.0, -math.inf, None, 0, True
    starts_shot, shot, shot_before = CutFinder(), 0, 0
    with opened_video(path) as (container, stream):
        rate, pixel_aspect = rate_of(stream), pixel_aspect_of(stream)
        for frame in frames_of(container, stream):
            time_before = time
            time = count / rate
            if not clock.by_index and frame.pts is not None and frame.time_base is not None:
                time = seconds_of(frame.pts, frame.time_base)
            in_order = in_order and time > time_before
            first = time if before is None else first
            shot_before, shot = shot, shot + starts_shot(frame)
            while len(picked) < frames and times[len(picked)] <= time:
                target = times[len(picked)]
                if before is None or time - target < target - time_before:
                    nearest, number, of_shot = frame, count, shot
                else:
                    nearest, number, of_shot = before, count - 1, shot_before
                picked.append(convert(nearest, pixel_aspect))
                numbers.append(number)
                shots.append(of_shot)
            before, count = frame, count + 1
        if before is None:
            raise RejectedVideo(path, "has no frame that can be decoded")
        picked += [convert(before, pixel_aspect)] * (frames - len(picked))
        numbers += [count - 1] * (frames - len(numbers))
        shots += [shot] * (frames - len(shots))
        stored = Fraction(before.width, before.height) * pixel_aspect
        proportion = 1 / stored if is_turned(before) else stored
        right = _Clock(first, time, clock.by_index) if in_order else _Clock(0.0, (count - 1) / rate, by_index=True)
        return _Picked(picked, numbers, shots, proportion, right, count, rate, stream.width, stream.height)
