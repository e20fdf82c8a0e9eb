"""Any frames of a video by their numbers, without decoding what lies between them.

A video's packets tell, before anything is decoded, when each frame is shown and which of them can be decoded without
those before it: the key frames. To get a frame, the file is read from the last key frame before it.

What packets say is not believed blindly. Every frame that is decoded must come at the time that the index gives it; if
a key frame turns out to need earlier ones (a picture refreshed piece by piece, some open groups of pictures), reading
starts from the key frame before it. Files whose packets give no times, the same time twice, or other times than those
of the decoded frames are decoded once to be counted, and read from their start if their frames cannot be told by time.
What lies in a part of a file that is never decoded stays unseen: damage there, or a packet without a frame.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, pairwise
from operator import attrgetter
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import av
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream

from sketch2video.media.containers import (
    RejectedVideo,
    decoder_of,
    frames_of,
    naming_damage,
    opened_video,
    packets_of,
    pixel_aspect_of,
    rate_of,
    seconds_of,
    stacked,
)
from sketch2video.media.shown import Convert, shown

_VP8_SHOWN = 0x10
"""Bit of a VP8 frame's first byte; frames without it are there for others to refer to only."""


class KeyFrame(NamedTuple):
    """A frame that decoding can start from.

    Attributes:
        number: of the first frame that is shown from here on.
        pts, dts: when it is shown and decoded, in units of the stream.
    """

    number: int
    pts: int
    dts: int


@dataclass(frozen=True)
class FrameIndex:
    """The frames of a video in the order in which they are shown.

    Attributes:
        seconds: float64 (n,), when each is shown; by its place and the mean frame rate where the file does not tell.
        pts: the same in units of the stream, ascending; None where frames cannot be told by time.
        keys: where decoding can start, by number; without ``pts`` none but the file's start.
    """

    seconds: np.ndarray
    pts: Sequence[int] | None
    keys: Sequence[KeyFrame]

    def __len__(self) -> int:
        return len(self.seconds)


class FrameReader:
    """An open video, any of whose frames can be read; for one thread at a time.

    The decoder has one thread: those of FFmpeg each take a frame of their own, and so decode frames that nobody asked
    for behind every one that is wanted. Parallelism is over videos.

    Args:
        path: a video or an animated image.
        index: what :func:`index_frames` gave for this file; it is made if there is none.

    Attributes:
        decoded: frames decoded so far.

    Raises:
        RejectedVideo: the file is missing, empty, truncated or damaged, or has no video stream.
    """

    def __init__(self, path: Path | str, index: FrameIndex | None = None) -> None:
        self.path = Path(path)
        self.index = index_frames(path) if index is None else index
        self.decoded = 0
        self._poor_keys: set[KeyFrame] = set()
        self._file = ExitStack()
        self._decoding: Iterator[av.VideoFrame] = iter(())
        self._next: int | None = None
        self._open()

    def __len__(self) -> int:
        return len(self.index)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def frames(self, numbers: Iterable[int], convert: Convert = shown) -> np.ndarray:
        """The frames with these numbers, in their order; each is what :func:`~sketch2video.videos.read_frames` gives.

        Args:
            numbers: one at least, from 0 on, in order of time; some may be repeated.
            convert: what is made of a decoded frame; whole pictures by default.

        Returns:
            uint8 (n, H, W, 3) RGB, or (n, ...) of what ``convert`` gives.

        Raises:
            RejectedVideo: the file is damaged, or its frames change their size.
            ValueError: there is no such frame.
        """
        numbers = list(numbers)
        wrong = [number for number in numbers if not 0 <= number < len(self)]
        if wrong:
            raise ValueError(f"{self.path} has frames 0 to {len(self) - 1}, not {wrong[0]}")
        try:
            with naming_damage(self.path):
                pictures = self._pictures(sorted(set(numbers)), convert)
        except RejectedVideo:
            self._next = None
            raise
        return stacked(self.path, [pictures[number] for number in numbers])

    def _pictures(self, numbers: Sequence[int], convert: Convert) -> dict[int, np.ndarray]:
        try:
            return {number: convert(self._frame(number), self._pixel_aspect) for number in numbers}
        except _Astray:
            self._count()
            return {number: convert(self._frame(number), self._pixel_aspect) for number in numbers}

    def _frame(self, number: int) -> av.VideoFrame:
        """Decode from where the decoder stands, or from a key frame if that is nearer, to one frame."""
        keys = self.index.keys
        for place in reversed(range(bisect_right(keys, number, key=attrgetter("number")))):
            key = keys[place]
            if key in self._poor_keys:
                continue
            if self._next is None or not key.number <= self._next <= number:
                self._decoding, self._next = self._frames_from(key), key.number
            frame = self._step(key)
            if frame is None and place and self._next == key.number:
                self._poor_keys.add(key)
                self._next = None
                continue
            while frame is not None and self._next <= number:
                frame = self._step(key)
            if frame is None:
                break
            return frame
        if self.index.pts is None:
            raise RejectedVideo(self.path, f"is damaged: frame {number} cannot be decoded")
        raise _Astray

    def _step(self, key: KeyFrame) -> av.VideoFrame | None:
        """The next frame if it is the one that the index names."""
        assert self._next is not None
        pts = self.index.pts
        for frame in self._decoding:
            self.decoded += 1
            if pts is not None:
                if frame.pts is not None and frame.pts < pts[key.number]:
                    continue  # shown before the key frame but decoded after it
                if frame.pts != pts[self._next] or (frame.is_corrupt and key != self.index.keys[0]):
                    return None
            self._next += 1
            return frame
        return None

    def _frames_from(self, key: KeyFrame) -> Iterator[av.VideoFrame]:
        packets = self._packets_from(key)
        decoder = decoder_of(self._stream)
        for packet in packets:
            yield from decoder.decode(packet)

    def _packets_from(self, key: KeyFrame) -> Iterator[av.Packet]:
        """The packets from a key frame on; none if the file cannot be sought there."""
        if key == self.index.keys[0]:
            self._open()
            return self._container.demux(self._stream)
        # Containers seek by either time. What they find may lie before the key frame: then packets are passed over.
        for target in (key.pts, key.dts):
            try:
                self._container.seek(target, stream=self._stream)
            except av.FFmpegError:
                break
            packets = self._container.demux(self._stream)
            for packet in packets:
                if packet.is_keyframe and packet.pts == key.pts:
                    return chain([packet], packets)
                if not packet.size or (packet.dts is not None and packet.dts > key.dts):
                    break
        return iter(())

    def _open(self) -> None:
        self._file.close()
        self._container: InputContainer
        self._stream: VideoStream
        self._container, self._stream = self._file.enter_context(opened_video(self.path))
        self._pixel_aspect = pixel_aspect_of(self._stream)

    def _count(self) -> None:
        """From now on, tell frames by their place, since they are not those that the packets promised."""
        index = _index_by_decoding(self.path)
        self.index = FrameIndex(index.seconds, None, index.keys[:1])
        self._next = None


class _Astray(Exception):
    """The decoder does not give the frame that the index names."""


def index_frames(path: Path | str) -> FrameIndex:
    """Find the frames of a video by its packets; it is decoded only if these do not tell.

    Raises:
        RejectedVideo: the file is missing, empty, truncated or damaged, or has no video stream.
    """
    with opened_video(path) as (container, stream):
        # AVI knows the order of decoding only; with frames in another order, what FFmpeg says of times is a guess.
        guessed = container.format.name == "avi" and stream.codec_context.has_b_frames
        packets = [_Listed.of(packet) for packet in packets_of(path, container, stream) if _is_shown(packet, stream)]
        time_base = stream.time_base
    pts = [packet.pts for packet in packets if not packet.discarded]
    timestamps = sorted({timestamp for timestamp in pts if timestamp is not None})
    if not timestamps or guessed or len(timestamps) < len(pts) or _first_pts(path) != timestamps[0]:
        return _index_by_decoding(path)
    return _index(timestamps, packets, time_base)


class _Listed(NamedTuple):
    """What is kept of a packet."""

    pts: int | None
    dts: int | None
    is_key: bool
    discarded: bool

    @classmethod
    def of(cls, packet: av.Packet) -> Self:
        return cls(packet.pts, packet.dts, packet.is_keyframe, packet.is_discard)


def _is_shown(packet: av.Packet, stream: VideoStream) -> bool:
    return stream.codec_context.name not in {"vp8", "libvpx"} or bool(memoryview(packet)[0] & _VP8_SHOWN)


def _index(pts: Sequence[int], packets: Iterable[_Listed], time_base: Fraction | None) -> FrameIndex:
    """The index of frames that are told by their times."""
    seconds = np.array([seconds_of(moment, time_base or Fraction(1)) for moment in pts])
    starts = [KeyFrame(0, pts[0], pts[0])]
    for packet in packets:
        if packet.is_key and packet.pts is not None:
            number = bisect_left(pts, packet.pts)
            if starts[-1].number < number < len(pts):
                starts.append(KeyFrame(number, packet.pts, packet.pts if packet.dts is None else packet.dts))
    return FrameIndex(seconds, pts, starts)


def _first_pts(path: Path | str) -> int | None:
    """When the first frame that can be decoded is shown: streams that were cut out of others begin with ruins."""
    with opened_video(path) as (container, stream):
        first = next(iter(frames_of(container, stream)), None)
    return None if first is None else first.pts


def _index_by_decoding(path: Path | str) -> FrameIndex:
    """The index of a file whose packets do not tell what its frames are."""
    with opened_video(path) as (container, stream):
        pts = [frame.pts for frame in frames_of(container, stream)]
        rate, time_base = rate_of(stream), stream.time_base
    if not pts:
        raise RejectedVideo(path, "has no frame that can be decoded")
    told = [moment for moment in pts if moment is not None]
    if len(told) < len(pts) or any(b <= a for a, b in pairwise(told)):
        return FrameIndex(np.arange(len(pts)) / rate, None, [KeyFrame(0, 0, 0)])
    with opened_video(path) as (container, stream):
        packets = [_Listed.of(packet) for packet in packets_of(path, container, stream)]
    return _index(told, packets, time_base)
