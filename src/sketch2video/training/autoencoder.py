"""Train the frame autoencoder: single frames of the clips, each with the drawing of its fitted curves."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional
from torchmetrics.image import StructuralSimilarityIndexMeasure

from sketch2video.files import replacing
from sketch2video.models.autoencoder import SketchAutoencoder
from sketch2video.models.perceptual import random_perceptual_distance, vgg16_perceptual_distance
from sketch2video.params import AutoencoderParams, Params
from sketch2video.training.checkpoints import folder_for
from sketch2video.training.condition import draw_ink
from sketch2video.training.data import ShardDataset, clips_of_split
from sketch2video.training.loop import Batch, RunLogger, Task, TrainResult, train
from sketch2video.training.pictures import ink_to_uint8, save_sheet, to_uint8

HELD_OUT_FRAMES = 256
SKETCH_DROPOUT = 0.1
"""Share of frames whose decoder sees a blank sheet, so that latents can be decoded without a drawing, too."""


def train_autoencoder(
    params: Params,
    logger: RunLogger,
    output: Path,
    *,
    clips: Path = Path("data/clips"),
    curves: Path = Path("data/curves"),
    checkpoints: Path = Path("checkpoints"),
) -> TrainResult:
    """Train the autoencoder on the training split.

    Args:
        params: all parameters; the sections ``autoencoder`` and ``base`` are read.
        logger: told about the loss curve and pictures.
        output: folder that gets the model.
        clips, curves: folders of shards.
        checkpoints: where checkpoints lie.

    Returns:
        Metrics: ``loss``, and of held-out frames ``psnr`` (dB), ``ssim`` and ``psnr_blank_sheet``, the PSNR when the
        decoder sees no drawing.

    Raises:
        UserError: clips or curves cannot be read, or the training fails; see
            :func:`~sketch2video.training.loop.train`.
    """
    section = params.autoencoder
    torch.manual_seed(params.base.seed)
    task = AutoencoderTask(section, held_out_frames(clips, curves))
    settings = {"autoencoder": section.model_dump(), "base": params.base.model_dump(exclude={"workers"})}
    result = train(
        task,
        clip_dataset(clips, curves, "train"),
        section.training,
        name="autoencoder",
        checkpoint_folder=folder_for("autoencoder", settings, [clips, curves], checkpoints),
        seed=params.base.seed,
        logger=logger,
    )
    with replacing(output) as partial:
        task.module.save_pretrained(partial)
    return result


class AutoencoderTask(Task):
    """Reconstruction of a random frame of every clip of a batch.

    The loss is the mean absolute error, plus a perceptual term, plus a slight KL term (Rombach et al. 2022,
    section 3.1 and appendix G). Errors near the drawing's lines weigh more: lines are a few percent of the pixels, but
    it is by its outline that a shape is told.

    Args:
        section: parameters of the autoencoder.
        held_out: ``frames`` (N, 3, H, W) in [-1, 1] and ``ink`` (N, 1, H, W) in [0, 1], for metrics and pictures.
    """

    module: SketchAutoencoder

    def __init__(self, section: AutoencoderParams, held_out: Batch) -> None:
        super().__init__(SketchAutoencoder(section.latent_channels, section.halvings, section.width, section.sketch))
        self.section = section
        vgg16 = section.perceptual_vgg16
        self.perceptual = vgg16_perceptual_distance(vgg16) if vgg16 else random_perceptual_distance()
        self.held_out_frames = held_out["frames"]
        self.held_out_ink = held_out["ink"]

    def loss(
        self, batch: Batch, generator: torch.Generator, progress: float
    ) -> tuple[Tensor, dict[str, Tensor | float]]:
        """See :meth:`Task.loss`; the batch is that of :func:`clip_dataset`."""
        device = generator.device
        samples, length = batch["frames"].shape[:2]
        each = torch.arange(samples, device=device)
        moment = torch.randint(length, (samples,), generator=generator, device=device)
        frames = to_network(batch["frames"][each, moment])
        height, width = frames.shape[-2:]
        ink = draw_ink(batch["coefficients"][each, moment], batch["visibility"][each, moment], height, width)
        weight = line_weights(ink, self.section.line_weight)
        blank = torch.rand(samples, generator=generator, device=device) < SKETCH_DROPOUT
        ink = ink.masked_fill(blank.view(-1, 1, 1, 1), 0.0)

        posterior = self.module.encode(frames)
        noise = torch.randn(posterior.mean.shape, generator=generator, device=device)
        decoded = self.module.decode(posterior.sample(noise), ink)
        error = (weight * (decoded.float() - frames).abs()).mean()
        perceptual = self.perceptual(decoded, frames).float()
        kl = posterior.kl()
        loss = error + self.section.perceptual_weight * perceptual + self.section.kl_weight * kl
        return loss, {"error": error, "perceptual": perceptual, "kl": kl}

    def preview(self, folder: Path, step: int) -> list[Path]:
        """Held-out frames, what the decoder sees of them, and their reconstructions."""
        frames, ink = self._held_out(slice(0, None, max(1, len(self.held_out_frames) // 8)))
        path = folder / f"autoencoder-{step:06d}.png"
        save_sheet(path, [to_uint8(frames), ink_to_uint8(ink), to_uint8(self.module(frames, ink))])
        return [path]

    def metrics(self) -> dict[str, float]:
        """Metrics of held-out frames; see :func:`train_autoencoder`."""
        frames, ink = self._held_out(slice(None))
        parts = list(zip(frames.split(32), ink.split(32), strict=True))
        decoded = torch.cat([self.module(*part) for part in parts])
        blank = torch.cat([self.module(part[0]) for part in parts])
        return {
            "psnr": mean_psnr(decoded, frames),
            "psnr_blank_sheet": mean_psnr(blank, frames),
            "ssim": float(StructuralSimilarityIndexMeasure(data_range=2.0)(decoded.clamp(-1, 1), frames)),
        }

    def _held_out(self, which: slice) -> tuple[Tensor, Tensor]:
        device = self.module.device
        return self.held_out_frames[which].to(device), self.held_out_ink[which].to(device)


def to_network(frames: Tensor) -> Tensor:
    """uint8 (..., H, W, 3) -> float32 (..., 3, H, W) in [-1, 1]."""
    return frames.movedim(-1, -3).float() / 127.5 - 1


def line_weights(ink: Tensor, extra: float) -> Tensor:
    """Weights of pixels, 1 on average: those within two pixels of a line get up to ``1 + extra`` times the others'.

    Args:
        ink: (N, 1, H, W) in [0, 1].
        extra: at least 0.
    """
    weights = 1 + extra * functional.max_pool2d(ink, 5, stride=1, padding=2)
    return weights / weights.mean()


def mean_psnr(frames: Tensor, target: Tensor) -> float:
    """Peak signal-to-noise ratio of frames (N, 3, H, W) in [-1, 1], dB, averaged over frames."""
    mean_square = (frames.clamp(-1, 1) - target).square().mean((1, 2, 3))
    return float((10 * torch.log10(4 / mean_square.clamp_min(1e-10))).mean())


def clip_dataset(clips: Path, curves: Path, split: str) -> ShardDataset:
    """Clips of a split with their curves: ``frames``, ``coefficients``, ``visibility``."""
    table = clips_of_split(curves / "curves.parquet", split)
    return ShardDataset(table, {"frames": clips, "coefficients": curves, "visibility": curves})


def held_out_frames(clips: Path, curves: Path) -> Batch:
    """Frames of the test split, spread over clips and moments: ``frames`` in [-1, 1] and their ``ink``."""
    dataset = clip_dataset(clips, curves, "test")
    places = torch.linspace(0, len(dataset) - 1, min(HELD_OUT_FRAMES, len(dataset))).round().long().tolist()
    batch = dataset.batch(places)
    each = torch.arange(len(places))
    moment = each * 5 % batch["frames"].shape[1]  # 5 is prime to usual lengths: all moments come up
    frames = to_network(batch["frames"][each, moment])
    coefficients, visibility = batch["coefficients"][each, moment], batch["visibility"][each, moment]
    return {"frames": frames, "ink": draw_ink(coefficients, visibility, *frames.shape[-2:])}
