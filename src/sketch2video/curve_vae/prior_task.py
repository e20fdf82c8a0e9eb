"""The training task of the prior of the curve VAE, on sets of strokes."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from sketch2video.curve_vae.augment import augmented
from sketch2video.curve_vae.data import CurveDataset, strokes_in
from sketch2video.curve_vae.known import describe, random_known
from sketch2video.curve_vae.network import CurveVAE
from sketch2video.curve_vae.prior import StrokeFlow, coupled_noise
from sketch2video.curve_vae.sampling import at_least_one, sample_curves
from sketch2video.curve_vae.strokes import StrokeSet
from sketch2video.curves.equation.corruption import draw_ink
from sketch2video.data.clips.datasets import evenly
from sketch2video.networks.flow_matching import interpolate, logit_normal_times
from sketch2video.networks.processes import draw, total
from sketch2video.params import CurveVAEParams
from sketch2video.text.encoder import TextCondition, captions_of
from sketch2video.training.loop import Batch, Task
from sketch2video.training.previews import ink_to_uint8, save_moving_sheet, save_sheet

COUNT_WEIGHT = 0.02
"""Weight of the cross-entropy of the number of strokes, relative to the squared error of the velocity."""
COUNT_SPREAD = 0.05
"""Standard deviation of the smoothed targets for the number of strokes, as a share of the true number."""
RATE_SPREAD = 0.2
"""Standard deviation of the noise on the logarithm of frame rates: exact rates identify training clips, which the prior
would then memorise."""
HELD_OUT_CLIPS = 256
PREVIEW_CLIPS = 8


class PriorTask(Task):
    """Flow matching of sets of strokes, conditioned on captions and known strokes.

    Args:
        vae: its prior is trained; the rest is frozen.
        section: parameters of the curve VAE.
        text: captions of the training clips, in the order of the dataset's ``index``, and the empty one after them.
        held_out_text: captions of the held-out clips.
        held_out: the held-out clips.
        size: of the pictures, px.
    """

    module: StrokeFlow

    def __init__(
        self,
        vae: CurveVAE,
        section: CurveVAEParams,
        text: TextCondition,
        held_out_text: TextCondition,
        held_out: CurveDataset,
        size: int,
    ) -> None:
        super().__init__(vae.prior)
        self.vae = vae
        self.section = section
        self.text = text
        self.held_out_text = held_out_text
        self.held_out = held_out
        self.size = size

    def loss(
        self, batch: Batch, generator: torch.Generator, progress: float
    ) -> tuple[Tensor, dict[str, Tensor | float]]:
        """See :meth:`Task.loss`; the batch is one of :class:`CurveDataset`."""
        device = generator.device
        dropped = draw(torch.rand, [len(batch["index"])], generator) < self.section.caption_dropout
        text = captions_of(self.text, batch["index"].masked_fill(dropped, len(self.text.hidden) - 1), device)
        text = TextCondition(text.hidden, text.mask & ~dropped[:, None])
        fps = batch["fps"] * (RATE_SPREAD * draw(torch.randn, batch["fps"].shape, generator)).exp()
        flow, count = self._losses(strokes_in(batch), text, fps, generator)
        return flow + COUNT_WEIGHT * count, {"flow": flow, "count": count}

    def _losses(
        self, strokes: StrokeSet, text: TextCondition, fps: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Mean squared error of the velocity (Lipman et al. 2023, eq. 23), and nats of the numbers of strokes."""
        device = generator.device
        strokes, changes = augmented(strokes, self.section.augmentation * self.module.training, generator)
        with torch.no_grad(), torch.autocast(device.type, enabled=False):
            known = random_known(strokes, self.section.known, generator)
            seen = describe(self.vae, known)
            posterior = self.vae.encode(strokes.coefficients, strokes.life)
            latents = posterior.sample(draw(torch.randn, posterior.mean.shape, generator))
            data = self.vae.whitened(latents)
            noise = draw(torch.randn, data.shape, generator)
            noise = coupled_noise(data, noise, strokes.present, known.strokes)
            present = at_least_one(strokes.present)
            time = logit_normal_times(len(fps), generator, self.section.time_shift)
            between = interpolate(data, noise, time)
        velocity = self.module(between, time, text.hidden, text.mask, fps, seen, present, changes)
        errors = (velocity.float() - (noise - data)).square().mean(-1)[strokes.present]
        counts = self.module.count(len(fps), text.hidden, text.mask, fps).float()
        flow = total(errors.sum()) / total(strokes.present.sum()).clamp_min(1)
        return flow, functional.cross_entropy(counts, about(strokes.present.sum(-1), counts))

    def matrices(self) -> list[nn.Parameter]:
        """The weights of the blocks; see :meth:`Task.matrices`."""
        return [weight for weight in self.module.blocks.parameters() if weight.ndim == 2]

    def metrics(self) -> dict[str, float]:
        """Loss of held-out clips; see :func:`train_curve_vae`."""
        indices = evenly(HELD_OUT_CLIPS, len(self.held_out)).tolist()
        batch, text = self._held_out(indices)
        generator = torch.Generator(self.vae.device).manual_seed(0)
        flow, count = self._losses(strokes_in(batch), text, batch["fps"], generator)
        return {"flow_test": float(flow), "count_test": float(count)}

    def preview(self, folder: Path, step: int) -> list[Path]:
        """Held-out captions: curves fitted to the real clip, and generated ones, as a contact sheet and as a GIF."""
        indices = evenly(PREVIEW_CLIPS, len(self.held_out)).tolist()
        batch, text = self._held_out(indices)
        coefficients, visibility = (torch.from_numpy(part) for part in self.held_out.curves(indices))
        fitted = (coefficients, visibility)
        generators = [torch.Generator().manual_seed(index) for index in range(len(indices))]
        generated = sample_curves(self.vae, text, visibility.shape[1], batch["fps"], generators)
        columns = [list(ink_to_uint8(draw_ink(*curves, self.size, self.size))) for curves in (fitted, generated)]
        sheet, moving = folder / f"curve_vae-{step:06d}.png", folder / f"curve_vae-{step:06d}.gif"
        save_sheet(sheet, [row for rows in zip(*columns, strict=True) for row in rows])
        save_moving_sheet(moving, columns, fps=8.0)
        return [sheet, moving]

    def _held_out(self, indices: list[int]) -> tuple[Batch, TextCondition]:
        """Held-out clips and their captions, on the network's device."""
        device = self.vae.device
        batch = {name: tensor.to(device) for name, tensor in self.held_out.batch(indices).items()}
        return batch, captions_of(self.held_out_text, batch["index"], device)


def about(numbers: Tensor, logits: Tensor) -> Tensor:
    """Smoothed targets (N, S + 1) for the logits of the number of strokes: a Gaussian around the true numbers (N,).

    One stroke more or less of twenty does not change a drawing, and exact numbers would be memorised. A single stroke
    is not smoothed.
    """
    apart = torch.arange(logits.shape[-1], device=logits.device) - numbers[:, None]
    spread = COUNT_SPREAD * numbers[:, None].clamp_min(1)
    return (-0.5 * (apart / spread) ** 2).softmax(-1)
