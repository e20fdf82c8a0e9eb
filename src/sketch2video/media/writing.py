"""Writing of video files: mp4 for common players, WebM for all browsers, and GIF; and of pictures."""

from __future__ import annotations

import io
import math
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
import numpy as np
from PIL import Image

from sketch2video.files import replacing
from sketch2video.media.containers import file_url

_PALETTE_PIXELS = 2**20
"""Pixels, evenly spread over a video, that its palette is made from."""


def write_video(path: Path | str, frames: np.ndarray, fps: float) -> None:
    """Write an mp4 for common players (H.264, yuv420p, index in front), atomically and reproducibly.

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
    # One thread: x264's output depends on their number. Without its macroblock tree, which is not deterministic for
    # frames as small as 32 x 32.
    options = {"crf": "16", "threads": "1", "mbtree": "0"}
    _write_container(path, frames, fps, "mp4", "libx264", options, {"movflags": "+faststart"})


def write_webm(path: Path | str, frames: np.ndarray, fps: float) -> None:
    """Write a WebM (VP9), which browsers without licensed codecs play, too, atomically.

    Args:
        path: ends in ``.webm``.
        frames: uint8 (T, H, W, 3) RGB.
        fps: frames a second, above 0.

    Raises:
        ValueError: as :func:`write_video`.
        UserError: the file cannot be written.
    """
    _check_frames(frames, fps)
    options = {"crf": "16", "b": "0", "deadline": "realtime", "cpu-used": "6", "threads": "1"}
    _write_container(path, frames, fps, "webm", "libvpx-vp9", options)


def _write_container(
    path: Path | str,
    frames: np.ndarray,
    fps: float,
    kind: str,
    codec: Literal["libx264", "libvpx-vp9"],
    options: dict[str, str],
    container_options: dict[str, str] | None = None,
) -> None:
    """Encode frames into a container of FFmpeg (``kind``), atomically."""
    with replacing(path) as partial:
        partial.touch()  # FFmpeg's errors do not name the file that cannot be made
        with av.open(file_url(partial), "w", format=kind, container_options=container_options) as container:
            stream = container.add_stream(codec, rate=Fraction(fps).limit_denominator(1001), options=options)
            stream.width, stream.height, stream.pix_fmt = frames.shape[2], frames.shape[1], "yuv420p"
            for picture in frames:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")))
            container.mux(stream.encode())


def write_png(path: Path | str, picture: np.ndarray) -> None:
    """Write a picture as a PNG, atomically.

    Args:
        path: ends in ``.png``.
        picture: uint8 (H, W, 3) RGB.

    Raises:
        UserError: the file cannot be written.
    """
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(stream, format="PNG")
    with replacing(path) as partial:
        partial.write_bytes(stream.getvalue())


def write_gif(path: Path | str, frames: np.ndarray, fps: float) -> None:
    """Write the GIF of :func:`encode_gif`, atomically.

    Args:
        path: ends in ``.gif``.
        frames, fps: as :func:`encode_gif`.

    Raises:
        ValueError: as :func:`encode_gif`.
        UserError: the file cannot be written.
    """
    content = encode_gif(frames, fps)
    with replacing(path) as partial:
        partial.write_bytes(content)


def encode_gif(frames: np.ndarray, fps: float) -> bytes:
    """An endlessly repeated GIF with one palette for all frames.

    Args:
        frames: uint8 (T, H, W, 3) RGB.
        fps: frames a second, above 0; GIF durations are in hundredths of a second, at least two, rounded so that their
            sum is right up to 50 fps.

    Raises:
        ValueError: the frames are not uint8 (T, H, W, 3), there are none, or the frame rate is not above 0.
    """
    _check_frames(frames, fps)
    # One palette for all frames: separate palettes make static areas flicker.
    pixels = frames.reshape(1, -1, 3)[:, :: max(1, frames.size // (3 * _PALETTE_PIXELS))]
    palette = Image.fromarray(np.ascontiguousarray(pixels)).quantize(256, method=Image.Quantize.MEDIANCUT)
    pictures = [
        Image.fromarray(np.ascontiguousarray(picture)).quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)
        for picture in frames
    ]
    times = np.round(np.arange(len(frames) + 1) * 100 / fps).astype(int) * 10
    data = io.BytesIO()
    pictures[0].save(
        data,
        format="GIF",
        save_all=True,
        append_images=pictures[1:],
        duration=[max(int(d), 20) for d in np.diff(times)],
        loop=0,
        disposal=1,
        optimize=False,
    )
    return data.getvalue()


def _check_frames(frames: np.ndarray, fps: float) -> None:
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[3] != 3 or not frames.size:
        raise ValueError(f"frames must be uint8 (T, H, W, 3) and some, not {frames.dtype} {frames.shape}")
    if not 0 < fps < math.inf:
        raise ValueError(f"the frame rate must be above 0, not {fps}")
