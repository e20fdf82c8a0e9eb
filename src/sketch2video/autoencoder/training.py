"""Train the frame autoencoder: single frames of the clips, each with its control picture if the system has any."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchmetrics.image import StructuralSimilarityIndexMeasure

from sketch2video.autoencoder.network import FrameAutoencoder
from sketch2video.autoencoder.perceptual import perceptual_distance
from sketch2video.autoencoder.texture import covariance_loss
from sketch2video.controls import Control, find_control
from sketch2video.curves.equation.corruption import draw_ink
from sketch2video.data.clips.datasets import ShardDataset, clips_of_split, evenly
from sketch2video.networks.processes import average, draw, replacing_once
from sketch2video.params import AutoencoderParams, Params
from sketch2video.training.checkpoints import folder_for
from sketch2video.training.loop import Batch, RunLogger, Task, TrainResult, train
from sketch2video.training.previews import save_sheet, to_uint8

HELD_OUT_FRAMES = 256
FRAMES_AT_ONCE = 32
TEXTURE_CLIPS = 256
"""Training clips of which the power of the texture is measured."""

TEXTURE_WEIGHT = 1e-3
"""Of the loss of the texture's amplitude. It has weights of its own, whose steps do not depend on it; a small one does
not change how the gradients of all others are clipped."""

CONTROL_DROPOUT = 0.1
"""Share of frames that are decoded with a blank control picture, so that latents can also be decoded without one."""


def train_autoencoder(
    params: Params,
    logger: RunLogger,
    output: Path,
    *,
    control: str = "sketch",
    clips: Path = Path("data/clips"),
    curves: Path = Path("data/curves"),
    checkpoints: Path = Path("checkpoints"),
) -> TrainResult:
    """Train the autoencoder on the training split.

    Args:
        params: all parameters; the sections ``autoencoder`` and ``base`` are read.
        logger: receives the loss curve and pictures.
        output: folder that gets the model.
        control: name of the control of the decoder.
        clips, curves: folders of shards; the curves give the lines unless the control does.
        checkpoints: folder of all checkpoints.

    Returns:
        Metrics: ``loss``, and of held-out frames ``psnr`` (dB), ``ssim`` and, where the decoder sees pictures,
        ``psnr_blank_sheet``, the PSNR when it sees none.

    Raises:
        UserError: there is no such control, clips or curves cannot be read, or the training fails; see
            :func:`~sketch2video.training.loop.train`.
    """
    section, followed = params.autoencoder, find_control(control)
    torch.manual_seed(params.base.seed)
    task = AutoencoderTask(section, followed, held_out_frames(followed, clips, curves))
    dataset = clip_dataset(followed, clips, curves, "train")
    settings = {
        "autoencoder": section.model_dump(exclude={"texture_scale", "edge_contrast"}),  # of generated frames
        "control": control,
        "base": params.base.deciding(),
    }
    result = train(
        task,
        dataset,
        section.training,
        name="autoencoder",
        checkpoint_folder=folder_for(
            f"autoencoder-{control}", settings, [clips, curves], checkpoints, code=[__file__, *followed.code]
        ),
        seed=params.base.seed,
        logger=logger,
    )
    task.measure_texture(dataset)
    with replacing_once(output) as partial:
        task.module.save_pretrained(partial)
    return result


class AutoencoderTask(Task):
    """Reconstruction of two random frames of every clip of a batch.

    The loss is the mean absolute error, plus a perceptual term, plus a small KL term (Rombach et al. 2022,
    section 3.1 and appendix G). Errors near the drawing's lines weigh more: lines are a few percent of the pixels, but
    shapes are recognised by their outlines. The mean absolute error of the difference between the two frames is added,
    too: what changes from frame to frame is seen as flicker, what errs in both alike is not. What errs in both alike is
    also what the amplitude of the texture learns, from the decoder's features and without changing them.

    Args:
        section: parameters of the autoencoder.
        control: the pictures that the decoder sees.
        held_out: ``frames`` (N, 3, H, W) in [-1, 1] and, where the decoder sees pictures, ``control`` (N, C, H, W) in
            [0, 1]; for metrics and pictures.
    """

    module: FrameAutoencoder

    def __init__(self, section: AutoencoderParams, control: Control, held_out: Batch) -> None:
        super().__init__(
            FrameAutoencoder(
                section.latent_channels,
                section.halvings,
                section.width,
                control.channels,
                control=control.name,
                colour_layers=section.colour_layers,
                fold=section.fold,
                texture=section.texture,
                texture_scale=section.texture_scale,
                edge_contrast=section.edge_contrast,
            )
        )
        self.section = section
        self.control = control
        self.perceptual = perceptual_distance(section.perceptual_vgg16)
        self.held_out = held_out

    def loss(
        self, batch: Batch, generator: torch.Generator, progress: float
    ) -> tuple[Tensor, dict[str, Tensor | float]]:
        """See :meth:`Task.loss`; the batch is that of :func:`clip_dataset`."""
        frames, ink, control = random_frames(self.control, batch, generator, 2)
        weight = line_weights(ink, self.section.line_weight)
        if control is not None:
            blank = (draw(torch.rand, [len(frames) // 2], generator) < CONTROL_DROPOUT).repeat_interleave(2)
            control = control.masked_fill(blank.view(-1, 1, 1, 1), 0.0)

        posterior = self.module.encode(frames)
        pairs = [len(frames) // 2, 2, *posterior.mean.shape[1:]]  # a process has whole clips of a batch
        noise = draw(torch.randn, pairs, generator).flatten(0, 1)
        features = self.module.features(posterior.sample(noise), control)
        decoded = self.module.pixels_of(features, control).float()
        errors = decoded - frames
        error, change = (weight * errors.abs()).mean(), (errors[::2] - errors[1::2]).abs().mean()
        perceptual = self.perceptual(decoded, frames).float()
        kl = posterior.kl()
        loss = error + self.section.change_weight * change
        loss = loss + self.section.perceptual_weight * perceptual + self.section.kl_weight * kl
        if self.module.texture is not None:
            amplitude = self.module.texture.amplitude(features.detach())
            residuals = grey_pairs(errors.detach())
            loss = loss + TEXTURE_WEIGHT * covariance_loss(amplitude[::2], amplitude[1::2], residuals)
        return loss, {"error": error, "change": change, "perceptual": perceptual, "kl": kl}

    @torch.no_grad()
    def measure_texture(self, dataset: ShardDataset) -> None:
        """Set the power of the autoencoder's texture, if it has one, from two frames each of training clips."""
        if self.module.texture is None:
            return
        pairs, device = [], self.module.device
        for part in evenly(TEXTURE_CLIPS, len(dataset)).split(FRAMES_AT_ONCE // 2):
            batch = {name: tensor.to(device) for name, tensor in dataset.batch(part.tolist()).items()}
            length = batch["frames"].shape[1]
            first = torch.arange(len(part), device=device) * 5 % length
            times = torch.stack([first, (first + (length + 1) // 2) % length], 1)
            frames, _, control = frames_at(self.control, batch, times)
            pairs.append(grey_pairs(self.module(frames, control) - frames))
        first, second = (torch.cat(residuals) for residuals in zip(*pairs, strict=True))
        self.module.texture.set_power(first, second, self.module.factor)

    def matrices(self) -> list[nn.Parameter]:
        """The kernels between hidden layers; see :meth:`Task.matrices`."""
        outer = self.module.encoder_in.weight, self.module.encoder_out.weight, self.module.last_layer
        kernels = (weight for weight in self.module.parameters() if weight.ndim == 4)
        return [weight for weight in kernels if all(weight is not one for one in outer)]

    def preview(self, folder: Path, step: int) -> list[Path]:
        """Held-out frames, the control pictures of the decoder, and the reconstructions."""
        frames, control = self._held_out(slice(0, None, max(1, len(self.held_out["frames"]) // 8)))
        path = folder / f"autoencoder-{step:06d}.png"
        seen = [] if control is None else [self.control.shown(control)]
        save_sheet(path, [to_uint8(frames), *seen, to_uint8(self.module(frames, control))])
        return [path]

    def metrics(self) -> dict[str, float]:
        """Metrics of held-out frames; see :func:`train_autoencoder`."""
        frames, control = self._held_out(slice(None))
        decoded = self._reconstructed(frames, control)
        similarity = StructuralSimilarityIndexMeasure(data_range=2.0).to(frames.device)
        blank = {} if control is None else {"psnr_blank_sheet": mean_psnr(self._reconstructed(frames, None), frames)}
        return {"psnr": mean_psnr(decoded, frames), **blank, "ssim": float(similarity(decoded.clamp(-1, 1), frames))}

    def _reconstructed(self, frames: Tensor, control: Tensor | None) -> Tensor:
        parts = frames.split(FRAMES_AT_ONCE)
        pictures = [None] * len(parts) if control is None else control.split(FRAMES_AT_ONCE)
        return torch.cat([self.module(*part) for part in zip(parts, pictures, strict=True)])

    def _held_out(self, which: slice) -> tuple[Tensor, Tensor | None]:
        device, control = self.module.device, self.held_out.get("control")
        return self.held_out["frames"][which].to(device), None if control is None else control[which].to(device)


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
    return weights / average(weights.mean())


def grey_pairs(errors: Tensor) -> tuple[Tensor, Tensor]:
    """Errors (2N, 3, H, W) of two frames each of N clips, side by side, as grey residuals of either: (N, 1, H, W)."""
    grey = errors.mean(1, keepdim=True)
    return grey[::2], grey[1::2]


def mean_psnr(frames: Tensor, target: Tensor) -> float:
    """Peak signal-to-noise ratio of frames (N, 3, H, W) in [-1, 1], dB, averaged over frames."""
    mean_square = (frames.clamp(-1, 1) - target).square().mean((1, 2, 3))
    return float((10 * torch.log10(4 / mean_square.clamp_min(1e-10))).mean())


def clip_dataset(control: Control, clips: Path, curves: Path, split: str) -> ShardDataset:
    """Clips of a split with their curves and control pictures: ``frames``, ``coefficients``, ``visibility``, ..."""
    table = clips_of_split(curves / "curves.parquet", split)
    arrays = {"frames": clips, "coefficients": curves, "visibility": curves}
    return ShardDataset(table, arrays | control.arrays(clips, curves))


def random_frames(
    control: Control, batch: Batch, generator: torch.Generator, count: int = 1
) -> tuple[Tensor, Tensor, Tensor | None]:
    """``count`` random frames of every clip of a batch, clip by clip, different ones if there are as many.

    See :func:`frames_at`.
    """
    samples, length = batch["frames"].shape[:2]
    if not 1 < count <= length:
        return frames_at(control, batch, draw(partial(torch.randint, length), [samples, count], generator))
    order = draw(torch.rand, [samples, length], generator).argsort(1)
    return frames_at(control, batch, order[:, :count])


def frames_at(control: Control, batch: Batch, times: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
    """Frames of every clip of a batch, clip by clip.

    Args:
        control: the pictures that the decoder sees.
        batch: of :func:`clip_dataset`.
        times: (N,) or (N, n) int64, indices of the frames of each clip.

    Returns:
        With N for all of these frames: frames (N, 3, H, W) in [-1, 1]; their lines (N, 1, H, W) in [0, 1], which are
        those of the control or else of the curves; and what the decoder sees (N, C, H, W) in [0, 1], or None.
    """
    times = times.view(len(times), -1)
    each = torch.arange(len(times), device=times.device)[:, None]
    chosen = {name: array[each, times].flatten(0, 1)[:, None] for name, array in batch.items() if array.ndim > 1}
    frames = to_network(chosen["frames"])[:, 0]
    height, width = frames.shape[-2:]
    pictures = control.pictures(chosen, height, width)
    if control.lines and pictures is not None:
        ink = pictures
    else:
        ink = draw_ink(chosen["coefficients"], chosen["visibility"], height, width)
    return frames, ink[:, 0], None if pictures is None else pictures[:, 0]


def held_out_frames(control: Control, clips: Path, curves: Path) -> Batch:
    """Frames of the test split, spread over clips and times: ``frames`` and, if there is any, ``control``."""
    dataset = clip_dataset(control, clips, curves, "test")
    indices = evenly(HELD_OUT_FRAMES, len(dataset)).tolist()
    batch = dataset.batch(indices)
    times = torch.arange(len(indices)) * 5 % batch["frames"].shape[1]  # 5 is coprime to usual lengths: all frames occur
    frames, _, pictures = frames_at(control, batch, times)
    return {"frames": frames} | ({} if pictures is None else {"control": pictures})
