"""SVGs of the tests, and what a browser's renderer (resvg) shows of them."""

import io

import cv2
import numpy as np
import resvg_py
from PIL import Image
from scipy.ndimage import distance_transform_edt

from sketch2video.svg import read_svg

SIZE = 256


def document(body, attributes='viewBox="0 0 100 100" fill="none" stroke="black"'):
    """A document with this content."""
    names = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    return f"<svg {names} {attributes}>{body}</svg>"


def ink_of(folder, text):
    """The ink that is read: bool (T, S, S)."""
    (folder / "a.svg").write_text(text, encoding="utf-8")
    return read_svg(folder / "a.svg", SIZE).ink > 0


def edges_of_reference(text):
    """Where the renderer's picture changes its colour: bool (S, S); the page fills the longer side."""
    zoom = SIZE / max(_rendered(text, 1.0).shape[:2])
    shown = _rendered(text, zoom).astype(np.float32)[:SIZE, :SIZE]
    spread = cv2.dilate(shown, np.ones((3, 3))) - cv2.erode(shown, np.ones((3, 3)))
    height, width = shown.shape[:2]
    top, left = (SIZE - height) // 2, (SIZE - width) // 2
    edges = np.zeros((SIZE, SIZE), bool)
    edges[top : top + height, left : left + width] = spread.max(-1) > 60
    return edges


def _rendered(text, zoom):
    options = {"background": "white", "skip_system_fonts": True, "dpi": 96.0, "languages": ["en"]}
    data = resvg_py.svg_to_bytes(svg_string=text, zoom=zoom, **options)
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


def far_apart(one, other):
    """The greatest distance of a pixel of either from the other, in pixels; infinite if one is empty."""
    if not one.any() or not other.any():
        return 0.0 if one.any() == other.any() else np.inf
    return max(distance_transform_edt(~b)[a].max() for a, b in ((one, other), (other, one)))
