"""Train the hierarchical VQGAN: single frames of the clips, with a discriminator in the last part of the training."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor
from torchmetrics.image import StructuralSimilarityIndexMeasure

from sketch2video.autoencoder.adversarial import (
    DISCRIMINATOR_SCALE,
    Adversaries,
    adaptive_weight,
    frozen,
    hinge_discriminator_loss,
    hinge_generator_loss,
)
from sketch2video.autoencoder.patch_discriminator import PatchDiscriminator
from sketch2video.autoencoder.perceptual import perceptual_distance
from sketch2video.autoencoder.training import (
    FRAMES_AT_ONCE,
    clip_dataset,
    held_out_frames,
    line_weights,
    mean_psnr,
    random_frames,
)
from sketch2video.controls import NONE
from sketch2video.networks.processes import replacing_once
from sketch2video.params import Params, VQGANParams
from sketch2video.tokens.vqgan.codebook import Quantised, perplexity
from sketch2video.tokens.vqgan.network import HierarchicalVQGAN
from sketch2video.training.checkpoints import folder_for
from sketch2video.training.loop import Batch, RunLogger, Task, TrainResult, train
from sketch2video.training.previews import save_sheet, to_uint8


def train_vqgan(
    params: Params,
    logger: RunLogger,
    output: Path,
    *,
    clips: Path = Path("data/clips"),
    curves: Path = Path("data/curves"),
    checkpoints: Path = Path("checkpoints"),
) -> TrainResult:
    """Train the hierarchical VQGAN on the training split.

    Args:
        params: all parameters; the sections ``vqgan`` and ``base`` are read.
        logger: receives the loss curve and pictures.
        output: folder of the model, which is saved without the discriminator.
        clips, curves: folders of shards; the curves give the positions of lines.
        checkpoints: folder of the checkpoints.

    Returns:
        Metrics: ``loss``; of held-out frames ``psnr`` (dB), ``ssim``, ``comparator``, the perceptual distance of the
        loss (the paper's comparator if VGG16's weights are given, else that of a fixed random network), and for each
        level, 0 the finest, ``perplexity_<level>`` and ``codes_used_<level>``; ``bits_per_frame``.

    Raises:
        UserError: clips or curves cannot be read, or the training fails; see
            :func:`~sketch2video.training.loop.train`.
    """
    section = params.vqgan
    torch.manual_seed(params.base.seed)
    task = VQGANTask(section, held_out_frames(NONE, clips, curves)["frames"])
    settings = {"vqgan": section.model_dump(), "base": params.base.deciding()}
    result = train(
        task,
        clip_dataset(NONE, clips, curves, "train"),
        section.training,
        name="vqgan",
        checkpoint_folder=folder_for("vqgan", settings, [clips, curves], checkpoints, code=[__file__]),
        seed=params.base.seed,
        logger=logger,
    )
    with replacing_once(output) as partial:
        task.module.generator.save_pretrained(partial)
    return result


class VQGANTask(Task):
    """Reconstruction of a random frame of every clip of a batch through tokens.

    The generator's loss is that of Esser et al. 2021, eq. 5 to 7: mean absolute error, perceptual distance, commitment
    and, from ``discriminator_start`` on, the adversarial loss with an adaptive weight. The discriminator's own loss is
    added; as each loss has gradients for its own parameters alone, both networks are trained in one step. Errors near
    the drawing's lines have a larger weight, as for the autoencoder.

    Previews and metrics use averaged weights with the present codebooks: codes are moving averages over as many batches
    themselves, and with a learning rate near zero there is no difference.

    Args:
        section: parameters of the network.
        held_out: (N, 3, H, W) in [-1, 1], for metrics and pictures.
    """

    module: Adversaries[HierarchicalVQGAN, PatchDiscriminator]

    def __init__(self, section: VQGANParams, held_out: Tensor) -> None:
        generator = HierarchicalVQGAN(
            section.levels, section.codes, section.code_width, section.halvings, section.width
        )
        # A patch is about four tokens of the finest grid wide, and at least 16 px.
        discriminator = PatchDiscriminator(section.discriminator_width, max(1, section.halvings - 1))
        super().__init__(Adversaries(generator, discriminator))
        self.section = section
        self.perceptual = perceptual_distance(section.perceptual_vgg16)
        self.held_out = held_out

    def loss(
        self, batch: Batch, generator: torch.Generator, progress: float
    ) -> tuple[Tensor, dict[str, Tensor | float]]:
        """See :meth:`Task.loss`; the batch is that of :func:`~sketch2video.autoencoder.training.clip_dataset`."""
        frames, ink, _ = random_frames(NONE, batch, generator)
        network, section = self.module.generator, self.section

        levels = network.quantise(frames)
        decoded = network.decode_embeddings([level.embedding for level in levels]).float()
        error = (line_weights(ink, section.line_weight) * (decoded - frames).abs()).mean()
        perceptual = self.perceptual(decoded, frames).float()
        commitment = torch.stack([level.commitment for level in levels]).mean()
        reconstruction = error + section.perceptual_weight * perceptual
        loss = reconstruction + section.commitment_weight * commitment
        adversarial, discriminator = loss.new_zeros(2)
        if progress >= section.discriminator_start:
            adversarial, discriminator = self._adversarial(frames, decoded)
            weight = adaptive_weight(reconstruction, adversarial, network.last_layer)
            loss = loss + section.discriminator_weight * weight * adversarial
            loss = loss + DISCRIMINATOR_SCALE * discriminator
        terms = {
            "error": error,
            "perceptual": perceptual,
            "commitment": commitment,
            "adversarial": adversarial,
            "discriminator": discriminator,
        }
        return loss, terms | self._perplexities(levels)

    def _adversarial(self, frames: Tensor, decoded: Tensor) -> tuple[Tensor, Tensor]:
        """Losses of generator and discriminator, each with gradients for its own parameters alone."""
        discriminator = self.module.discriminator
        with frozen(discriminator):
            adversarial = hinge_generator_loss(discriminator(decoded).float())
        real, fake = discriminator(torch.cat([frames, decoded.detach()])).float().chunk(2)
        return adversarial, hinge_discriminator_loss(real, fake)

    def _perplexities(self, levels: list[Quantised]) -> dict[str, Tensor]:
        return {
            f"perplexity_{index}": perplexity(level.indices, self.section.codes) for index, level in enumerate(levels)
        }

    def preview(self, folder: Path, step: int) -> list[Path]:
        """Held-out frames, their reconstructions, and those from the tokens of the coarsest level alone."""
        network = self.module.generator
        frames = self.held_out[:: max(1, len(self.held_out) // 8)].to(network.device)
        *finer, top = [level.embedding for level in network.quantise(frames)]
        coarse = network.decode_embeddings([*map(torch.zeros_like, finer), top])
        path = folder / f"vqgan-{step:06d}.png"
        save_sheet(path, [to_uint8(frames), to_uint8(network.decode_embeddings([*finer, top])), to_uint8(coarse)])
        return [path]

    def metrics(self) -> dict[str, float]:
        """Metrics of held-out frames; see :func:`train_vqgan`."""
        network, codes = self.module.generator, self.section.codes
        frames = self.held_out.to(network.device)
        parts = [network.encode(part) for part in frames.split(FRAMES_AT_ONCE)]
        tokens = [torch.cat(level) for level in zip(*parts, strict=True)]
        decoded = torch.cat([network.decode(part) for part in parts]).clamp(-1, 1)
        pairs = zip(decoded.split(FRAMES_AT_ONCE), frames.split(FRAMES_AT_ONCE), strict=True)
        distances = [float(self.perceptual(*pair)) * len(pair[0]) for pair in pairs]
        similarity = StructuralSimilarityIndexMeasure(data_range=2.0).to(frames.device)
        values = {
            "psnr": mean_psnr(decoded, frames),
            "ssim": float(similarity(decoded, frames)),
            "comparator": sum(distances) / len(frames),
            "bits_per_frame": sum(level[0].numel() for level in tokens) * math.log2(codes),
        }
        for index, level in enumerate(tokens):
            values[f"perplexity_{index}"] = float(perplexity(level, codes))
            values[f"codes_used_{index}"] = float(len(level.unique()))
        return values
