"""The equation: a drawing through time as sums of cosines.

A frame is S strokes; stroke s, with the pen at u in [0, 1], is::

    x_s(u) = sum_k a_{s,k} cos(k pi u)        y_s(u) = sum_k b_{s,k} cos(k pi u)        k = 0 ... K-1

Both axes are in frame *widths*, x to the right and y down; pixel (column c, row r) of a frame W pixels wide has its
centre at ((c + 0.5) / W, (r + 0.5) / W).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from sketch2video.curves.equation.render import draw_strokes
from sketch2video.errors import UserError
from sketch2video.files import read_json, replacing, write_json

VISIBLE = 0.5
"""A stroke is drawn where its visibility is above this."""

FORMAT = "sketch2video.curves/1"


@lru_cache(maxsize=64)
def _cosines(n: int, harmonics: int, midpoints: bool) -> np.ndarray:
    u = (np.arange(n) + 0.5) / n if midpoints else np.linspace(0.0, 1.0, n)
    table = np.cos(np.pi * np.outer(u, np.arange(harmonics)))
    table.flags.writeable = False
    return table


def cosines(n: int, harmonics: int, *, midpoints: bool = False) -> np.ndarray:
    """The basis cos(k pi u): (n, harmonics) float64, read-only.

    Args:
        n: number of pen positions.
        harmonics: K.
        midpoints: u = (j + 1/2) / n, the grid on which the basis is orthogonal (DCT-II), instead of n positions from 0
            to 1, ends included.
    """
    return _cosines(n, harmonics, midpoints)


@dataclass(frozen=True, eq=False)
class CurveSequence:
    """Strokes of T frames.

    Attributes:
        coefficients: (T, S, 2, K) float32, frame widths; zero where a stroke needs fewer harmonics or does not exist.
        visibility: (T, S) float32 in [0, 1].

    Raises:
        ValueError: the shapes are inconsistent, or a number is not finite.
    """

    coefficients: np.ndarray
    visibility: np.ndarray

    def __post_init__(self) -> None:
        coefficients = np.ascontiguousarray(self.coefficients, np.float32)
        visibility = np.ascontiguousarray(self.visibility, np.float32)
        if coefficients.ndim != 4 or coefficients.shape[2] != 2 or visibility.shape != coefficients.shape[:2]:
            raise ValueError(
                "coefficients must be (T, S, 2, K) and visibility (T, S),"
                f" not {coefficients.shape} and {visibility.shape}"
            )
        if not (np.isfinite(coefficients).all() and np.isfinite(visibility).all()):
            raise ValueError("coefficients and visibility must be finite numbers")
        object.__setattr__(self, "coefficients", coefficients)
        object.__setattr__(self, "visibility", visibility)

    def __len__(self) -> int:
        return len(self.coefficients)

    @property
    def visible(self) -> np.ndarray:
        """Which strokes are drawn: (T, S) bool."""
        return self.visibility > VISIBLE

    @property
    def frame_parameters(self) -> np.ndarray:
        """Parameters of each frame: non-zero coefficients of its visible strokes, and S visibilities: (T,) int."""
        used = np.count_nonzero(self.coefficients, axis=(2, 3)) * self.visible
        return np.asarray(used.sum(1) + self.visibility.shape[1])

    @property
    def num_parameters(self) -> int:
        """Largest number of parameters of a frame; see :attr:`frame_parameters`."""
        return int(self.frame_parameters.max(initial=self.visibility.shape[1]))

    @property
    def num_slots(self) -> int:
        """The number of leading slots that hold all strokes that are ever visible."""
        return int(np.flatnonzero(self.visible.any(0)).max(initial=-1)) + 1

    def points(self, n: int) -> np.ndarray:
        """Every stroke at ``n`` pen positions from u = 0 to u = 1: (T, S, n, 2) float32, frame widths."""
        *shape, harmonics = self.coefficients.shape
        points = self.coefficients.reshape(-1, harmonics) @ cosines(n, harmonics).T
        return points.reshape(*shape, n).swapaxes(-1, -2).astype(np.float32)

    def render(self, height: int, width: int, thickness: int = 1) -> np.ndarray:
        """The drawing: uint8 (T, height, width), anti-aliased 255 on 0; thickness in px."""
        points = self.points(max(128, 8 * self.coefficients.shape[-1]))
        return draw_strokes(points, self.visible, height, width, thickness)

    def save(self, path: Path | str) -> None:
        """Write a folder with ``curves.safetensors`` and ``curves.json``, atomically."""
        frames, strokes, _, harmonics = self.coefficients.shape
        about = {"format": FORMAT, "frames": frames, "strokes": strokes, "harmonics": harmonics, "unit": "frame widths"}
        with replacing(path) as folder:
            folder.mkdir()
            save_file({"coefficients": self.coefficients, "visibility": self.visibility}, folder / "curves.safetensors")
            write_json(folder / "curves.json", about)

    @classmethod
    def load(cls, path: Path | str) -> CurveSequence:
        """Read what :meth:`save` wrote.

        Raises:
            UserError: the folder is missing, damaged or of another format.
        """
        about = read_json(Path(path) / "curves.json")
        if not isinstance(about, dict) or about.get("format") != FORMAT:
            raise UserError(f"{path} does not hold curves of the format {FORMAT}; fit or generate them again")
        try:
            arrays = load_file(Path(path) / "curves.safetensors")
            return cls(arrays["coefficients"], arrays["visibility"])
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            raise UserError(f"{path}/curves.safetensors cannot be read ({error}); fit or generate it again") from error
