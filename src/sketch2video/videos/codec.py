"""Video files in and out, by streaming: no more than a few full frames are in memory at a time.

PyAV brings FFmpeg along, so mp4, mkv, webm, avi and gif are read alike. Frames are what a player would show: turned as
the file says, with square pixels, RGB.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np
from av.container import InputContainer
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream
from PIL import Image

from sketch2video.errors import UserError
from sketch2video.files import replacing
from sketch2video.videos.cuts import CutFinder
from sketch2video.videos.pictures import middle_square

_FORMATS = "mov,mp4,matroska,webm,avi,gif,mpeg,mpegts,flv,asf,ogg"
"""FFmpeg's names of the containers that are read; not the playlists, which would lead it to other files."""

VIDEOS = (".mp4", ".mkv", ".webm", ".avi", ".mov", ".gif")

_LOST = 0.05
"""A file that ends this share of its promised duration too early (and three frames at least) is truncated."""
_PALETTE_PIXELS = 2**20
"""Pixels, evenly spread over a video, that its palette is made from."""


class RejectedVideo(UserError):
    """A video cannot be used.

    Attributes:
        path: the file.
        reason: why, in one line.
    """

    def __init__(self, path: Path | str, reason: str) -> None:
        super().__init__(path, reason)
        self.path = Path(path)
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.path} {self.reason}; choose another video or mend it"


@dataclass(frozen=True)
class VideoInfo:
    """What a video's header promises; nothing is decoded.

    Attributes:
        width, height: of the stored pixels, before turning and stretching.
        frames: None if the container does not say.
        duration: seconds; None if the container does not say.
        fps: mean frame rate; None if the container does not say.
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
        frames: uint8 (T, S, S, 3) RGB; (T, H, W, 3) if the whole frame was wanted.
        cuts: bool (T,), whether the video was cut between the frame before and this one.
        numbers: int64 (T,), which of the video's decoded frames these are, counted from 0.
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
        for frame in container.decode(stream):
            yield shown(frame, pixel_aspect)


def read_clip(path: Path | str, frames: int, size: int, min_frames: int = 1, *, square: bool = True) -> DecodedClip:
    """Read the whole action of a video as T frames, evenly spread in time from its first frame to its last.

    Each of the T moments shows the frame nearest in time, so variable frame rates keep their speed and a video of fewer
    than T frames repeats some. The middle square is cut out and resized by area, without distortion; or the whole frame
    is shrunk.

    Args:
        path: an mp4, mkv, webm, avi or gif file.
        frames: T, at least 2.
        size: S, pixels; of a whole frame the longer side at most.
        min_frames: a video with fewer decoded frames is too short.
        square: False for the whole frame, which is never enlarged.

    Raises:
        RejectedVideo: the file is missing, empty, truncated or damaged, has no video stream, is too short, or, of whole
            frames, changes its size on the way.
    """
    picked = _pick_evenly(path, frames, min_frames, partial(shown_square if square else _whole, size=size))
    if len({picture.shape for picture in picked.frames}) > 1:
        raise RejectedVideo(path, "changes the size of its frames")
    span = picked.clock.last - picked.clock.first
    source_fps = (picked.count - 1) / span if span > 0 else picked.rate
    return DecodedClip(
        frames=np.stack(picked.frames),
        cuts=np.diff(picked.shots, prepend=0) > 0,
        numbers=np.array(picked.numbers),
        proportion=picked.proportion,
        fps=(frames - 1) / span if span > 0 else picked.rate,
        source_fps=source_fps,
        source_frames=picked.count,
        source_width=picked.width,
        source_height=picked.height,
    )


def read_companion(path: Path | str, clip: DecodedClip) -> np.ndarray:
    """Read of a video that belongs to another frame by frame, such as its depth, what a clip of the other shows.

    The frames are those of the same numbers, and the square is the same part of the whole picture: a companion of
    another size or proportion is stretched over its video.

    Args:
        path: an mp4, mkv, webm, avi or gif file.
        clip: of square frames.

    Returns:
        uint8 (T, S, S, 3) RGB.

    Raises:
        RejectedVideo: as :func:`read_frames`, and if it has not as many frames as its video.
    """
    size, wanted = clip.frames.shape[1], set(clip.numbers.tolist())
    pictures, count = {}, 0
    with opened_video(path) as (container, stream):
        for frame in container.decode(stream):
            if count in wanted:
                proportion = 1 / clip.proportion if _is_turned(frame) else clip.proportion
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
        path: an mp4, mkv, webm, avi or gif file.
        frames: T, at least 1.
        sampling: "first": one in ``stride`` from the first frame on, and nothing behind them is decoded. "spread":
            evenly spread in time from the first frame to the last.
        stride: for "first".
        change: what is done to each uint8 (H, W, 3) at once, so that large frames need not be kept; nothing by default.

    Returns:
        (T, ...) of what ``change`` gives.

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
        return np.stack(pictures)
    if sampling == "spread":
        picked = _pick_evenly(path, frames, frames, lambda frame, aspect: change(shown(frame, aspect)))
        return np.stack(picked.frames)
    raise ValueError(f"sampling must be first or spread, not {sampling!r}")


def write_video(path: Path | str, frames: np.ndarray, fps: float) -> None:
    """Write an mp4 that ordinary players open (H.264, yuv420p, index in front), atomically and reproducibly.

    Args:
        path: ends in ``.mp4``.
        frames: uint8 (T, H, W, 3) RGB; odd heights and widths are padded by one repeated row or column.
        fps: frames a second, above 0.

    Raises:
        ValueError: the frames are not uint8 (T, H, W, 3), there are none, or the frame rate is not above 0.
        UserError: the file cannot be written.
    """
    _check_frames(frames, fps)
    _, height, width, _ = frames.shape
    frames = np.pad(frames, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    rate = Fraction(fps).limit_denominator(1001)
    with replacing(path) as partial:
        partial.touch()  # FFmpeg's errors do not name the file that cannot be made
        # Absolute: FFmpeg takes what stands before a colon for a protocol.
        with av.open(
            str(partial.absolute()), "w", format="mp4", container_options={"movflags": "+faststart"}
        ) as container:
            # One thread: x264's output depends on their number. Without its macroblock tree, which now and then gives
            # other bytes for the same frames if they are as small as 32 x 32.
            stream = container.add_stream("libx264", rate=rate, options={"crf": "16", "threads": "1", "mbtree": "0"})
            stream.width, stream.height, stream.pix_fmt = frames.shape[2], frames.shape[1], "yuv420p"
            for picture in frames:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")))
            container.mux(stream.encode())


def write_gif(path: Path | str, frames: np.ndarray, fps: float) -> None:
    """Write an endlessly repeated GIF with one palette for all frames, atomically.

    Args:
        path: ends in ``.gif``.
        frames: uint8 (T, H, W, 3) RGB.
        fps: frames a second, above 0; GIF counts in hundredths of a second, and the sum of them is kept right.

    Raises:
        ValueError: the frames are not uint8 (T, H, W, 3), there are none, or the frame rate is not above 0.
        UserError: the file cannot be written.
    """
    _check_frames(frames, fps)
    # One palette, from all frames at once: palettes of their own make still areas flicker.
    pixels = frames.reshape(1, -1, 3)[:, :: max(1, frames.size // (3 * _PALETTE_PIXELS))]
    palette = Image.fromarray(np.ascontiguousarray(pixels)).quantize(256, method=Image.Quantize.MEDIANCUT)
    pictures = [
        Image.fromarray(np.ascontiguousarray(picture)).quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)
        for picture in frames
    ]
    moments = np.round(np.arange(len(frames) + 1) * 100 / fps).astype(int) * 10
    with replacing(path) as partial:
        pictures[0].save(
            partial,
            format="GIF",
            save_all=True,
            append_images=pictures[1:],
            duration=[max(int(d), 20) for d in np.diff(moments)],
            loop=0,
            disposal=1,
            optimize=False,
        )


def _check_frames(frames: np.ndarray, fps: float) -> None:
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[3] != 3 or not frames.size:
        raise ValueError(f"frames must be uint8 (T, H, W, 3) and some, not {frames.dtype} {frames.shape}")
    if not 0 < fps < math.inf:
        raise ValueError(f"the frame rate must be above 0, not {fps}")


@dataclass(frozen=True)
class _Clock:
    """The time of a video's first and last frame in seconds, and whether frames count as evenly spaced.

    Frames are dated by their place in the video (``by_index``) where their own timestamps are not in order, as with
    B-frames in AVI.
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


Convert = Callable[[av.VideoFrame, Fraction], np.ndarray]
"""Makes a picture of a decoded frame, given the width of its pixels in heights of a pixel."""


@contextmanager
def opened_video(path: Path | str) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a file at its best video stream; FFmpeg's errors in the block say that the file is damaged."""
    path = Path(path)
    try:
        if not path.is_file():
            raise RejectedVideo(path, "is not a file" if path.exists() else "is missing")
        if not path.stat().st_size:
            raise RejectedVideo(path, "is empty")
        container = av.open(str(path), options={"format_whitelist": _FORMATS})
    except (av.FFmpegError, OSError) as error:
        raise RejectedVideo(path, f"cannot be opened as a video ({_reason(error)})") from error
    with container:
        stream = container.streams.best("video")
        if not isinstance(stream, VideoStream):
            raise RejectedVideo(path, "has no video stream")
        if not isinstance(stream.codec_context, VideoCodecContext):
            raise RejectedVideo(path, "has a video stream of an unknown codec")
        # Parallelism is over videos; each thread of a decoder would hold full frames.
        stream.codec_context.thread_count = 1
        with naming_damage(path):
            yield container, stream


@contextmanager
def naming_damage(path: Path | str) -> Iterator[None]:
    """FFmpeg's errors in the block say that the file is damaged."""
    try:
        yield
    except av.FFmpegError as error:
        raise RejectedVideo(path, f"is damaged or truncated ({_reason(error)})") from error


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or type(error).__name__


def rate_of(stream: VideoStream) -> float:
    """Mean frame rate that the container states; 25 if it states none."""
    return float(stream.average_rate or stream.guessed_rate or 25)


def seconds_of(moment: int, time_base: Fraction) -> float:
    """A timestamp in seconds."""
    return float(moment * time_base)


def packets_of(path: Path | str, container: InputContainer, stream: VideoStream) -> Iterator[av.Packet]:
    """Yield the packets of a stream, as they lie in the file and without decoding.

    Raises:
        RejectedVideo: packets are cut off, or end long before the duration that the container promises.
    """
    end, dated = 0.0, False
    for packet in container.demux():
        if packet.is_corrupt:
            raise RejectedVideo(path, "is damaged or truncated (a packet is cut off)")
        if not packet.size:
            continue
        if packet.pts is not None:
            end = max(end, seconds_of(packet.pts + (packet.duration or 0), packet.time_base))
        if packet.stream_index == stream.index:
            dated = dated or (packet.pts is not None and not packet.is_discard)
            yield packet
    if dated:
        _refuse_truncated(path, container, stream, end)


def _promised_clock(path: Path | str) -> _Clock:
    """The span of a video by its packets, without decoding; NaN if they carry no times."""
    first, last = np.nan, np.nan
    with opened_video(path) as (container, stream):
        for packet in packets_of(path, container, stream):
            if packet.pts is not None and not packet.is_discard:
                time = seconds_of(packet.pts, packet.time_base)
                first, last = min(time, first), max(time, last)  # a comparison with NaN is false: `time` is taken
    return _Clock(first, last, by_index=False)


def _refuse_truncated(path: Path | str, container: InputContainer, stream: VideoStream, end: float) -> None:
    """Compare the end of the last packet, of whatever stream, with what the header promises."""
    promised = container.duration / av.time_base if container.duration else 0.0
    if container.format.name == "avi":  # the duration of a cut AVI is estimated from the file's size
        promised = max(promised, stream.frames / rate_of(stream))
    # Matroska promises a time of end, others a length.
    begin = 0.0 if "matroska" in container.format.name else (container.start_time or 0) / av.time_base
    found = end - begin
    if _far_below(found, promised, 1 / rate_of(stream)):
        raise RejectedVideo(path, f"is truncated: it ends after {found:.2f} s of {promised:.2f} s")
    if container.format.name == "gif" and not _ends_with_gif_trailer(Path(path)):
        raise RejectedVideo(path, "is truncated: a GIF ends with a trailer, which is missing")


def _far_below(found: float, promised: float, frame_seconds: float) -> bool:
    return promised - found > max(_LOST * promised, 3 * frame_seconds)


def _ends_with_gif_trailer(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-min(path.stat().st_size, 1024), os.SEEK_END)
        return file.read().rstrip(b"\0").endswith(b";")


def _pick_evenly(path: Path | str, frames: int, min_frames: int, convert: Convert) -> _Picked:
    """Pick the frames nearest to T moments, evenly spread from a video's first frame to its last."""
    promised = _promised_clock(path)
    picked = _pick(path, frames, convert, promised)
    if picked.clock != promised:
        # What packets say about time is right for most files. The others tell at their end what would have been right.
        picked = _pick(path, frames, convert, picked.clock)
    clock = picked.clock
    if not clock.by_index and _far_below(clock.last - promised.first, promised.last - promised.first, 1 / picked.rate):
        raise RejectedVideo(path, f"is damaged: nothing after {clock.last:.2f} s can be decoded")
    if picked.count < min_frames:
        raise RejectedVideo(path, f"is too short: {picked.count} frames, at least {min_frames} are needed")
    return picked


def _pick(path: Path | str, frames: int, convert: Convert, clock: _Clock) -> _Picked:
    """Decode a video once and convert the frames nearest to T moments, evenly spread over the clock's span.

    The ``clock`` of the result is what the decoded frames call for: where it differs from the one given, the picked
    frames are not the right ones.
    """
    moments = np.linspace(clock.first, clock.last, frames).tolist()
    picked: list[np.ndarray] = []
    numbers: list[int] = []
    shots: list[int] = []
    first, time, before, count, in_order = 0.0, -math.inf, None, 0, True
    starts_shot, shot, shot_before = CutFinder(), 0, 0
    with opened_video(path) as (container, stream):
        rate, pixel_aspect = rate_of(stream), pixel_aspect_of(stream)
        for frame in container.decode(stream):
            time_before = time
            time = count / rate
            if not clock.by_index and frame.pts is not None and frame.time_base is not None:
                time = seconds_of(frame.pts, frame.time_base)
            in_order = in_order and time > time_before
            first = time if before is None else first
            shot_before, shot = shot, shot + starts_shot(frame)
            while len(picked) < frames and moments[len(picked)] <= time:
                moment = moments[len(picked)]
                if before is None or time - moment < moment - time_before:
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
        proportion = 1 / stored if _is_turned(before) else stored
        right = _Clock(first, time, clock.by_index) if in_order else _Clock(0.0, (count - 1) / rate, by_index=True)
        return _Picked(picked, numbers, shots, proportion, right, count, rate, stream.width, stream.height)


def pixel_aspect_of(stream: VideoStream) -> Fraction:
    """Width of a pixel in heights of a pixel; 1 where the file states none or nonsense."""
    ratio = Fraction(stream.sample_aspect_ratio or 1)
    return ratio if Fraction(1, 10) <= ratio <= 10 else Fraction(1)


def shown(frame: av.VideoFrame, pixel_aspect: Fraction) -> np.ndarray:
    """A frame as a player would show it: uint8 (H, W, 3)."""
    picture: np.ndarray = frame.to_ndarray(format="rgb24")
    if pixel_aspect != 1:
        width = max(round(picture.shape[1] * pixel_aspect), 1)
        picture = cv2.resize(picture, (width, picture.shape[0]), interpolation=cv2.INTER_AREA)
    return _upright(picture, frame.rotation)


def shown_square(frame: av.VideoFrame, pixel_aspect: Fraction, size: int) -> np.ndarray:
    """The middle square of a frame as it is shown: uint8 (S, S, 3)."""
    return _upright(middle_square(frame.to_ndarray(format="rgb24"), size, pixel_aspect), frame.rotation)


def _whole(frame: av.VideoFrame, pixel_aspect: Fraction, size: int) -> np.ndarray:
    """A frame as it is shown, no side longer than ``size``: uint8 (H, W, 3)."""
    width, height = float(frame.width * pixel_aspect), float(frame.height)
    scale = min(size / max(width, height), 1.0)
    target = max(round(width * scale), 1), max(round(height * scale), 1)
    resized = cv2.resize(frame.to_ndarray(format="rgb24"), target, interpolation=cv2.INTER_AREA)
    return _upright(resized, frame.rotation)


def _is_turned(frame: av.VideoFrame) -> bool:
    """Whether a player turns a frame by a quarter, so that its width becomes its height."""
    return round(frame.rotation / 90) % 2 == 1


def _upright(picture: np.ndarray, rotation: int) -> np.ndarray:
    """Turn a picture anticlockwise by ``rotation`` degrees, to the nearest quarter."""
    return np.ascontiguousarray(np.rot90(picture, round(rotation / 90) % 4))
