"""Train the curve VAE: whole clips of fitted curves, each with its caption."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional

from sketch2video.curves import CurveSequence, render_ink
from sketch2video.curves.measure import rendered_discrepancy
from sketch2video.files import replacing
from sketch2video.models.curve_vae import VISIBLE, CurveVAE, Strokes, cosine_basis, frame_times, take_apart
from sketch2video.models.flow_matching import interpolate
from sketch2video.models.text import TextCondition, captions_of, encode_text, load_text_encoder
from sketch2video.params import CurveVAEParams, Params
from sketch2video.training.checkpoints import folder_for
from sketch2video.training.condition import draw_ink
from sketch2video.training.data import ShardDataset, clips_of_split
from sketch2video.training.loop import Batch, RunLogger, Task, TrainResult, train
from sketch2video.training.pictures import ink_to_uint8, save_moving_sheet, save_sheet

ANNEALING = 0.25
"""Share of the training in which the KL's weight grows to its full value."""
PRIOR_WEIGHT = 0.1
PRIOR_DRAWS = 8
"""Points of the flow that are learned for each clip in a step: the flow is far cheaper than the rest."""
RENDER_SIZE = 32
"""Side in px of the drawings that the loss compares: a line two px wide pulls at lines within some px of it."""
RENDER_POINTS = 64
RENDERED_CLIPS = 16
"""Clips of a batch of which a frame is drawn in a step; drawing one of each would take longer than all the rest."""
HELD_OUT_CLIPS = 256
PREVIEW_CLIPS = 8


def train_curve_vae(
    params: Params,
    logger: RunLogger,
    output: Path,
    *,
    curves: Path = Path("data/curves"),
    text_encoder: Path = Path("models/text_encoder"),
    checkpoints: Path = Path("checkpoints"),
) -> TrainResult:
    """Train the curve VAE on the training split.

    Args:
        params: all parameters; the sections ``curve_vae`` and ``base`` and ``fit.budget`` are read.
        logger: told about the loss curve and pictures.
        output: folder that gets the model.
        curves: folder of shards.
        text_encoder: folder of the frozen text encoder.
        checkpoints: where checkpoints lie.

    Returns:
        Metrics: ``loss``, and of held-out clips ``reconstruction_px``, the mean distance in px between points of the
        fitted and of the reconstructed strokes at the same pen position, ``visibility_accuracy``,
        ``rendered_discrepancy`` of the reconstructed drawings from the fitted ones (0 is perfect, 1 an empty page) and
        ``kl``, nats a clip.

    Raises:
        UserError: an input is missing or damaged, or the training fails; see
            :func:`~sketch2video.training.loop.train`.
    """
    section = params.curve_vae
    table = curves / "curves.parquet"
    train_table, test_table = clips_of_split(table, "train"), clips_of_split(table, "test")
    tokenizer, encoder = load_text_encoder(text_encoder)
    text = encode_text(tokenizer, encoder, [*train_table["caption"], ""])
    held_out_text = encode_text(tokenizer, encoder, test_table["caption"].tolist())
    strokes = max(1, *train_table["slots"], *test_table["slots"])
    dataset, held_out = CurveDataset(train_table, curves, strokes), CurveDataset(test_table, curves, strokes)
    harmonics = dataset.batch([0])["coefficients"].shape[-1]
    torch.manual_seed(params.base.seed)
    vae = CurveVAE(
        strokes=strokes,
        harmonics=harmonics,
        text_width=text.hidden.shape[-1],
        width=section.width,
        layers=section.layers,
        heads=section.heads,
        latent_dim=section.latent_dim,
        budget=params.fit.budget,
    )
    task = CurveVAETask(vae, section, text, held_out_text, held_out, params.base.size)
    settings = {
        "curve_vae": section.model_dump(),
        "base": params.base.model_dump(exclude={"workers"}),
        "budget": params.fit.budget,
    }
    result = train(
        task,
        dataset,
        section.training,
        name="curve_vae",
        checkpoint_folder=folder_for("curve_vae", settings, [curves, text_encoder], checkpoints),
        seed=params.base.seed,
        logger=logger,
    )
    with replacing(output) as partial:
        vae.save_pretrained(partial)
    return result


class CurveDataset(ShardDataset):
    """Clips with ``coefficients`` (N, T, S, 2, K), ``visibility`` (N, T, S) and ``fps``.

    Args:
        table: the clips, rows of ``curves.parquet``.
        curves: folder of shards.
        strokes: S, the slots that are kept; those behind them are left out.
    """

    def __init__(self, table: pd.DataFrame, curves: Path, strokes: int) -> None:
        super().__init__(table, {"coefficients": curves, "visibility": curves}, ["fps"])
        self.strokes = strokes

    def batch(self, indices: Sequence[int]) -> Batch:
        """See :class:`~sketch2video.training.data.Dataset`."""
        batch = super().batch(indices)
        return batch | {name: batch[name][:, :, : self.strokes] for name in ("coefficients", "visibility")}


class CurveVAETask(Task):
    """The negative evidence lower bound of clips, with distances of drawn points as the likelihood, and the prior.

    Args:
        vae: the network.
        section: parameters of the curve VAE.
        text: captions of the training clips, in the order of the dataset's ``index``, and the empty one after them.
        held_out_text: captions of the held-out clips.
        held_out: the held-out clips.
        size: of the frames, px: the unit of the metrics, and the size of the pictures.
    """

    module: CurveVAE

    def __init__(
        self,
        vae: CurveVAE,
        section: CurveVAEParams,
        text: TextCondition,
        held_out_text: TextCondition,
        held_out: ShardDataset,
        size: int,
    ) -> None:
        super().__init__(vae)
        self.section = section
        self.text = text
        self.held_out_text = held_out_text
        self.held_out = held_out
        self.size = size

    def loss(
        self, batch: Batch, generator: torch.Generator, progress: float
    ) -> tuple[Tensor, dict[str, Tensor | float]]:
        """See :meth:`Task.loss`; the batch holds ``coefficients``, ``visibility``, ``fps``, ``index``."""
        section, device = self.section, generator.device
        coefficients, visibility, fps = batch["coefficients"], batch["visibility"], batch["fps"]
        samples, frames = visibility.shape[:2]
        dropped = torch.rand(samples, generator=generator, device=device) < section.caption_dropout
        text = captions_of(self.text, batch["index"].masked_fill(dropped, len(self.text.hidden) - 1), device)

        posterior = self.module.encode(coefficients, visibility, fps)
        latents = posterior.sample(torch.randn(posterior.mean.shape, generator=generator, device=device))
        strokes = self.module.decode(latents, text.hidden, text.mask, frame_times(frames, device), fps)
        prior = self._prior_loss(latents.detach(), text, generator)
        with torch.autocast(device.type, enabled=False):
            actual = take_apart(coefficients, visibility)
            place, size, shape, motion = stroke_errors(strokes, actual, section.points)
            seen = functional.binary_cross_entropy_with_logits(strokes.visibility, visibility)
            clips = torch.randperm(samples, generator=generator, device=device)[:RENDERED_CLIPS]
            moments = torch.randint(frames, clips.shape, generator=generator, device=device)
            drawing = drawing_error(strokes, coefficients, visibility, (clips, moments))
            nats = posterior.kl().mean(0)
            kl = nats.clamp_min(section.free_bits).sum()
            loss = (
                place
                + size
                + shape
                + motion
                + section.visibility_weight * seen
                + section.render_weight * drawing
                + section.kl_weight * min(1.0, progress / ANNEALING) * kl
                + PRIOR_WEIGHT * prior
            )
        return loss, {
            "place_px": place * self.size,
            "size_px": size * self.size,
            "shape_px": shape * self.size,
            "motion_px": motion * self.size,
            "visibility": seen,
            "drawing": drawing,
            "kl": nats.sum(),
            "prior": prior,
        }

    def _prior_loss(self, latents: Tensor, text: TextCondition, generator: torch.Generator) -> Tensor:
        """Flow-matching loss of the prior at the latents (N, Z), which it follows without drawing them to itself."""
        data = latents[:, None].expand(-1, PRIOR_DRAWS, -1)
        noise = torch.randn(data.shape, generator=generator, device=generator.device)
        time = torch.rand(data.shape[:2], generator=generator, device=generator.device)
        between = interpolate(data.flatten(0, 1), noise.flatten(0, 1), time.flatten()).view_as(noise)
        velocity = self.module.prior(between, time, text.hidden, text.mask)
        return (velocity.float() - (noise - data)).square().mean()

    def metrics(self) -> dict[str, float]:
        """Metrics of held-out clips; see :func:`train_curve_vae`."""
        places = torch.linspace(0, len(self.held_out) - 1, min(HELD_OUT_CLIPS, len(self.held_out))).round().long()
        batch, text = self._held_out(places.tolist())
        coefficients, visibility = batch["coefficients"], batch["visibility"]
        posterior = self.module.encode(coefficients, visibility, batch["fps"])
        times = frame_times(visibility.shape[1], visibility.device)
        strokes = self.module.decode(posterior.mean, text.hidden, text.mask, times, batch["fps"])
        distance = mean_distance((strokes.coefficients() - coefficients)[visibility > VISIBLE], self.section.points)
        right = (strokes.visibility > 0) == (visibility > VISIBLE)
        drawings = (
            self._drawn(*curves)
            for curves in ((strokes.coefficients(), strokes.visibility.sigmoid()), (coefficients, visibility))
        )
        discrepancies = [rendered_discrepancy(*both) for both in zip(*drawings, strict=True)]
        return {
            "reconstruction_px": float(distance) * self.size,
            "visibility_accuracy": float(right.float().mean()),
            "rendered_discrepancy": float(np.mean(discrepancies)),
            "kl": float(posterior.kl().sum(1).mean()),
        }

    def preview(self, folder: Path, step: int) -> list[Path]:
        """Held-out captions: what was fitted to the real clip, and what is generated; as a sheet and as a GIF."""
        places = torch.linspace(0, len(self.held_out) - 1, min(PREVIEW_CLIPS, len(self.held_out))).round().long()
        batch, text = self._held_out(places.tolist())
        fitted = (batch["coefficients"], batch["visibility"])
        generator = [torch.Generator().manual_seed(place) for place in range(len(places))]
        generated = self.module.sample(text.hidden, text.mask, fitted[1].shape[1], batch["fps"], generator)
        columns = [list(ink_to_uint8(draw_ink(*curves, self.size, self.size))) for curves in (fitted, generated)]
        sheet, moving = folder / f"curve_vae-{step:06d}.png", folder / f"curve_vae-{step:06d}.gif"
        save_sheet(sheet, [row for rows in zip(*columns, strict=True) for row in rows])
        save_moving_sheet(moving, columns, fps=8.0)
        return [sheet, moving]

    def _drawn(self, coefficients: Tensor, visibility: Tensor) -> list[np.ndarray]:
        """A drawing uint8 (T, size, size) of each clip of a batch."""
        clips = zip(coefficients.cpu().numpy(), visibility.cpu().numpy(), strict=True)
        return [CurveSequence(*clip).render(self.size, self.size) for clip in clips]

    def _held_out(self, places: list[int]) -> tuple[Batch, TextCondition]:
        """Held-out clips and their captions, on the network's device."""
        device = self.module.device
        batch = {name: tensor.to(device) for name, tensor in self.held_out.batch(places).items()}
        return batch, captions_of(self.held_out_text, batch["index"], device)


def stroke_errors(hypothesis: Strokes, actual: Strokes, points: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """How far strokes are from where they should be, by cause.

    The distance between points that a pen draws at the same moment is at most the sum of the first three, and each has
    a gradient of its own: in the distance itself a wrong place would drown a corner that is missing.

    Args:
        hypothesis: strokes of clips, float32.
        actual: the true strokes, with visibility in [0, 1]; only strokes above one half count, and only their steps
            between frames in both of which they are seen.
        points: pen positions a stroke.

    Returns:
        Means in frame widths, four scalars, zero where nothing is seen: distances of places; differences of sizes;
        distances of points, with the true place and size; and how wrong the steps of points from frame to frame are.
    """
    seen = actual.visibility > VISIBLE
    size = actual.log_size.exp()
    place = _lengths((hypothesis.place - actual.place)[seen][..., None])
    log_size = (hypothesis.log_size - actual.log_size)[seen]
    sizes = _lengths((size[seen] * log_size)[:, None, None])
    bent = (hypothesis.shape - actual.shape)[seen] * size[seen][:, None, None]
    shape = mean_distance(functional.pad(bent, (1, 0)), points)
    errors = hypothesis.coefficients() - actual.coefficients()
    motion = mean_distance((errors[:, 1:] - errors[:, :-1])[seen[:, 1:] & seen[:, :-1]], points)
    return place, sizes, shape, motion


def mean_distance(coefficients: Tensor, points: int) -> Tensor:
    """Mean distance from the origin of ``points`` points of curves (M, 2, K): a scalar, zero if there is none."""
    at = torch.linspace(0, 1, points, device=coefficients.device)
    return _lengths(coefficients @ cosine_basis(at, coefficients.shape[-1]).T)


def _lengths(vectors: Tensor) -> Tensor:
    """Mean length of vectors (M, 2, P); the root is smooth at zero."""
    lengths = (vectors.square().sum(1) + 1e-8).sqrt()
    return lengths.sum() / max(lengths.numel(), 1)


def drawing_error(strokes: Strokes, coefficients: Tensor, visibility: Tensor, which: tuple[Tensor, Tensor]) -> Tensor:
    """Mean squared difference of small drawings, as a share of the true drawing's mean square: a scalar.

    Args:
        strokes: the hypothesis.
        coefficients: (N, T, S, 2, K), the truth.
        visibility: (N, T, S), the truth.
        which: clip and frame numbers of the frames that are drawn.
    """
    curves = (
        (strokes.coefficients()[which], strokes.visibility[which].sigmoid()),
        (coefficients[which], visibility[which]),
    )
    hypothesis, actual = (render_ink(*one, RENDER_SIZE, RENDER_SIZE, points=RENDER_POINTS) for one in curves)
    return (hypothesis - actual).square().mean() / actual.square().mean().clamp_min(1e-3)
