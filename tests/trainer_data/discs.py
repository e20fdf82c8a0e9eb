"""Videos of a disc that moves by a pixel a frame, whose place shows the number of a decoded frame."""

import av
import numpy as np

from tests.media.small_videos import encode

LEFT, RADIUS = 24, 14


def discs(count, height=96, width=128):
    """Pictures uint8 (height, width, 3), the disc's centre at column ``LEFT`` + number."""
    rows, columns = np.mgrid[:height, :width]
    inside = [(columns - LEFT - number) ** 2 + (rows - height // 2) ** 2 < RADIUS**2 for number in range(count)]
    return [np.where(mask[..., None], np.uint8([230, 60, 50]), np.uint8([40, 70, 110])) for mask in inside]


def number_in(picture):
    """The number of the frame of :func:`discs` that a picture of the same size shows."""
    red = picture[..., 0].astype(int) > 130
    return round(float(np.nonzero(red)[1].mean())) - LEFT


def decoded(path):
    """All frames of a video by FFmpeg, as other projects read them: uint8 (T, H, W, 3); and the frame rate."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(stream)])
        return frames, float(stream.average_rate)


def captioned(folder, videos, extra=""):
    """Write videos, by name the keyword arguments of :func:`encode` with ``count``, and their CSV; returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = ["path_to_video,caption,split"]
    for name, options in videos.items():
        options = dict(options)
        caption, split = options.pop("caption", f"a disc of {name}"), options.pop("split", "")
        encode(folder / name, discs(options.pop("count", 40)), **options)
        rows.append(f'{name},"{caption}",{split}')
    (folder / "captions.csv").write_text("\n".join(rows) + "\n" + extra, encoding="utf-8")
    return folder / "captions.csv"
