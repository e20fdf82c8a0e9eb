"""Train a base to follow a control: LoRA and the new part of its input layer, on encoded clips."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from sketch2video.bases.adapted_transformer import AdaptedTransformer
from sketch2video.bases.clip_batches import EncodedClips, padded
from sketch2video.bases.guided import guided_base
from sketch2video.bases.registry import open_base
from sketch2video.bases.weights_hash import weights_hash
from sketch2video.diffusion.held_out import Conditions, held_out_losses, unchanged, without_control
from sketch2video.diffusion.objectives import LearningObjective
from sketch2video.errors import UserError
from sketch2video.networks.processes import average, draw, mean, replacing_once
from sketch2video.params import AdaptedVideoParams, DiffusionSampling, Params, TrainingParams
from sketch2video.text.encoder import TextCondition
from sketch2video.training.checkpoints import folder_for
from sketch2video.training.control_gap import ControlGap, control_gap
from sketch2video.training.loop import Batch, RunLogger, Task, TrainResult, train
from sketch2video.training.optimizers import make_optimizer
from sketch2video.training.previews import save_moving_sheet, save_sheet, to_uint8

HELD_OUT_CLIPS = 16
HELD_OUT_TIMES = (0.2, 0.5, 0.8)
PREVIEW_CLIPS = 2
PREVIEW_SAMPLING = DiffusionSampling(guidance_scale=2.0, control_guidance_scale=1.0, num_inference_steps=20)


def train_adapters(
    params: Params,
    logger: RunLogger,
    output: Path,
    *,
    latents: Path,
    checkpoints: Path = Path("checkpoints"),
) -> TrainResult:
    """Train on the encoded clips of the training split.

    Autoencoder and text encoder of the base are not loaded, except for previews, which decode.

    Args:
        params: all parameters; ``adapted_video`` and ``base`` are read.
        logger: receives the loss curve, held-out losses and previews.
        output: folder that gets the :class:`~sketch2video.bases.adapted_transformer.AdaptedTransformer`.
        latents: folder of the encoded clips.
        checkpoints: folder of all checkpoints.

    Returns:
        Metrics: ``loss``, and of held-out clips, at fixed times and noise, ``loss_test``,
        ``loss_test_without_control``, and their difference ``control_gap`` with ``control_gap_error``, its standard
        error over clips. A training that ignores its control logs a warning while it runs.

    Raises:
        UserError: base or clips are missing, damaged or do not match, or the training fails; see
            :func:`~sketch2video.training.loop.train`.
    """
    settings = params.adapted_video
    clips, held_out = EncodedClips(latents, "train"), EncodedClips(latents, "test")
    base = open_base(settings.base)
    if base.name != clips.statistics["base"]:
        raise UserError(f"{latents} was encoded by another base than {settings.base}; run `dvc repro` to encode again")
    network = base.load_network()
    hashes = {"transformer": weights_hash(network), **clips.statistics["hashes"]}
    torch.manual_seed(params.base.seed)
    transformer = AdaptedTransformer(
        network=network,
        base=base,
        source=settings.base,
        hashes=hashes,
        rank=settings.rank,
        control=settings.control,
        sample_size=params.base.size,
        sample_frames=params.base.frames,
        buckets=tuple(clips.statistics["buckets"]),
    )
    if settings.gradient_checkpointing:
        transformer.enable_gradient_checkpointing()
    chosen = {"adapted_video": settings.model_dump(exclude={"base"}), "base": params.base.deciding(), "hashes": hashes}
    result = train(
        AdaptersTask(transformer, settings, clips, held_out),
        clips,
        settings.training,
        name="adapted_video",
        checkpoint_folder=folder_for("adapters", chosen, [latents], checkpoints, code=[__file__]),
        seed=params.base.seed,
        logger=logger,
    )
    with replacing_once(output) as partial_folder:
        transformer.save_pretrained(partial_folder)
    return result


class AdaptersTask(Task):
    """Predict what the base predicts, from the same noise and times; caption and control are dropped at random.

    Args:
        transformer: the network.
        settings: parameters.
        clips: the training clips.
        held_out: the held-out clips.
    """

    module: AdaptedTransformer

    def __init__(
        self, transformer: AdaptedTransformer, settings: AdaptedVideoParams, clips: EncodedClips, held_out: EncodedClips
    ) -> None:
        super().__init__(transformer)
        self.settings = settings
        self.objective = transformer.base.objective(settings.time_shift)
        self.no_text = clips.text_of(None)
        self.held_out = held_out

    def rate_factors(self) -> list[tuple[list[nn.Parameter], float]]:
        """The new part of the input layer, which starts at zero, learns faster."""
        return [(self.module.input_weights, self.settings.input_rate)]

    def optimizer(self, groups: list[dict[str, Any]], settings: TrainingParams) -> torch.optim.Optimizer:
        """That of the parameters."""
        return make_optimizer(self.settings.optimizer, groups, settings.learning_rate, settings.weight_decay)

    def loss(
        self, batch: Batch, generator: torch.Generator, progress: float
    ) -> tuple[Tensor, dict[str, Tensor | float]]:
        """See :meth:`Task.loss`; the batch is that of :class:`~sketch2video.bases.clip_batches.EncodedClips`."""
        data = batch["latents"]
        samples, variants = batch["drawn"].shape[:2]
        row = torch.arange(samples, device=data.device)
        variant = draw(partial(torch.randint, variants), [samples], generator)
        with_control = draw(torch.rand, [samples], generator) >= self.settings.control_dropout
        with_text = draw(torch.rand, [samples], generator) >= self.settings.text_dropout
        time = self.objective.times(samples, generator)
        noise = draw(torch.randn, data.shape, generator)
        text = self._with_dropped(TextCondition(batch["text"], batch["text_mask"]), with_text)
        prediction = self.module(
            self.objective.noisy(data, noise, time),
            self.module.base.timestep(time),
            text.hidden,
            text.mask,
            batch["fps"],
            control=batch["control"][row, variant],
            drawn=batch["drawn"][row, variant] & with_control[:, None],
        )
        error = self.objective.residual(prediction, data, noise, time).square().flatten(1).mean(1)
        followed = average(with_control.float().mean())
        terms = {"loss_with_control": average((error * with_control).mean()) / followed.clamp(min=1e-6)}
        return mean(error), {name: value.detach() for name, value in terms.items()}

    def validation(self) -> dict[str, float]:
        """See :meth:`metrics`."""
        return self.metrics()

    def metrics(self) -> dict[str, float]:
        """Losses of held-out clips with and without their control; see :func:`train_adapters`."""
        losses = self._held_out_losses()
        return {name: float(values.mean()) for name, values in losses.items()} | control_gap(*losses.values()).metrics()

    def control_gap(self) -> ControlGap:
        """See :meth:`Task.control_gap`."""
        return control_gap(*self._held_out_losses().values())

    def _held_out_losses(self) -> dict[str, np.ndarray]:
        """Losses of N held-out clips with and without their control, (N,) each."""

        def network(latents: Tensor, time: Tensor, **conditions: Any) -> Tensor:
            return self.module(latents, self.module.base.timestep(time), **conditions)

        def clips() -> Iterator[tuple[LearningObjective, Tensor, Conditions]]:
            for index in _spread(len(self.held_out), HELD_OUT_CLIPS):
                batch = self._held_out(index)
                conditions = {name: batch[name] for name in ("text", "text_mask", "fps")}
                conditions |= {name: batch[name][:, 0] for name in ("control", "drawn")}
                yield self.objective, batch["latents"], conditions

        variants = {"loss_test": unchanged, "loss_test_without_control": without_control}
        return held_out_losses(network, clips(), HELD_OUT_TIMES, variants)

    @torch.no_grad()
    def preview(self, folder: Path, step: int) -> list[Path]:
        """Held-out clips: real, control and generated, decoded; as a contact sheet and as a GIF."""
        base, device = self.module.base, self.module.device
        vae = base.load_vae().to(device)
        rows: list[np.ndarray] = []
        columns: list[list[np.ndarray]] = [[], [], []]
        for index in _spread(len(self.held_out), PREVIEW_CLIPS):
            batch = self._held_out(index)
            noise = base.noise(tuple(batch["latents"].shape), torch.Generator().manual_seed(0), device)
            made = base.sample(
                base.load_scheduler(),
                guided_base(
                    self.module,
                    TextCondition(batch["text"], batch["text_mask"]),
                    padded([self.no_text]).to(device),
                    batch["fps"],
                    batch["control"][:, 0],
                    batch["drawn"][:, 0],
                    PREVIEW_SAMPLING,
                ),
                noise,
                PREVIEW_SAMPLING.num_inference_steps,
                None,
            )
            clips = [to_uint8(base.decode(vae, part)[0]) for part in (batch["latents"], batch["control"][:, 0], made)]
            rows += clips
            for column, clip in zip(columns, clips, strict=True):
                column.append(clip)
        sheet, moving = folder / f"adapted_video-{step:06d}.png", folder / f"adapted_video-{step:06d}.gif"
        shape = rows[0].shape
        save_sheet(sheet, [row for row in rows if row.shape == shape])
        alike = [[clip for clip in column if clip.shape == shape] for column in columns]
        save_moving_sheet(moving, alike, fps=8.0)
        return [sheet, moving]

    def _held_out(self, index: int) -> Batch:
        device = self.module.device
        return {name: tensor.to(device) for name, tensor in self.held_out.batch([index]).items()}

    def _with_dropped(self, text: TextCondition, kept: Tensor) -> TextCondition:
        """Captions, replaced by the empty condition where ``kept`` (N,) is False."""
        grow = max(0, len(self.no_text) - text.hidden.shape[1])
        hidden, mask = functional.pad(text.hidden, (0, 0, 0, grow)), functional.pad(text.mask, (0, grow))
        empty = torch.zeros_like(hidden[:1])
        empty[0, : len(self.no_text)] = self.no_text
        present = torch.arange(mask.shape[1], device=mask.device) < len(self.no_text)
        return TextCondition(torch.where(kept[:, None, None], hidden, empty), torch.where(kept[:, None], mask, present))


def _spread(count: int, number: int) -> list[int]:
    """Up to ``number`` indices, evenly over ``count``."""
    return sorted({round(index) for index in np.linspace(0, count - 1, min(number, count)).tolist()})
