"""What colours frames are shown in, held against published formulas."""

import io
from fractions import Fraction

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace, ColorTrc

from sketch2video.media.codec import read_clip, read_frames
from sketch2video.media.colour import rgb_of

BT709, BT601 = (0.2126, 0.0722), (0.299, 0.114)
RED = np.array([220, 30, 30])


def yuv(rgb, weights, full=False, bits=8):
    """The Y'CbCr of H.273 for an R'G'B' of 0 to 255."""
    red, green, blue = np.asarray(rgb) / 255
    kr, kb = weights
    y = kr * red + (1 - kr - kb) * green + kb * blue
    cb, cr = (blue - y) / (2 * (1 - kb)), (red - y) / (2 * (1 - kr))
    if full:
        return [round(255 * y), round(255 * cb + 128), round(255 * cr + 128)]
    return [round((219 * y + 16) * 2 ** (bits - 8)), *(round((224 * c + 128) * 2 ** (bits - 8)) for c in (cb, cr))]


def plain_frame(values, width, height, kind="yuv444p"):
    """A frame of one colour."""
    frame = av.VideoFrame(width, height, kind)
    for plane, value in zip(frame.planes, values, strict=True):
        line = np.full(plane.line_size * plane.height // (1 if "10" not in kind else 2), value)
        plane.update(line.astype(np.uint8 if "10" not in kind else np.uint16).tobytes())
    return frame


@pytest.mark.parametrize(
    ("size", "weights"),
    [((640, 480), BT601), ((720, 576), BT601), ((960, 720), BT709), ((1280, 544), BT709), ((1278, 718), BT601)],
)
@pytest.mark.parametrize("full", [False, True])
def test_without_a_tag_the_size_says_the_matrix(size, weights, full):
    frame = plain_frame(yuv(RED, weights, full), *size)
    frame.color_range = ColorRange.JPEG if full else ColorRange.UNSPECIFIED
    assert np.abs(rgb_of(frame).astype(int) - RED).max() <= 2


@pytest.mark.parametrize(
    ("tag", "weights"),
    [
        (Colorspace.ITU709, BT709),
        (Colorspace.ITU601, BT601),
        (6, BT601),
        (Colorspace.BT2020, (0.2627, 0.0593)),
        (Colorspace.SMPTE240M, (0.212, 0.087)),
        (10, (0.2627, 0.0593)),
    ],
)
@pytest.mark.parametrize("size", [(64, 48), (1280, 720)])
def test_a_tag_says_the_matrix_whatever_the_size(tag, weights, size):
    frame = plain_frame(yuv(RED, weights), *size)
    frame.colorspace = tag
    assert np.abs(rgb_of(frame).astype(int) - RED).max() <= 2


def test_a_file_without_a_tag_is_read_by_the_rule(tmp_path):
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=5)
        stream.width, stream.height, stream.pix_fmt = 1280, 720, "yuv444p"
        for _ in range(2):
            container.mux(stream.encode(plain_frame(yuv(RED, BT709), 1280, 720)))
        container.mux(stream.encode())
    assert np.abs(next(read_frames(tmp_path / "a.mkv")).astype(int) - RED).max() <= 2
    assert np.abs(read_clip(tmp_path / "a.mkv", 2, 16).frames.astype(int) - RED).max() <= 2


def pq_signal(nits):
    """SMPTE ST 2084, inverse EOTF."""
    power = (nits / 10000) ** (2610 / 16384)
    return ((3424 / 4096 + 2413 / 128 * power) / (1 + 2392 / 128 * power)) ** (2523 / 32)


def hlg_signal(nits):
    """BT.2100: a grey of the 1000 cd/m² screen back through the system gamma 1.2, then the OETF."""
    scene = (nits / 1000) ** (1 / 1.2)
    return np.sqrt(3 * scene) if scene <= 1 / 12 else 0.17883277 * np.log(12 * scene - 0.28466892) + 0.55991073


@pytest.mark.parametrize(("trc", "signal"), [(ColorTrc.SMPTE2084, pq_signal), (ColorTrc.ARIB_STD_B67, hlg_signal)])
def test_hdr_becomes_standard_range(trc, signal):
    def shown(nits):
        grey = 255 * signal(nits)
        frame = plain_frame(yuv([grey] * 3, (0.2627, 0.0593), bits=10), 64, 48, "yuv420p10le")
        frame.color_trc, frame.colorspace, frame.color_primaries = trc, Colorspace.BT2020, 9
        values = rgb_of(frame).reshape(-1, 3)
        assert (values == values[0]).all()
        assert np.ptp(values[0].astype(int)) <= 1
        return int(values[0, 0])

    assert 245 <= shown(203) <= 253  # reference white
    assert shown(1000) >= 253
    assert shown(0.001) <= 2
    # Below the knee nothing changes: sRGB of the share of reference white.
    for share in (0.05, 0.18, 0.5, 0.8):
        assert shown(203 * share) == pytest.approx(255 * (1.055 * share ** (1 / 2.4) - 0.055), abs=3)
    brighter = [shown(nits) for nits in (50, 100, 150, 203, 300, 500, 1000)]
    assert brighter == sorted(brighter)


def test_colours_of_hdr_are_brought_to_smaller_primaries():
    # Half a reference white of BT.709's red, in BT.2020's primaries (BT.2087).
    light = 0.5 * np.array([0.6274, 0.0691, 0.0164])
    signal = [255 * pq_signal(203 * one) for one in light]
    frame = plain_frame(yuv(signal, (0.2627, 0.0593), bits=10), 64, 48, "yuv444p10le")
    frame.color_trc, frame.colorspace, frame.color_primaries = ColorTrc.SMPTE2084, Colorspace.BT2020, 9
    red, green, blue = rgb_of(frame)[0, 0].astype(int)
    assert red == pytest.approx(188, abs=3)
    assert max(green, blue) < 30


@pytest.mark.parametrize(
    ("codec", "kind", "suffix"),
    [
        ("qtrle", "argb", ".mov"),
        ("png", "rgba", ".mov"),
        ("ffv1", "yuva420p", ".mkv"),
        ("ffv1", "bgra", ".mkv"),
        ("utvideo", "gbrap", ".avi"),
        ("prores_ks", "yuva444p10le", ".mov"),
        ("rawvideo", "bgra", ".avi"),
        ("png", "ya8", ".mov"),
        ("png", "rgba64be", ".mov"),
        ("libvpx-vp9", "yuva420p", ".webm"),
        ("libvpx", "yuva420p", ".webm"),
    ],
)
def test_what_is_transparent_is_white_in_every_format(tmp_path, codec, kind, suffix):
    picture = np.zeros((64, 64, 4), np.uint8)
    picture[16:48, 16:32, 3], picture[16:48, 32:48] = 255, (0, 0, 0, 128)
    path = tmp_path / f"a{suffix}"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=8, options={"auto-alt-ref": "0"} if "vpx" in codec else {})
        stream.width, stream.height, stream.pix_fmt = 64, 64, kind
        if "vpx" in codec:
            stream.metadata["alpha_mode"], stream.bit_rate = "1", 2_000_000
        for _ in range(4):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgba").reformat(format=kind)))
        container.mux(stream.encode())
    for shown in (next(read_frames(path)), read_clip(path, 2, 64).frames[-1]):
        assert shown[4:60, 4:10].min() > 247
        assert shown[20:44, 20:28].max() < 8
        assert np.abs(shown[20:44, 36:44].astype(int) - 127).max() < 8
    path.unlink()


def test_a_palette_may_be_transparent():
    frame = av.VideoFrame.from_ndarray(np.array([[0, 1], [1, 0]], np.uint8).repeat(16, 0).repeat(16, 1), format="gray8")
    data = io.BytesIO()
    with av.open(data, "w", format="mov") as container:
        stream = container.add_stream("png", rate=Fraction(5))
        stream.width, stream.height, stream.pix_fmt = 32, 32, "pal8"
        palette = av.VideoFrame(32, 32, "pal8")
        pixels = np.frombuffer(bytes(frame.planes[0]), np.uint8).reshape(32, -1)[:, :32]
        plane = np.zeros((32, palette.planes[0].line_size), np.uint8)
        plane[:, :32] = pixels
        palette.planes[0].update(plane.tobytes())
        colours = np.zeros((256, 4), np.uint8)
        colours[1] = (0, 0, 255, 255)  # BGRA: an opaque red; colour 0 is transparent black
        palette.planes[1].update(colours.tobytes())
        container.mux(stream.encode(palette))
        container.mux(stream.encode())
    data.seek(0)
    with av.open(data) as container:
        shown = rgb_of(next(container.decode(video=0)))
    assert shown[0, 0].tolist() == [255, 255, 255]
    assert shown[0, 31].tolist() == [255, 0, 0]
