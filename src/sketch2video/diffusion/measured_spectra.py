"""The spectra along time of the latents near the drawing and far from it, measured on training clips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sketch2video.controls import Control
from sketch2video.data.clips.datasets import Dataset, evenly
from sketch2video.networks.temporal_spectrum import power_by_frequency, still_positions, temporal_deviations

MEASURED_CLIPS = 512
"""Number of training clips on which spectra are measured, at most."""

MEASURED_AT_ONCE = 16

LEAST_SHARE = 0.01
"""Least share of the positions of a kind whose spectrum is measured."""

LEAST_DEVIATION = 1e-3
"""Least s_k. Where clips are exactly static, W would multiply rounding errors by 1 / s_k^p."""


def near_and_still_deviations(
    clips: Dataset, control: Control, statistics: Mapping[str, Sequence[float]], factor: int
) -> dict[str, list[float]]:
    """s_k of the positions near the drawing and of the still ones, of standardised latents.

    With latents x standardised by the statistics of all positions, and the positions P of a kind::

        s_k^2 = mean over clips, channels and P of (D x)_k^2

    Args:
        clips: the training clips, with ``latents`` and the arrays of the control; ``MEASURED_CLIPS`` of them, spread
            evenly, are read.
        control: the control, whose pictures are lines.
        statistics: ``mean`` and ``std`` of each channel of the latents.
        factor: how many pixels one latent position spans along an axis.

    Returns:
        ``near_deviations`` and ``still_deviations``, one number for each frequency, at least ``LEAST_DEVIATION``.
        Empty if less than ``LEAST_SHARE`` of the positions are of one kind: there is one spectrum then.
    """
    mean, std = (np.asarray(statistics[name])[:, None, None] for name in ("mean", "std"))
    names = ("near_deviations", "still_deviations")
    power: dict[str, Any] = dict.fromkeys(names, 0.0)
    counts = dict.fromkeys(names, 0)
    for part in evenly(MEASURED_CLIPS, len(clips)).split(MEASURED_AT_ONCE):
        batch = clips.batch(part.tolist())
        latents = (batch["latents"].numpy() - mean) / std
        height, width = (side * factor for side in latents.shape[-2:])
        pictures = control.pictures(batch, height, width)
        assert pictures is not None
        for clip, still in zip(latents, still_positions(pictures, factor)[:, 0].numpy(), strict=True):
            for name, where in zip(names, (~still, still), strict=True):
                power[name] = power[name] + power_by_frequency(clip, where)
                counts[name] += int(where.sum())
    if min(counts.values()) < LEAST_SHARE * sum(counts.values()):
        return {}
    zero, one = np.zeros(mean.size), np.ones(mean.size)
    return {
        name: np.maximum(temporal_deviations(power[name], counts[name], zero, one), LEAST_DEVIATION).tolist()
        for name in names
    }
