"""The training task of the autoencoder of the curve VAE, on single strokes."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from sketch2video.curve_vae.augment import augmented
from sketch2video.curve_vae.data import CurveDataset, strokes_in, to_device
from sketch2video.curve_vae.losses import mean_distance, stroke_errors
from sketch2video.curve_vae.network import CurveVAE
from sketch2video.curve_vae.sampling import Drawn, as_curves
from sketch2video.curve_vae.strokes import frame_times, stroke_sets
from sketch2video.curves import CurveSequence
from sketch2video.curves.equation.measure import rendered_discrepancy
from sketch2video.data.clips.datasets import evenly
from sketch2video.networks.processes import draw, total
from sketch2video.params import CurveVAEParams
from sketch2video.training.loop import Batch, Task

ANNEALING = 0.25
"""Share of the training in which the KL's weight grows to its full value."""
HELD_OUT_CLIPS = 256


class AutoencoderTask(Task):
    """The negative evidence lower bound of single strokes, with distances of drawn points as the likelihood.

    Args:
        vae: the network.
        section: parameters of the curve VAE.
        held_out: the held-out clips.
        size: of the frames, px: the unit of the metrics.
    """

    module: CurveVAE

    def __init__(self, vae: CurveVAE, section: CurveVAEParams, held_out: CurveDataset, size: int) -> None:
        super().__init__(vae)
        vae.prior.requires_grad_(False)
        self.section = section
        self.held_out = held_out
        self.size = size

    def loss(
        self, batch: Batch, generator: torch.Generator, progress: float
    ) -> tuple[Tensor, dict[str, Tensor | float]]:
        """See :meth:`Task.loss`; the batch is one of :class:`CurveDataset`."""
        strokes, _ = augmented(strokes_in(batch), self.section.augmentation * self.module.training, generator)
        coefficients, life = strokes.coefficients[strokes.present], strokes.life[strokes.present]
        visible = strokes.visible[strokes.present]
        posterior = self.module.encode(coefficients, life)
        noise = draw(torch.randn, posterior.mean.shape, generator, rows=strokes.present.sum(1))
        parts, _ = self.module.decode(posterior.sample(noise), frame_times(visible.shape[1], visible.device))
        position, size, shape, motion = stroke_errors(parts, coefficients, visible)
        nats = total(posterior.kl().sum(-1).sum()) / total(strokes.present.sum()).clamp_min(1)
        weight = self.section.kl_weight * min(1.0, progress / ANNEALING)
        return position + size + shape + motion + weight * nats, {
            "place_px": position * self.size,
            "size_px": size * self.size,
            "shape": shape,
            "motion": motion,
            "kl": nats,
        }

    def matrices(self) -> list[nn.Parameter]:
        """All weights of encoder and decoder; see :meth:`Task.matrices`."""
        return [weight for weight in self.module.parameters() if weight.requires_grad and weight.ndim == 2]

    def metrics(self) -> dict[str, float]:
        """Metrics of held-out clips; see :func:`train_curve_vae`."""
        device = self.module.device
        indices = evenly(HELD_OUT_CLIPS, len(self.held_out)).tolist()
        strokes = to_device(self.held_out.strokes(indices), device)
        fitted = self.held_out.curves(indices)
        posterior = self.module.encode(strokes.coefficients, strokes.life)
        parts, _ = self.module.decode(posterior.mode(), frame_times(strokes.visible.shape[-1], device))
        drawn = Drawn(parts.coefficients(), strokes.visible)
        distance = mean_distance(drawn.coefficients, strokes.coefficients, strokes.visible)
        both = zip(*(part.cpu().numpy() for part in as_curves(self.module, drawn)), strict=True)
        sequences = zip(both, zip(*fitted, strict=True), strict=True)
        discrepancies = [
            rendered_discrepancy(*(CurveSequence(*one).render(self.size, self.size) for one in pair))
            for pair in sequences
        ]
        every = stroke_sets(*fitted, limit=fitted[1].shape[1] * fitted[1].shape[2])
        return {
            "reconstruction_px": float(distance) * self.size,
            "strokes_kept": float(strokes.present.sum() / every.present.sum().clamp_min(1)),
            "rendered_discrepancy": float(np.mean(discrepancies)),
            "kl": float(posterior.kl().sum(-1)[strokes.present].mean()),
        }
