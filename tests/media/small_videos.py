"""Small videos whose frames carry their number as brightness, so that a decoded frame can be told from the others."""

from fractions import Fraction

import av
import numpy as np

CODECS = {".mp4": "libx264", ".mkv": "libx264", ".webm": "libvpx", ".avi": "mpeg4", ".gif": "gif"}
DARKEST, STEP = 16, 5


def number_of(picture):
    """The number of the frame that a decoded picture shows."""
    return round((float(picture.mean()) - DARKEST) / STEP)


def encode(path, pictures, fps=25, codec=None, times=None, pixel_aspect=None, rotation=0, options=None):
    """Write uint8 pictures (H, W, 3); ``times`` in milliseconds for variable frame rates."""
    # Matroska gives every file a random number unless it is asked not to; splits follow from a file's bytes.
    with av.open(str(path), "w", options={"fflags": "+bitexact"} | (options or {})) as container:
        stream = container.add_stream(codec or CODECS[path.suffix], rate=fps)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "rgb8" if path.suffix == ".gif" else "yuv420p"
        stream.gop_size = 5
        if path.suffix in {".webm", ".avi"}:
            stream.bit_rate = 2_000_000
        if times is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        if pixel_aspect:
            stream.codec_context.sample_aspect_ratio = Fraction(pixel_aspect)
        if rotation:
            stream.set_display_rotation(rotation)
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            if path.suffix == ".gif":
                frame = frame.reformat(format="rgb8")
            if times is not None:
                frame.pts, frame.time_base = times[number], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def encode_changing(path, count, small, large):
    """Write ``count`` frames of a size (height, width), then as many of another, into one Matroska file."""
    parts = [path.with_name(f"{path.stem}_{side}.ivf") for side in ("small", "large")]
    for part, size in zip(parts, (small, large), strict=True):
        encode(part, numbered(count, *size), codec="libvpx")
    with av.open(str(parts[0])) as first, av.open(str(parts[1])) as second, av.open(str(path), "w") as joined:
        stream = joined.add_stream_from_template(first.streams.video[0])
        for number, packet in enumerate(p for file in (first, second) for p in file.demux() if p.size):
            packet.pts, packet.dts, packet.stream = number, number, stream
            joined.mux(packet)


def numbered(count, height=48, width=64):
    """Pictures of one brightness each; see :func:`number_of`."""
    return [np.full((height, width, 3), DARKEST + STEP * number, np.uint8) for number in range(count)]


def noisy(count, height=48, width=64):
    """Pictures that compress badly, so that every part of the file matters."""
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (height, width, 3), np.uint8) for _ in range(count)]


def encode_sound(path):
    """Write a file with sound and no pictures."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000, layout="mono")
        for number in range(10):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 16000, number * 1024
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
