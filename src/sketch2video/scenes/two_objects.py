"""Labels of embedded scenes with two objects: shapes and motions, independent of their order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sketch2video.scenes.synthetic import Combination

AND = " and "
SEEN = 0.5
"""Share of an object that must be visible in some frame for its shape to be a label."""


def labels_of_two(what: Sequence[Combination], masks: np.ndarray, outlines: np.ndarray) -> dict[str, str]:
    """``shapes``, such as "circle and star", and ``motions``, likewise, words in alphabetical order.

    One object has no such labels, and there are no ``shapes`` where one object hides the other in all frames.

    Args:
        what: the objects from back to front.
        masks, outlines: of the :class:`~sketch2video.scenes.synthetic.RenderedScene`.
    """
    if len(what) != 2:
        return {}
    labels = {"motions": AND.join(sorted(one.motion for one in what))}
    if most_in_sight(masks, outlines).min() >= SEEN:
        labels["shapes"] = AND.join(sorted(one.shape for one in what))
    return labels


def most_in_sight(masks: np.ndarray, outlines: np.ndarray) -> np.ndarray:
    """The largest share of each object that any frame shows: float64 (O,), about 1 where nothing hides it.

    Args:
        masks: uint8 (T, S, S), o + 1 where object o is in front.
        outlines: (T, O, P, 2), frame widths, closed implicitly.
    """
    x, y = np.moveaxis(outlines.astype(np.float64) * masks.shape[-1], -1, 0)
    areas = 0.5 * np.abs((x * np.roll(y, -1, -1) - np.roll(x, -1, -1) * y).sum(-1))
    shown = np.stack([(masks == o + 1).sum((1, 2)) for o in range(outlines.shape[1])], 1)
    shares: np.ndarray = (shown / areas).max(0)
    return shares
