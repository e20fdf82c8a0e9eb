"""Curves as SVG, for browsers and editors."""

from __future__ import annotations

import numpy as np

from sketch2video.curves.equation.sequence import CurveSequence, cosines


def to_svg(sequence: CurveSequence, frame: int, height: int, width: int, thickness: float = 1.0) -> str:
    """One frame as an SVG document of ``height`` by ``width`` px: each visible stroke is one path of cubic Béziers.

    Piece by piece a Bézier has the ends and the end tangents of the cosine sum, two pieces a harmonic; it then stays
    within a hundredth of the stroke's finest wave.
    """
    return _document(_group(sequence, frame, width, thickness), height, width)


def to_animated_svg(sequence: CurveSequence, fps: float, height: int, width: int, thickness: float = 1.0) -> str:
    """All frames as one endlessly repeated SVG animation: groups ``frame-0000``, ``frame-0001``, ... shown in turn.

    Browsers play it; editors show the first frame and list the others as hidden groups.
    """
    frames = len(sequence)
    groups = []
    for frame in range(frames):
        group = _group(sequence, frame, width, thickness)
        shown = ["inline"] if frame == 0 else ["none", "inline"]
        at = [0.0] if frame == 0 else [0.0, frame / frames]
        if frame + 1 < frames:
            shown, at = [*shown, "none"], [*at, (frame + 1) / frames]
        groups.append(
            f'<g id="frame-{frame:04d}" display="{shown[0]}">\n{group}\n'
            f'<animate attributeName="display" values="{";".join(shown)}"'
            f' keyTimes="{";".join(f"{time:.6g}" for time in at)}" calcMode="discrete"'
            f' dur="{frames / fps:.6g}s" repeatCount="indefinite"/>\n</g>'
        )
    return _document("\n".join(groups), height, width)


def _document(body: str, height: int, width: int) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">\n'
        f"{body}\n</svg>\n"
    )


def _group(sequence: CurveSequence, frame: int, width: int, thickness: float) -> str:
    pieces = 2 * sequence.coefficients.shape[-1]
    at = _bezier(sequence.coefficients[frame][sequence.visible[frame]].astype(np.float64), pieces) * width
    paths = "".join(f'\n<path d="{_path(stroke)}"/>' for stroke in at)
    return f'<g fill="none" stroke="black" stroke-width="{thickness:g}" stroke-linecap="round">{paths}\n</g>'


def _bezier(coefficients: np.ndarray, pieces: int) -> np.ndarray:
    """Hermite ends and tangents as control points: (S, 2, K) -> (S, 1 + 3 pieces, 2)."""
    k = np.pi * np.arange(coefficients.shape[-1])
    u = np.linspace(0, 1, pieces + 1)
    ends = np.matmul(coefficients, cosines(pieces + 1, len(k)).T).swapaxes(1, 2)
    third = np.matmul(coefficients, (-k * np.sin(np.outer(u, k))).T).swapaxes(1, 2) / (3 * pieces)
    controls = np.stack([ends[:, :-1], ends[:, :-1] + third[:, :-1], ends[:, 1:] - third[:, 1:]], axis=2)
    return np.concatenate([controls.reshape(len(coefficients), 3 * pieces, 2), ends[:, -1:]], axis=1)


def _path(points: np.ndarray) -> str:
    pairs = [f"{x:.2f},{y:.2f}" for x, y in points]
    return f"M{pairs[0]}" + "".join(f" C{' '.join(pairs[i : i + 3])}" for i in range(1, len(pairs), 3))
