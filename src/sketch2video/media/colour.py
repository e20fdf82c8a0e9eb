"""Conversion of decoded frames to RGB of standard dynamic range: colour matrix, range, transparency, HDR.

Frames without a colour tag follow the rule of players: BT.709 from 720 lines or 1280 columns on, BT.601 below.
Transparent pixels become white. HDR (PQ of SMPTE ST 2084 and HLG of ARIB STD-B67) is brought to sRGB: linear light with
the reference white of ITU-R BT.2408 at 1, BT.2020 primaries to BT.709, and a tone curve for brighter values.
"""

from __future__ import annotations

from functools import cache

import av
import numpy as np
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc

HD_LINES, HD_COLUMNS = 720, 1280
"""Size from which a video without a colour tag is BT.709."""

REFERENCE_WHITE = 203.0
"""cd/m² of white paper in HDR (ITU-R BT.2408)."""
_HLG_PEAK = 1000.0
"""cd/m² of the screen that HLG is shown on (ITU-R BT.2100), for which its system gamma is 1.2."""
_KNEE = 0.9
"""Linear light, in reference whites, up to which the tone curve changes nothing; it ends at 1."""

_MATRICES = {1, 4, 5, 6, 7, 9}
"""Colour matrices of H.273 that swscale knows by these numbers; 6 is SMPTE 170M, the same as BT.601."""
_BT2020_CONSTANT = 10

_TO_BT709 = np.array(
    [[1.660491, -0.587641, -0.072850], [-0.124550, 1.132900, -0.008349], [-0.018151, -0.100579, 1.118730]], np.float32
)
"""Linear BT.2020 to linear BT.709 (ITU-R BT.2087)."""
_LUMINANCE = np.array([0.2627, 0.6780, 0.0593], np.float32)
"""Of BT.2020's primaries."""


def rgb_of(frame: av.VideoFrame, width: int | None = None, height: int | None = None) -> np.ndarray:
    """The pixels of a frame as they are shown, neither turned nor stretched: uint8 (H, W, 3) RGB.

    Args:
        frame: of any pixel format.
        width, height: to be scaled to; the frame's own by default.
    """
    if frame.color_trc in {ColorTrc.SMPTE2084, ColorTrc.ARIB_STD_B67}:
        return _standard_range(_converted(frame, "rgb48le", width, height), frame)
    if not _may_be_transparent(frame):
        return _converted(frame, "rgb24", width, height)
    pixels = _converted(frame, "rgba", width, height)
    alpha = pixels[..., 3].astype(np.uint16)
    if frame.format.name == "pal8" and not alpha.any():
        return np.ascontiguousarray(pixels[..., :3])  # a palette whose fourth byte is unused
    # One channel after the other: for large frames, 16-bit values of all three would need too much memory.
    background = 255 * (255 - alpha) + 127
    return np.stack([((pixels[..., i] * alpha + background) // 255).astype(np.uint8) for i in range(3)], axis=-1)


def _may_be_transparent(frame: av.VideoFrame) -> bool:
    """Whether the pixel format has an alpha channel; a palette may hold transparent colours."""
    kind = frame.format
    return kind.name == "pal8" or any(component.is_alpha for component in kind.components)


def _converted(frame: av.VideoFrame, kind: str, width: int | None, height: int | None) -> np.ndarray:
    matrix = space = frame.colorspace
    if space == _BT2020_CONSTANT:
        matrix = Colorspace.BT2020
    elif space not in _MATRICES:
        is_hd = frame.height >= HD_LINES or frame.width >= HD_COLUMNS
        wide = frame.color_primaries == ColorPrimaries.BT2020
        matrix = Colorspace.BT2020 if wide else Colorspace.ITU709 if is_hd else Colorspace.ITU601
    if matrix == 6:
        matrix = Colorspace.ITU601
    full = frame.color_range == ColorRange.JPEG or frame.format.name.startswith("yuvj")
    picture = frame.reformat(
        width,
        height,
        kind,
        src_colorspace=matrix,
        dst_colorspace=matrix,
        src_color_range=ColorRange.JPEG if full or _is_rgb(frame) else ColorRange.MPEG,
        dst_color_range=ColorRange.JPEG,
        threads=1,
    )
    return np.asarray(picture.to_ndarray())


def _is_rgb(frame: av.VideoFrame) -> bool:
    return frame.format.is_rgb or frame.format.has_palette or frame.format.name.startswith(("gray", "ya", "mono"))


def _standard_range(pixels: np.ndarray, frame: av.VideoFrame) -> np.ndarray:
    """HDR signal uint16 (H, W, 3) → sRGB uint8 (H, W, 3)."""
    if frame.color_trc == ColorTrc.SMPTE2084:
        light = _pq_light()[pixels]
    else:
        scene = _hlg_light()[pixels]
        # BT.2100's system gamma of 1.2, on luminance.
        light = scene * (scene @ _LUMINANCE)[..., None] ** 0.2 * (_HLG_PEAK / REFERENCE_WHITE)
    if frame.color_primaries in {ColorPrimaries.BT2020, ColorPrimaries.UNSPECIFIED}:
        light = np.maximum(light @ _TO_BT709.T, 0)
    brightest = light.max(-1, keepdims=True)
    light *= _tone(brightest) / np.maximum(brightest, 1e-6)
    return _srgb()[(light * 4095 + 0.5).astype(np.uint16)]


def _tone(light: np.ndarray) -> np.ndarray:
    """Linear light in [0, ∞) → [0, 1): unchanged up to the knee, then a hyperbola of the same slope towards 1."""
    over = np.maximum(light - _KNEE, 0) / (1 - _KNEE)
    return np.minimum(light, _KNEE) + (1 - _KNEE) * over / (1 + over)


@cache
def _pq_light() -> np.ndarray:
    """Light in reference whites of each 16-bit PQ signal (SMPTE ST 2084's EOTF): float32 (65536,)."""
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    root = np.linspace(0, 1, 65536) ** (1 / m2)
    return (1e4 / REFERENCE_WHITE * (np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1)).astype(np.float32)


@cache
def _hlg_light() -> np.ndarray:
    """Scene light in [0, 1] of each 16-bit HLG signal (BT.2100's inverse OETF): float32 (65536,)."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    signal = np.linspace(0, 1, 65536)
    return np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12).astype(np.float32)


@cache
def _srgb() -> np.ndarray:
    """The sRGB value of linear light in 4096 steps: uint8 (4096,)."""
    light = np.linspace(0, 1, 4096)
    value = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return (255 * value).round().astype(np.uint8)
