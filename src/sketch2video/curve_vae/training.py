"""How the curve VAE is trained: the autoencoder of strokes first, then the prior over sets of its latents."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional

from sketch2video.curve_vae.known import describe, random_known
from sketch2video.curve_vae.losses import mean_distance, stroke_errors
from sketch2video.curve_vae.network import CurveVAE
from sketch2video.curve_vae.prior import StrokeFlow, coupled_noise
from sketch2video.curve_vae.sampling import Drawn, as_curves, at_least_one, sample_curves
from sketch2video.curve_vae.strokes import StrokeSet, frame_times, lives_of, stroke_sets, strokes_needed
from sketch2video.curves import CurveSequence
from sketch2video.curves.measure import rendered_discrepancy
from sketch2video.files import replacing
from sketch2video.models.flow_matching import interpolate, logit_normal_times
from sketch2video.models.text import TextCondition, captions_of, encode_text, load_text_encoder
from sketch2video.params import CurveVAEParams, Params
from sketch2video.training.checkpoints import folder_for
from sketch2video.training.condition import draw_ink
from sketch2video.training.data import ShardDataset, batch_indices, clips_of_split
from sketch2video.training.loop import Batch, RunLogger, Task, TrainResult, in_same_run, joined, train
from sketch2video.training.pictures import ink_to_uint8, save_moving_sheet, save_sheet

ANNEALING = 0.25
"""Share of the autoencoder's training in which the KL's weight grows to its full value."""
WHITENED_CLIPS = 256
"""Training clips from which the scale of the prior's numbers is taken."""
SELF_CONDITIONED = 0.5
"""Share of the prior's steps that see its own estimate (Chen et al. 2023, "Analog Bits", section 3.2)."""
COUNT_WEIGHT = 0.02
"""Of the nats of the number of strokes beside the squared error of the velocity."""
COUNT_SPREAD = 0.05
"""Standard deviation of the numbers of strokes that the prior learns, as a share of the true ones."""
ALIKE = 8
"""Batches whose clips are spread among them by their numbers of strokes, so that little of a batch is padding."""
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
    """Train the curve VAE on the training split: the autoencoder, then the prior.

    Args:
        params: all parameters; the sections ``curve_vae`` and ``base`` and ``fit.budget`` are read.
        logger: receives the loss curves and pictures; both trainings are one run.
        output: folder that gets the model.
        curves: folder of shards.
        text_encoder: folder of the frozen text encoder.
        checkpoints: where checkpoints lie. Parameters of the prior alone do not train the autoencoder again.

    Returns:
        Metrics. Of the autoencoder on held-out clips: ``loss``; ``reconstruction_px``, the mean distance in px between
        points of the fitted and of the reconstructed strokes at the same pen position; ``strokes_kept``, the share of
        strokes that ``curve_vae.strokes`` leaves; ``rendered_discrepancy`` of the reconstructed drawings from the
        fitted ones (0 is perfect, 1 an empty page); ``kl``, nats a stroke. Of the prior: ``prior_loss`` at the end of
        the training, and of held-out clips ``prior_flow_test``, the squared error of the velocity, and
        ``prior_count_test``, the nats of the number of strokes.

    Raises:
        UserError: an input is missing or damaged, or a training fails; see
            :func:`~sketch2video.training.loop.train`.
    """
    section, seed = params.curve_vae, params.base.seed
    table = curves / "curves.parquet"
    train_table, test_table = clips_of_split(table, "train"), clips_of_split(table, "test")
    tokenizer, encoder = load_text_encoder(text_encoder)
    text = encode_text(tokenizer, encoder, [*train_table["caption"], ""])
    held_out_text = encode_text(tokenizer, encoder, test_table["caption"].tolist())
    dataset, held_out = (CurveDataset(rows, curves, section.strokes) for rows in (train_table, test_table))
    dataset.limit = held_out.limit = dataset.strokes_needed()
    single = StrokeDataset(train_table, curves, dataset.limit)
    coefficients = dataset.curves([0])[0]
    torch.manual_seed(seed)
    vae = CurveVAE(
        strokes=dataset.limit,
        slots=max(1, *train_table["slots"], *test_table["slots"]),
        harmonics=coefficients.shape[-1],
        text_width=text.hidden.shape[-1],
        latent_dim=section.latent_dim,
        hidden=section.hidden,
        time_terms=min(section.time_terms, coefficients.shape[1]),
        width=section.width,
        layers=section.layers,
        heads=section.heads,
        budget=params.fit.budget,
        num_inference_steps=section.num_inference_steps,
        guidance_scale=section.guidance_scale,
    )
    vae.prior.caption.centre(text.hidden[:-1], text.mask[:-1])
    shared = {"base": params.base.model_dump(exclude={"workers"}), "strokes": section.strokes}
    autoencoder = {"latent_dim", "hidden", "time_terms", "kl_weight", "training"}
    settings = shared | {"curve_vae": section.model_dump(include=autoencoder)}
    first = train(
        AutoencoderTask(vae, section, held_out, params.base.size),
        single,
        section.training,
        name="curve_vae",
        checkpoint_folder=folder_for("curve_vae", settings, [curves, text_encoder], checkpoints),
        seed=seed,
        logger=logger,
    )
    some = np.linspace(0, len(dataset) - 1, min(WHITENED_CLIPS, len(dataset))).round().astype(int).tolist()
    vae.requires_grad_(False)
    vae.whiten(to_device(dataset.strokes(some), vae.device))
    vae.prior.requires_grad_(True)
    settings = {"curve_vae": section.model_dump(), "base": shared["base"], "budget": params.fit.budget}
    second = train(
        PriorTask(vae, section, text, held_out_text, held_out, params.base.size),
        dataset,
        section.prior_training,
        name="curve_prior",
        checkpoint_folder=folder_for("curve_prior", settings, [curves, text_encoder], checkpoints),
        seed=seed,
        logger=in_same_run(logger, after=section.training.steps, prefix="prior_"),
    )
    with replacing(output) as partial:
        vae.save_pretrained(partial)
    return joined(first, second, after=section.training.steps, prefix="prior_")


class CurveDataset(ShardDataset):
    """Clips as sets of strokes: ``coefficients``, ``life`` and ``present`` of a :class:`StrokeSet`, and ``fps``.

    Args:
        table: the clips, rows of ``curves.parquet``.
        curves: folder of shards.
        limit: most strokes a clip.
    """

    def __init__(self, table: pd.DataFrame, curves: Path, limit: int) -> None:
        super().__init__(table, {"coefficients": curves, "visibility": curves}, ["fps"])
        self.limit = limit

    def curves(self, indices: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """The fitted curves: coefficients (N, T, slots, 2, K) and visibility (N, T, slots)."""
        batch = super().batch(indices)
        return batch["coefficients"].numpy(), batch["visibility"].numpy()

    def strokes(self, indices: Sequence[int]) -> StrokeSet:
        """The same as sets of strokes."""
        return stroke_sets(*self.curves(indices), self.limit)

    def strokes_needed(self) -> int:
        """The strokes a clip that hold 99% of all; see :func:`~sketch2video.curve_vae.strokes.strokes_needed`."""
        return strokes_needed(self.lives, self.limit)

    @cached_property
    def lives(self) -> np.ndarray:
        """Lives of each clip: (N,)."""
        reader = self.readers["visibility"]
        rows = (self.table.iloc[[row]] for row in range(len(self)))
        return np.array([len(lives_of(reader.batch("visibility", row)[0])) for row in rows])

    def batch(self, indices: Sequence[int]) -> Batch:
        """See :class:`~sketch2video.training.data.Dataset`."""
        batch = super().batch(indices)
        strokes = stroke_sets(batch.pop("coefficients").numpy(), batch.pop("visibility").numpy(), self.limit)
        used = max(1, int(strokes.present.sum(1).max()))
        return batch | {name: part[:, :used] for name, part in strokes._asdict().items()}

    def batch_at(self, seed: int, position: int, size: int) -> Batch:
        """Batch number ``position``: of each :data:`ALIKE` batches' clips those with about as many strokes.

        See :class:`~sketch2video.training.data.Scheduled`.
        """
        turn, place = divmod(position, ALIKE)
        clips = np.array(batch_indices(seed, turn, ALIKE * size, len(self)))
        clips = clips[np.argsort(self.lives[clips], kind="stable")].reshape(ALIKE, size)
        order = np.random.default_rng([seed, turn]).permutation(ALIKE)  # few and many strokes in turns
        return self.batch(clips[order[place]].tolist())


class StrokeDataset(CurveDataset):
    """The same clips, in batches of so many strokes: what is learned from single strokes does not mind their clips."""

    def batch_at(self, seed: int, position: int, size: int) -> Batch:
        """Batch number ``position``, with about ``size`` strokes."""
        clips = max(1, round(size / max(1.0, self.lives.mean())))
        return self.batch(batch_indices(seed, position, clips, len(self)))


def to_device(strokes: StrokeSet, device: torch.device) -> StrokeSet:
    """The strokes on a device."""
    return StrokeSet(*(part.to(device) for part in strokes))


def strokes_in(batch: Batch) -> StrokeSet:
    """The strokes of a batch of :class:`CurveDataset`."""
    return StrokeSet(batch["coefficients"], batch["life"], batch["present"])


def evenly(count: int, length: int) -> list[int]:
    """At most ``count`` indices below ``length``, evenly spread."""
    return torch.linspace(0, length - 1, min(count, length)).round().long().tolist()


def about(numbers: Tensor, logits: Tensor) -> Tensor:
    """Targets (N, S + 1) for logits that say how many strokes there are: a bell about the true numbers (N,).

    A stroke more or less of twenty is no other drawing, and numbers that are learned exactly are learned by heart. One
    stroke stays one.
    """
    apart = torch.arange(logits.shape[-1], device=logits.device) - numbers[:, None]
    spread = COUNT_SPREAD * numbers[:, None].clamp_min(1)
    return (-0.5 * (apart / spread) ** 2).softmax(-1)


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
        strokes = strokes_in(batch)
        coefficients, life = strokes.coefficients[strokes.present], strokes.life[strokes.present]
        visible = strokes.visible[strokes.present]
        posterior = self.module.encode(coefficients, life)
        noise = torch.randn(posterior.mean.shape, generator=generator, device=generator.device)
        parts, _ = self.module.decode(posterior.sample(noise), frame_times(visible.shape[1], visible.device))
        place, size, shape, motion = stroke_errors(parts, coefficients, visible)
        nats = posterior.kl().sum(-1).sum() / max(len(life), 1)
        weight = self.section.kl_weight * min(1.0, progress / ANNEALING)
        return place + size + shape + motion + weight * nats, {
            "place_px": place * self.size,
            "size_px": size * self.size,
            "shape_px": shape * self.size,
            "motion_px": motion * self.size,
            "kl": nats,
        }

    def metrics(self) -> dict[str, float]:
        """Metrics of held-out clips; see :func:`train_curve_vae`."""
        device = self.module.device
        indices = evenly(HELD_OUT_CLIPS, len(self.held_out))
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


class PriorTask(Task):
    """Flow matching of sets of strokes: the prior learns what the caption, and what is known, leave open.

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
        dropped = torch.rand(len(batch["index"]), generator=generator, device=device) < self.section.caption_dropout
        text = captions_of(self.text, batch["index"].masked_fill(dropped, len(self.text.hidden) - 1), device)
        text = TextCondition(text.hidden, text.mask & ~dropped[:, None])
        flow, count = self._losses(strokes_in(batch), text, batch["fps"], generator)
        return flow + COUNT_WEIGHT * count, {"flow": flow, "count": count}

    def _losses(
        self, strokes: StrokeSet, text: TextCondition, fps: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Mean squared error of the velocity (Lipman et al. 2023, eq. 23), and nats of the numbers of strokes."""
        device = generator.device
        with torch.no_grad(), torch.autocast(device.type, enabled=False):
            known = random_known(strokes, self.section.known, generator)
            seen = describe(self.vae, known)
            posterior = self.vae.encode(strokes.coefficients, strokes.life)
            latents = posterior.sample(torch.randn(posterior.mean.shape, generator=generator, device=device))
            data = self.vae.whitened(latents)
            noise = torch.randn(data.shape, generator=generator, device=device)
            noise = coupled_noise(data, noise, strokes.present, known.strokes)
            present = at_least_one(strokes.present)
            time = logit_normal_times(len(fps), generator, self.section.time_shift)
            between = interpolate(data, noise, time)
        estimate = torch.zeros_like(between)
        if torch.rand((), generator=generator, device=device) < SELF_CONDITIONED:
            with torch.no_grad():
                velocity = self.module(between, time, estimate, text.hidden, text.mask, fps, seen, present)
            estimate = between - time[:, None, None] * velocity.float()
        velocity = self.module(between, time, estimate, text.hidden, text.mask, fps, seen, present)
        errors = (velocity.float() - (noise - data)).square().mean(-1)[strokes.present]
        counts = self.module.count(len(fps), text.hidden, text.mask, fps).float()
        return errors.sum() / max(len(errors), 1), functional.cross_entropy(
            counts, about(strokes.present.sum(-1), counts)
        )

    def matrices(self) -> list[nn.Parameter]:
        """The weights of the blocks; see :meth:`Task.matrices`."""
        return [weight for weight in self.module.blocks.parameters() if weight.ndim == 2]

    def metrics(self) -> dict[str, float]:
        """Loss of held-out clips; see :func:`train_curve_vae`."""
        indices = evenly(HELD_OUT_CLIPS, len(self.held_out))
        batch, text = self._held_out(indices)
        generator = torch.Generator(self.vae.device).manual_seed(0)
        flow, count = self._losses(strokes_in(batch), text, batch["fps"], generator)
        return {"flow_test": float(flow), "count_test": float(count)}

    def preview(self, folder: Path, step: int) -> list[Path]:
        """Held-out captions: what was fitted to the real clip, and what is generated; as a sheet and as a GIF."""
        indices = evenly(PREVIEW_CLIPS, len(self.held_out))
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
