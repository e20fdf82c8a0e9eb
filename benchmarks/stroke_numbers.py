"""What are latents of strokes worth? ``python -m benchmarks.stroke_numbers --model models/shared/curve_vae``.

The same prior learns, for as many steps, sets of strokes whose tokens are not the latents of the curve VAE but the
strokes' numbers themselves: the lowest coefficients of their series in pen position and time. Both are measured like
any curve VAE (:mod:`benchmarks.strokes`).
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.command import run as run_command
from benchmarks.stroke_ways import GENERATED, GIVEN, Sampling
from benchmarks.strokes import (
    Clips,
    ClipsCount,
    Curves,
    Labels,
    Model,
    Output,
    TextEncoder,
    about_model,
    compare,
    names_in,
    percent,
    two_decimals,
)
from benchmarks.tables import Write, as_table, page_of, show
from sketch2video.curve_vae import CurveVAE
from sketch2video.curve_vae.network import GIVEN as KEPT
from sketch2video.curve_vae.network import MOTION_GAIN, Posterior, life_of, span_of
from sketch2video.curve_vae.strokes import Parts
from sketch2video.curve_vae.training import CurveData, curve_data, network_config, train_prior
from sketch2video.files import replacing
from sketch2video.networks.loading import load_frozen
from sketch2video.params import Params, load_params
from sketch2video.training.loop import SilentLogger

HARMONICS = 8
TERMS = 6
"""Most harmonics of the pen and cosines in time that a token holds."""


class NumberCurves(CurveVAE):
    """A curve VAE without encoder and decoder: its latents are the lowest coefficients of a stroke's series.

    Its ``latent_dim`` is that of :meth:`latent_numbers`.
    """

    @staticmethod
    def latent_numbers(harmonics: int, time_terms: int) -> int:
        """Numbers of a token besides position, size, birth and death, of strokes with at most ``harmonics``."""
        terms = min(TERMS, time_terms)
        return 3 * (terms - 1) + 2 * (min(HARMONICS, harmonics) - 1) * terms

    @property
    def _terms(self) -> int:
        terms: int = min(TERMS, self.config.time_terms)
        return terms

    @property
    def _bends(self) -> int:
        """Harmonics that are kept, without the mean."""
        bends: int = min(HARMONICS, self.config.harmonics) - 1
        return bends

    def encode(self, coefficients: Tensor, life: Tensor) -> Posterior:
        """See :meth:`CurveVAE.encode`; the posterior has no variance."""
        motion, shape = self.series(coefficients, self._terms)
        shape = shape.unflatten(-1, (2, -1))[..., : self._bends]
        numbers = torch.cat([MOTION_GAIN * motion[..., 1:, :].flatten(-2), shape.flatten(-3)], dim=-1)
        given = torch.cat([motion[..., 0, :], span_of(life)], dim=-1)
        return Posterior(given, numbers, torch.full_like(numbers, -math.inf))

    def decode(self, latents: Tensor, times: Tensor) -> tuple[Parts, Tensor]:
        """See :meth:`CurveVAE.decode`."""
        given, moving, bent = latents.split([KEPT, 3 * (self._terms - 1), 2 * self._bends * self._terms], dim=-1)
        series = torch.cat([given[..., None, :3], moving.unflatten(-1, (-1, 3)) / MOTION_GAIN], dim=-2)
        shape = functional.pad(
            bent.unflatten(-1, (self._terms, 2, -1)), (0, self.config.harmonics - 1 - self._bends)
        ).flatten(-2)
        return self.from_series(series, shape, times), life_of(given[..., 3:])


def train_on_numbers(params: Params, data: CurveData, checkpoints: Path) -> NumberCurves:
    """Train the prior on the strokes' numbers, as long as that of the curve VAE."""
    config = network_config(params, data)
    config["latent_dim"] = NumberCurves.latent_numbers(config["harmonics"], config["time_terms"])
    torch.manual_seed(params.base.seed)
    network = NumberCurves(**config)
    train_prior(network, data, params, SilentLogger(), checkpoints, name="stroke_numbers")
    return network.eval().requires_grad_(False)


def cells(found: Mapping[str, Any]) -> list[str]:
    """What :func:`~benchmarks.strokes.compare` found of a network, as cells of the table's columns from the third on.

    A dash is where none of the strokes between the two given drawings matches a real one.
    """
    way = found["ways"][GENERATED]
    return [
        f"{found['reconstruction_px']:.2f}",
        percent(list(way["as_asked"].values())[-1] if way["as_asked"] else None),
        "" if way["frechet"] is None else f"{way['frechet']:.3g}",
        two_decimals(found["ways"][GIVEN]["between"]["strokes_px"]),
        f"{found['seconds'][GENERATED]:.3f}",
    ]


def main(
    model: Model = Path("models/shared/curve_vae"),
    curves: Curves = Path("data/curves"),
    clips: Clips = Path("data/clips"),
    text_encoder: TextEncoder = Path("models/shared/text_encoder"),
    clips_count: ClipsCount = 144,
    labels: Labels = "",
    output: Output = Path("reports/bench"),
    write: Write = False,
) -> None:
    """Train the prior on the strokes' numbers themselves, and measure it beside the curve VAE."""
    page = page_of("stroke_numbers", write)
    params = load_params()
    data = curve_data(params, curves, text_encoder)
    begin = time.perf_counter()
    numbers = train_on_numbers(params, data, Path("checkpoints"))
    seconds = time.perf_counter() - begin
    folder = output / "stroke_numbers"
    with replacing(folder) as partial:
        numbers.save_pretrained(partial)
    columns = ["", "numbers a stroke", "px after coding", "correct", "Fréchet distance", "between, px", "s a clip"]
    rows = []
    vae = load_frozen(CurveVAE, model, "train_curve_vae")
    for name, network, path in (("latents", vae, model), ("numbers", numbers, folder)):
        found = compare(
            network,
            about_model(path, network),
            curves,
            clips,
            text_encoder,
            output / name,
            number=clips_count,
            labels=names_in(labels),
            sampling=Sampling(seed=params.base.seed),
            size=params.base.size,
            judges=output,
        )
        rows.append([name, str(len(network.mean)), *cells(found)])
    note = f"The prior on the numbers was trained in {seconds:.0f} s."
    show("stroke_numbers", f"{as_table(columns, rows)}\n\n{note}", page)
    print(f"written to {output}")


if __name__ == "__main__":
    run_command(main)
