"""Random access to the frames of a video by number, without decoding the frames between them.

A video's packets contain the timestamp of each frame and mark the key frames, which can be decoded without earlier
ones. To read a frame, the file is decoded from the last key frame before it.

Packets are verified: every decoded frame must have the timestamp of the index. If a key frame needs earlier frames
(gradual refresh, some open groups of pictures), decoding starts from the key frame before it. Files whose packets have
no timestamps, duplicate ones, or others than the decoded frames are decoded once to be indexed, and read from their
start if their frames have no unique timestamps. Faults in parts of a file that are not decoded are not detected.
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
"""Bit of a VP8 frame's first byte; frames without it are references for other frames and not shown."""


class KeyFrame(NamedTuple):
    """A frame from which decoding can start.

    Attributes:
        number: of the first frame that is shown from it on.
        pts, dts: its presentation and decoding timestamps, in units of the stream.
    """

    number: int
    pts: int
    dts: int


@dataclass(frozen=True)
class FrameIndex:
    """The frames of a video in the order in which they are shown.

    Attributes:
        seconds: float64 (n,), time of each; by index and mean frame rate if the file has no timestamps.
        pts: the same in units of the stream, ascending; None if timestamps do not identify frames.
        keys: the frames from which decoding can start, by number; without ``pts`` only the first.
    """

    seconds: np.ndarray
    pts: Sequence[int] | None
    keys: Sequence[KeyFrame]

    def __len__(self) -> int:
        return len(self.seconds)


class FrameReader:
    """An open video, any of whose frames can be read; for one thread at a time.

    The decoder has one thread: with frame threads, FFmpeg would decode further frames after every requested one. Use
    one reader per thread for parallelism.

    Args:
        path: a video or an animated image.
        index: result of :func:`index_frames` for this file; computed if None.

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
        """The frames with these numbers, in their order, each as from :func:`~sketch2video.media.read_frames`.

        Args:
            numbers: at least one, from 0, ascending; repetitions are allowed.
            convert: applied to each decoded frame; whole pictures by default.

        Returns:
            uint8 (n, H, W, 3) RGB, or (n, ...), results of ``convert``.

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
        """Decode one frame, starting at the decoder's position or at a key frame if that is nearer."""
        keys = self.index.keys
        for index in reversed(range(bisect_right(keys, number, key=attrgetter("number")))):
            key = keys[index]
            if key in self._poor_keys:
                continue
            if self._next is None or not key.number <= self._next <= number:
                self._decoding, self._next = self._frames_from(key), key.number
            frame = self._step(key)
            if frame is None and index and self._next == key.number:
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
        """The next frame if it is the one given by the index."""
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
        """The packets from a key frame on; none if seeking fails."""
        if key == self.index.keys[0]:
            self._open()
            return self._container.demux(self._stream)
        # Containers seek by either timestamp. The position found may be before the key frame: then packets are skipped.
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
        """Identify frames by index from now on, since they do not match the timestamps of the packets."""
        index = _index_by_decoding(self.path)
        self.index = FrameIndex(index.seconds, None, index.keys[:1])
        self._next = None


class _Astray(Exception):
    """The decoder does not return the frame given by the index."""


def index_frames(path: Path | str) -> FrameIndex:
    """Index the frames of a video by its packets; it is decoded only if these do not identify frames.

    Raises:
        RejectedVideo: the file is missing, empty, truncated or damaged, or has no video stream.
    """
    with opened_video(path) as (container, stream):
        # AVI stores the decoding order only; if frames are reordered, FFmpeg's timestamps are a guess.
        guessed = container.format.name == "avi" and stream.codec_context.has_b_frames
        packets = [_Listed.of(packet) for packet in packets_of(path, container, stream) if _is_shown(packet, stream)]
        time_base = stream.time_base
    pts = [packet.pts for packet in packets if not packet.discarded]
    timestamps = sorted({timestamp for timestamp in pts if timestamp is not None})
    if not timestamps or guessed or len(timestamps) < len(pts) or _first_pts(path) != timestamps[0]:
        return _index_by_decoding(path)
    return _index(timestamps, packets, time_base)


class _Listed(NamedTuple):
    """The fields of a packet that the index needs."""

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
    """The index of frames that are identified by timestamps."""
    seconds = np.array([seconds_of(one, time_base or Fraction(1)) for one in pts])
    starts = [KeyFrame(0, pts[0], pts[0])]
    for packet in packets:
        if packet.is_key and packet.pts is not None:
            number = bisect_left(pts, packet.pts)
            if starts[-1].number < number < len(pts):
                starts.append(KeyFrame(number, packet.pts, packet.pts if packet.dts is None else packet.dts))
    return FrameIndex(seconds, pts, starts)


def _first_pts(path: Path | str) -> int | None:
    """Timestamp of the first frame that can be decoded: streams that were cut may begin with undecodable frames."""
    with opened_video(path) as (container, stream):
        first = next(iter(frames_of(container, stream)), None)
    return None if first is None else first.pts


def _index_by_decoding(path: Path | str) -> FrameIndex:
    """The index of a file whose packets do not identify its frames."""
    with opened_video(path) as (container, stream):
        pts = [frame.pts for frame in frames_of(container, stream)]
        rate, time_base = rate_of(stream), stream.time_base
    if not pts:
        raise RejectedVideo(path, "has no frame that can be decoded")
    timestamps = [one for one in pts if one is not None]
    if len(timestamps) < len(pts) or any(b <= a for a, b in pairwise(timestamps)):
        return FrameIndex(np.arange(len(pts)) / rate, None, [KeyFrame(0, 0, 0)])
    with opened_video(path) as (container, stream):
        packets = [_Listed.of(packet) for packet in packets_of(path, container, stream)]
    return _index(timestamps, packets, time_base)
