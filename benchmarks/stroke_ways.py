"""Ways to draw held-out captions with a curve VAE, and how they are measured; see :mod:`benchmarks.strokes`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from benchmarks.stroke_errors import distributions, ink_distance, match_strokes, part_of
from sketch2video.controls.sketch import fitted_curves
from sketch2video.curve_vae import CurveVAE, sample_curves
from sketch2video.curve_vae.known import Known, between
from sketch2video.curve_vae.losses import mean_distance
from sketch2video.curve_vae.sampling import Drawn, as_curves
from sketch2video.curve_vae.strokes import StrokeSet, frame_times, stroke_sets
from sketch2video.curves import CurveSequence
from sketch2video.errors import UserError
from sketch2video.evaluation.scores import LEAST_CLIPS, distance_scores, halves
from sketch2video.generation.seeded import clip_seed
from sketch2video.judges.faithfulness import Share, faithfulness
from sketch2video.judges.label_judge_training import SIZE, TrainedJudge
from sketch2video.judges.verdict import Verdict, judge_clips
from sketch2video.text.encoder import TextCondition

REAL, GENERATED, GIVEN, INTERPOLATED = "real", "generated", "first and last given", "interpolated"
"""Ways to draw: the fitted drawings of the real clips; from captions alone; from captions with the first and the last
drawing; these two drawings with straight lines between."""

QUANTILES = (0.1, 0.5, 0.9)
BETWEEN = slice(1, -1)
"""The frames between the two that are given."""


class Sampling(NamedTuple):
    """How drawings are sampled.

    Attributes:
        num_inference_steps, guidance_scale, temperature, stroke_quantile: None: the values of the model's config.
        batch_size: clips a call; the noise of a clip does not depend on it.
        seed: with a clip's id the seed of the clip.
    """

    num_inference_steps: int | None = None
    guidance_scale: float | None = None
    batch_size: int = 24
    seed: int = 0
    temperature: float | None = None
    stroke_quantile: float | None = None


class HeldOutDrawings:
    """Held-out clips, and a curve VAE that draws their captions.

    Args:
        vae: in evaluation mode.
        text: the captions of ``rows``.
        curves: folder of shards.
        rows: N clips, with the labels that are judged.
        sampling: how drawings are sampled.
        size: of the frames, px: the unit of distances.
    """

    def __init__(
        self, vae: CurveVAE, text: TextCondition, curves: Path, rows: pd.DataFrame, sampling: Sampling, size: int
    ) -> None:
        self.vae, self.text, self.rows, self.sampling, self.size = vae, text, rows, sampling, size
        self.real = fitted_curves(curves, rows)
        if len(self.real[0]) < 3:
            raise UserError(f"{curves} has clips of {len(self.real[0])} frames; set base.frames to 3 or more")

    def strokes(self) -> StrokeSet:
        """The real clips as sets of strokes, as many as the model draws."""
        strokes = stroke_sets(
            np.stack([one.coefficients for one in self.real]),
            np.stack([one.visibility for one in self.real]),
            self.vae.config.strokes,
        )
        return StrokeSet(*(part.to(self.vae.device) for part in strokes))

    def reconstruction(self) -> float:
        """Mean distance of strokes from themselves after encoder and decoder, px."""
        strokes = self.strokes()
        times = frame_times(len(self.real[0]), self.vae.device)
        with torch.no_grad():
            parts, _ = self.vae.decode(self.vae.encode(strokes.coefficients, strokes.life).mode(), times)
        return float(mean_distance(parts.coefficients(), strokes.coefficients, strokes.visible)) * self.size

    def drawn(self, known: Known | None = None) -> tuple[list[CurveSequence], float]:
        """Drawings of all captions, and the wall time of one in a batch of median speed, seconds."""
        clips: list[CurveSequence] = []
        seconds = []
        rates = torch.tensor(self.rows["fps"].to_numpy(np.float32), device=self.vae.device)
        for start in tqdm(range(0, len(self.rows), self.sampling.batch_size), desc="draw", unit="batch"):
            part = slice(start, start + self.sampling.batch_size)
            begin = time.perf_counter()
            seeds = [clip_seed(self.sampling.seed, clip_id) for clip_id in self.rows["clip_id"].iloc[part]]
            both = sample_curves(
                self.vae,
                TextCondition(self.text.hidden[part], self.text.mask[part]),
                len(self.real[0]),
                rates[part],
                [torch.Generator().manual_seed(seed) for seed in seeds],
                known=None if known is None else Known(*(one[part] for one in known)),
                num_inference_steps=self.sampling.num_inference_steps,
                guidance_scale=self.sampling.guidance_scale,
                temperature=self.sampling.temperature,
                stroke_quantile=self.sampling.stroke_quantile,
            )
            clips += _sequences(*both)
            seconds.append((time.perf_counter() - begin) / len(seeds))
        return clips, float(np.median(seconds))

    def interpolated(self, known: Known) -> list[CurveSequence]:
        """The known drawings of all clips with straight lines between; see :func:`straight_between`."""
        return _sequences(*as_curves(self.vae, straight_between(known)))

    def distances(self, drawn: Sequence[CurveSequence], frames: slice | Sequence[int] = BETWEEN) -> dict[str, Any]:
        """How far drawings are from the real ones.

        Args:
            drawn: of all clips.
            frames: that count; by default those between the first and the last.

        Returns:
            ``strokes_px``, mean distance of matched strokes (None if there are none), and ``unmatched``, strokes a
            clip; ``ink_px``, symmetric; ``ink_px_by_frame`` of all T frames.
        """
        pairs = list(zip(self.real, drawn, strict=True))
        matched = [match_strokes(*(part_of(one, frames) for one in pair)) for pair in pairs]
        total, together, unmatched = np.sum(matched, axis=0)
        by_frame = np.mean([ink_distance(*pair) for pair in pairs], axis=0) * self.size
        return {
            "strokes_px": float(total / together) * self.size if together else None,
            "unmatched": float(unmatched / len(pairs)),
            "ink_px": float(by_frame[frames].mean()),
            "ink_px_by_frame": by_frame.tolist(),
        }


def first_and_last(strokes: StrokeSet) -> Known:
    """The first and the last drawing of clips as what is known of their strokes."""
    frame = torch.arange(strokes.coefficients.shape[2], device=strokes.life.device)
    ends = (frame == 0) | (frame == len(frame) - 1)
    return Known(strokes.coefficients, strokes.visible & ends, ~strokes.visible & ends)


def straight_between(known: Known) -> Drawn:
    """Strokes that go straight from each known drawing to the next where both have them.

    A stroke is visible where the nearest known drawing has it, and stays where no other one does.
    """
    coefficients = torch.zeros_like(known.coefficients)
    strokes = known.strokes
    if strokes.any():
        coefficients[strokes] = between(known.coefficients[strokes], known.shown[strokes])
    drawn = (known.shown | known.hidden).any(1)
    frame = torch.arange(drawn.shape[1], device=drawn.device)
    away = (frame[:, None] - frame).abs()[None].masked_fill(~drawn[:, None], len(frame))
    nearest = away.argmin(2)  # the earlier one of two
    return Drawn(coefficients, known.shown.gather(2, nearest[:, None].expand_as(known.shown)))


def _sequences(coefficients: torch.Tensor, visibility: torch.Tensor) -> list[CurveSequence]:
    both = zip(coefficients.float().cpu().numpy(), visibility.float().cpu().numpy(), strict=True)
    return [CurveSequence(*one) for one in both]


def measured(held_out: HeldOutDrawings, judge: TrainedJudge) -> tuple[dict[str, Any], dict[str, list[CurveSequence]]]:
    """Draw all ways and measure them.

    Returns:
        ``reconstruction_px``; ``seconds`` a clip of both ways to sample; and for each of the ``ways`` its ``as_asked``,
        the share, its Wilson interval and its counts for every label and for all at once; ``frechet``, None where there
        are too few clips, of real drawings the floor; ``distributions``, mean and quantiles; and, but for real
        drawings, ``between``. And the drawings of each way.
    """
    known = first_and_last(held_out.strokes())
    generated, seconds = held_out.drawn()
    given, seconds_given = held_out.drawn(known)
    drawings = {REAL: held_out.real, GENERATED: generated, GIVEN: given, INTERPOLATED: held_out.interpolated(known)}
    verdicts = {name: seen(judge, clips) for name, clips in drawings.items()}
    ways: dict[str, Any] = {}
    for name, clips in drawings.items():
        verdict = verdicts[name]
        shares = faithfulness(verdict, held_out.rows) if verdict else {}
        ways[name] = {
            "as_asked": {label: about(share) for label, share in shares.items()},
            "frechet": frechet(verdict, verdicts[REAL], held_out.rows),
            "distributions": {key: _summary(found) for key, found in distributions(clips, held_out.size).items()},
            "between": None if name == REAL else held_out.distances(clips),
        }
    found = {
        "reconstruction_px": held_out.reconstruction(),
        "seconds": {GENERATED: seconds, GIVEN: seconds_given},
        "ways": ways,
    }
    return found, drawings


def seen(judge: TrainedJudge, clips: Sequence[CurveSequence]) -> Verdict | None:
    """The judge's verdict on drawings; None without a judge."""
    if judge.judge is None:
        return None
    return judge_clips(judge.judge, np.stack([clip.render(SIZE, SIZE) for clip in clips]))


def frechet(verdict: Verdict | None, real: Verdict | None, rows: pd.DataFrame) -> float | None:
    """Fréchet distance of a judge's features from those of real drawings; of real drawings themselves the floor.

    Half of the drawings of one way is compared with the other half of the real ones, mean of both ways to do so, and
    the floor with as many (:func:`~sketch2video.evaluation.scores.distance_scores`).
    """
    if verdict is None or real is None or len(rows) < LEAST_CLIPS:
        return None
    score = distance_scores(verdict, real, halves(rows), 0, {})["fvd_embedded"]
    return score.floor if verdict is real else score.value


def about(share: Share) -> dict[str, float]:
    """A share for JSON: ``value``, ``low`` and ``high`` of its 95% Wilson interval, ``right`` and ``of``."""
    low, high = share.interval
    return {"value": share.value, "low": low, "high": high, "right": share.right, "of": share.total}


def _summary(values: np.ndarray) -> dict[str, float] | None:
    """Mean and quantiles of samples; None where there are none."""
    if not len(values):
        return None
    quantiles = {f"q{round(100 * q)}": float(np.quantile(values, q)) for q in QUANTILES}
    return {"mean": float(values.mean()), **quantiles}
