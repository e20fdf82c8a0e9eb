"""Opening of video files by their content: the container, its best video stream, packets and decoded frames.

PyAV includes FFmpeg. Animated images (GIF, APNG, WebP, AVIF) are opened as the video that a browser shows.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from sketch2video.errors import UserError, printable
from sketch2video.media.gif import TruncatedGif, clean_gif
from sketch2video.media.orientation import SlantedPicture
from sketch2video.media.pictures import RejectedPicture, is_animation, is_picture, read_animation

VIDEOS = (
    *(".mp4", ".m4v", ".mov", ".qt", ".3gp", ".3g2", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".vob", ".ts", ".mts"),
    *(".m2ts", ".flv", ".f4v", ".wmv", ".asf", ".ogv", ".ogg", ".gif"),
)
"""Extensions of videos in folders and tables. The reader of a file depends on its content."""

_FORMATS = "mov,mp4,matroska,webm,avi,gif,mpeg,mpegvideo,mpegts,flv,asf,ogg"
"""FFmpeg's names of the containers that are read; not of playlists, which refer to other files."""

_STILL_BRANDS = {b"avif", b"avis", b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1"}
"""Of ISO media files that are images."""
_ATOMS = {b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"}
_MAGIC = {
    b"\x1aE\xdf\xa3": "matroska",
    b"GIF8": "gif",
    b"FLV\x01": "flv",
    b"OggS": "ogg",
    b"0&\xb2u\x8ef\xcf\x11": "asf",
    b"\0\0\1\xba": "mpeg",
    b"\0\0\1\xb3": "mpegvideo",
}
"""First bytes of containers, and FFmpeg's names of them."""
_TS_PACKETS = ((0, 188), (4, 192))
"""Offset and distance of the sync bytes of MPEG transport streams and of those of cameras (m2ts)."""

_LOST = 0.05
"""A file is truncated if it ends earlier than its stated duration by this share (and by three frames at least)."""
MOST_PIXELS = 2**27
"""Most pixels of a frame: those of 16K (15360 x 8640) are fewer. A header of a few bytes can state billions."""
_ANIMATION_PIXELS = 2**31
"""Most pixels of all frames of an animated image together."""


class RejectedVideo(UserError):
    """A video cannot be used.

    Attributes:
        path: the file.
        reason: why, in one line.
    """

    def __init__(self, path: Path | str, reason: str) -> None:
        super().__init__(path, reason)
        self.path = Path(path)
        self.reason = printable(reason)

    def lines(self) -> tuple[str]:
        """Return the message."""
        return (f"{self.path} {self.reason}; choose another video or fix it",)


def is_clip(path: Path | str) -> bool:
    """Whether the content of a file is a video's or an animated image's; any other file is judged by its extension."""
    if is_picture(path):
        return _first_bytes(Path(path)).startswith(b"GIF") or is_animation(path)
    return looks_like_video(path) or Path(path).suffix.lower() in VIDEOS


def looks_like_video(path: Path | str) -> bool:
    """Whether a file begins as a video does; nothing is decoded."""
    return _container_of(_first_bytes(Path(path))) is not None


def _container_of(first: bytes) -> str | None:
    """FFmpeg's name of the container that begins with these bytes; None if it is none."""
    if first[4:8] in _ATOMS and not (first[4:8] == b"ftyp" and first[8:12] in _STILL_BRANDS):
        return "mov"
    if first[:4] == b"RIFF" and first[8:12] == b"AVI ":
        return "avi"
    for magic, name in _MAGIC.items():
        if first.startswith(magic):
            return name
    return "mpegts" if any(first[at::step][:3] == b"GGG" for at, step in _TS_PACKETS) else None


def file_url(path: Path | str) -> str:
    """A path as FFmpeg takes it: without this, it reads ``12:30.mp4`` as a file of the protocol ``12``."""
    return f"file:{path}"


@contextmanager
def opened_video(path: Path | str) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a file at its best video stream; FFmpeg's errors in the block become a :class:`RejectedVideo`."""
    path = Path(path)
    try:
        if not path.is_file():
            raise RejectedVideo(path, "is not a file" if path.exists() else "is missing")
        if not path.stat().st_size:
            raise RejectedVideo(path, "is empty")
        first = _first_bytes(path)
        # By default, FFmpeg would also consider the extension.
        container = av.open(
            _source_of(path, first), "r", format=_container_of(first), options={"format_whitelist": _FORMATS}
        )
    except (av.FFmpegError, OSError, ValueError) as error:
        raise RejectedVideo(path, f"cannot be opened as a video ({_reason(error)})") from error
    with container:
        stream = container.streams.best("video")
        if not isinstance(stream, VideoStream):
            raise RejectedVideo(path, "has no video stream")
        if not isinstance(stream.codec_context, VideoCodecContext):
            raise RejectedVideo(path, "has a video stream of an unknown codec")
        # Videos are read in parallel; each thread of a decoder would hold full frames.
        stream.codec_context.thread_count = 1
        if stream.width * stream.height > MOST_PIXELS:
            raise RejectedVideo(path, f"has frames of {stream.width} x {stream.height}, which is too large")
        stream.codec_context.options = {"max_pixels": str(MOST_PIXELS)}  # also for frames that change their size
        with naming_damage(path):
            yield container, stream


def _source_of(path: Path, first: bytes) -> str | io.BytesIO:
    """Input for FFmpeg for a file with these first bytes: its path, or for animated images a video in memory."""
    if first.startswith(b"GIF"):
        try:
            return io.BytesIO(clean_gif(path.read_bytes()))
        except TruncatedGif as error:
            raise RejectedVideo(path, f"is truncated: {error}") from error
    if _container_of(first) is not None or not is_picture(path):
        return file_url(path)
    if not is_animation(path):
        raise RejectedVideo(path, "cannot be opened as a video (it is a still image)")
    try:
        return _as_video(path)
    except RejectedPicture as error:
        raise RejectedVideo(path, error.reason) from error


def _as_video(path: Path) -> io.BytesIO:
    """An animated image as a lossless video in memory."""
    file, time, pixels = io.BytesIO(), 0.0, 0
    with av.open(file, "w", format="matroska") as container:
        stream = container.add_stream("ffv1", rate=1000)
        stream.pix_fmt, stream.codec_context.time_base = "bgr0", Fraction(1, 1000)
        for picture, seconds in read_animation(path):
            if not pixels:
                stream.height, stream.width = picture.shape[:2]
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = round(1000 * time), Fraction(1, 1000)
            container.mux(stream.encode(frame))
            time, pixels = time + seconds, pixels + picture.size // 3
            if pixels > _ANIMATION_PIXELS:
                raise RejectedVideo(path, "has too many pixels in all of its frames")
        container.mux(stream.encode())
    file.seek(0)
    return file


def _first_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(1024)
    except OSError:
        return b""


@contextmanager
def naming_damage(path: Path | str) -> Iterator[None]:
    """Convert exceptions of FFmpeg and of frames in the block to :class:`RejectedVideo`."""
    try:
        yield
    except av.FFmpegError as error:
        raise RejectedVideo(path, f"is damaged or truncated ({_reason(error)})") from error
    except SlantedPicture as error:
        raise RejectedVideo(path, f"is turned by {error} degrees: only quarter turns are shown") from error


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or type(error).__name__


def stacked(path: Path | str, pictures: Sequence[np.ndarray]) -> np.ndarray:
    """Pictures of a video in one array.

    Args:
        path: named in the message.
        pictures: uint8 (H, W, 3) each, at least one.

    Returns:
        uint8 (T, H, W, 3).

    Raises:
        RejectedVideo: their sizes differ.
    """
    if len({picture.shape for picture in pictures}) > 1:
        raise RejectedVideo(path, "changes the size of its frames")
    return np.stack(pictures)


def rate_of(stream: VideoStream) -> float:
    """Mean frame rate that the container states; 25 if it states none."""
    return float(stream.average_rate or stream.guessed_rate or 25)


def seconds_of(timestamp: int, time_base: Fraction) -> float:
    """A timestamp in seconds."""
    return float(timestamp * time_base)


def pixel_aspect_of(stream: VideoStream) -> Fraction:
    """Width of a pixel in heights of a pixel; 1 where the file states none or an invalid one."""
    ratio = Fraction(stream.sample_aspect_ratio or 1)
    return ratio if Fraction(1, 10) <= ratio <= 10 else Fraction(1)


def decoder_of(stream: VideoStream) -> VideoCodecContext:
    """A decoder of a stream's packets, with transparency.

    FFmpeg's own decoders of VP8 and VP9 ignore the alpha channel of WebM; libvpx's decode it.
    """
    context, tags = stream.codec_context, {name.lower(): value for name, value in stream.metadata.items()}
    if tags.get("alpha_mode") != "1" or context.name not in {"vp8", "vp9"}:
        return context
    decoder = av.CodecContext.create("libvpx" if context.name == "vp8" else "libvpx-vp9", "r")
    assert isinstance(decoder, VideoCodecContext)
    decoder.extradata, decoder.thread_count = context.extradata, 1
    decoder.width, decoder.height = stream.width, stream.height
    return decoder


def frames_of(container: InputContainer, stream: VideoStream) -> Iterator[av.VideoFrame]:
    """Yield the decoded frames of a stream."""
    decoder = decoder_of(stream)
    for packet in container.demux(stream):
        yield from decoder.decode(packet)


def packets_of(path: Path | str, container: InputContainer, stream: VideoStream) -> Iterator[av.Packet]:
    """Yield the packets of a stream, in their order in the file and without decoding.

    Raises:
        RejectedVideo: packets are cut off, or end long before the duration that the container states.
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


def _refuse_truncated(path: Path | str, container: InputContainer, stream: VideoStream, end: float) -> None:
    """Compare the end of the last packet, of whatever stream, with the duration in the header."""
    promised = container.duration / av.time_base if container.duration else 0.0
    if container.format.name == "avi":  # the duration of a cut AVI is estimated from the file's size
        promised = max(promised, stream.frames / rate_of(stream))
    # Matroska states the time of the end, others a duration.
    begin = 0.0 if "matroska" in container.format.name else (container.start_time or 0) / av.time_base
    found = end - begin
    if far_below(found, promised, 1 / rate_of(stream)):
        raise RejectedVideo(path, f"is truncated: it ends after {found:.2f} s of {promised:.2f} s")


def far_below(found: float, promised: float, frame_seconds: float) -> bool:
    """Whether what was found, in seconds, is smaller than the stated one by more than imprecision."""
    return promised - found > max(_LOST * promised, 3 * frame_seconds)
