"""Train the video LDM on noisy encoded clips, conditioned on control pictures, captions and frame rates."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from sketch2video.autoencoder.network import FrameAutoencoder, load_autoencoder
from sketch2video.controls import Control, find_control
from sketch2video.data.clips.columns import IMAGE_TABLE
from sketch2video.data.clips.datasets import (
    Dataset,
    ShardDataset,
    clips_of_split,
    evenly,
    image_latents,
    image_table,
)
from sketch2video.data.clips.shards import ShardReader
from sketch2video.diffusion.held_out import (
    Conditions,
    every_second_known,
    held_out_losses,
    residual_of,
    unchanged,
    without_control,
    without_text,
)
from sketch2video.diffusion.known_frames import seen_clips
from sketch2video.diffusion.measured_spectra import near_and_still_deviations
from sketch2video.diffusion.mixed_data import MixedDataset
from sketch2video.diffusion.objectives import Coloured, find_objective
from sketch2video.diffusion.video_transformer import VideoTransformer, frame_mask
from sketch2video.errors import UserError
from sketch2video.files import read_json
from sketch2video.networks.flow_matching import guided_prediction
from sketch2video.networks.processes import average, draw, mean, replacing_once
from sketch2video.networks.temporal_spectrum import most_frames_per_latent
from sketch2video.params import Guidance, MixtureParams, Params, VideoLDMParams
from sketch2video.text.encoder import TextCondition, captions_of, encode_text, load_text_encoder
from sketch2video.training.checkpoints import folder_for
from sketch2video.training.control_gap import ControlGap, control_gap
from sketch2video.training.loop import Batch, RunLogger, Task, TrainResult, train
from sketch2video.training.previews import save_moving_sheet, save_sheet, to_uint8

HELD_OUT_CLIPS = 64
PREVIEW_CLIPS = 6
PREVIEW_STEPS = 20
PREVIEW_GUIDANCE = Guidance(guidance_scale=2.0, control_guidance_scale=1.0)
HELD_OUT_TIMES = (0.1, 0.3, 0.5, 0.7, 0.9)
HELD_OUT_BATCH = 16
WATCHED_CLIPS = 32
WATCHED_TIMES = (0.3, 0.7)
STILL_DROPOUT = 0.2
"""Share of training clips whose noise has the spectrum of positions near the drawing everywhere."""


def train_video_ldm(
    params: Params,
    logger: RunLogger,
    output: Path,
    *,
    control: str = "sketch",
    mixture: MixtureParams | None = None,
    latents: Path,
    clips: Path = Path("data/clips"),
    curves: Path = Path("data/curves"),
    images: Path | None = None,
    text_encoder: Path,
    autoencoder: Path,
    checkpoints: Path = Path("checkpoints"),
) -> TrainResult:
    """Train the diffusion transformer on the training split.

    Args:
        params: all parameters; the sections ``video_ldm`` and ``base`` are read.
        logger: receives the loss curve and pictures.
        output: folder that gets the model.
        control: name of the control of the network.
        mixture: training samples other than whole clips; None: only whole clips.
        latents, clips, curves: folders of shards; of clips and curves only the arrays of the control are read.
        images: folder of captioned images, whose latents are in that of the clips; None: there are none.
        text_encoder, autoencoder: folders of the frozen models; the autoencoder is used for previews only.
        checkpoints: folder of all checkpoints.

    Returns:
        Metrics: ``loss``, and of held-out clips, at fixed times and noise, the loss with all conditions
        (``loss_test``), without the control pictures and without the text, which measure the use of a condition.
        ``control_gap`` is what the control pictures take off the loss, ``control_gap_error`` its standard error over
        clips; a training that ignores its control logs a warning while it runs. If it learns known frames, also
        ``loss_test_between``: that of the frames between every second one, which is known.

    Raises:
        UserError: there is no such control, an input is missing or damaged, or the training fails; see
            :func:`~sketch2video.training.loop.train`.
    """
    section, followed = params.video_ldm, find_control(control)
    torch.manual_seed(params.base.seed)
    decoder = load_autoencoder(autoencoder)
    statistics = read_json(latents / "latents.json")
    table = followed.table(clips, curves)
    train_table, test_table = clips_of_split(table, "train"), clips_of_split(table, "test")
    tokenizer, encoder = load_text_encoder(text_encoder)
    single_frames = mixture is not None and mixture.single_frames
    # After single frames, clips are at first processed frame by frame, so that no frequency along time can differ.
    whitening = 0.0 if single_frames else (section.whitening if followed.lines else section.undrawn_whitening)
    pictures = image_table(images if single_frames else None)
    text_train = encode_text(tokenizer, encoder, [*train_table["caption"], *pictures["caption"]])
    text_test = encode_text(tokenizer, encoder, test_table["caption"].tolist())
    seen = followed.arrays(clips, curves)
    arrays = {"latents": latents, **seen}
    dataset = ShardDataset(train_table, arrays, ["fps"])
    two_spectra = section.still_spectrum and followed.lines and whitening > 0
    deviations = near_and_still_deviations(dataset, followed, statistics, decoder.factor) if two_spectra else {}
    transformer = VideoTransformer(
        latent_channels=len(statistics["mean"]),
        factor=decoder.factor,
        patch=section.patch,
        lapped=section.lapped,
        width=section.width,
        layers=section.layers,
        heads=section.heads,
        text_width=text_train.hidden.shape[-1],
        control_channels=followed.channels,
        sample_size=params.base.size,
        sample_frames=params.base.frames,
        objective=section.objective,
        time_shift=section.time_shift,
        time_mean=section.time_mean,
        latent_mean=statistics["mean"],
        latent_std=statistics["std"],
        temporal_deviations=statistics["temporal_deviations"],
        whitening=whitening,
        **deviations,
        frames_per_latent=frames_per_latent(section, mixture, statistics["temporal_deviations"]),
        noise_scales=(section.shared_noise, section.changing_noise) if followed.lines else (1.0, 1.0),
        known_frames=mixture is not None and mixture.known_frames > 0,
        image_prior=single_frames,
        control=followed.name,
    )
    transformer.caption.centre(text_train.hidden, text_train.mask)
    held_out = ShardDataset(test_table, arrays, ["fps"])
    task = VideoLDMTask(transformer, section, followed, decoder, text_train, text_test, held_out, mixture)
    mixed: Dataset = dataset
    if mixture and single_frames:
        reader, accumulation = ShardReader(image_latents(latents)), section.training.gradient_accumulation
        mixed = MixedDataset(dataset, pictures, reader, mixture, params.base.frames, accumulation)
    settings = {
        "video_ldm": section.model_dump(exclude={"shared_noise", "changing_noise"}),  # of sampling
        "control": control,
        "mixture": mixture and mixture.model_dump(),
        "base": params.base.deciding(),
    }
    inputs = [latents, *set(seen.values()), table, text_encoder, autoencoder]
    inputs += [images / IMAGE_TABLE] if images else []
    result = train(
        task,
        mixed,
        section.training,
        name="video_ldm",
        checkpoint_folder=folder_for(
            f"video_ldm-{control}", settings, inputs, checkpoints, code=[__file__, *followed.code]
        ),
        seed=params.base.seed,
        logger=logger,
    )
    with replacing_once(output) as partial:
        transformer.save_pretrained(partial)
    return result


def frames_per_latent(section: VideoLDMParams, mixture: MixtureParams | None, deviations: Sequence[float]) -> int:
    """The parameter of this name, or if it is null, what the latents' spectrum allows; 1 where frames may be known.

    Raises:
        UserError: frames share latents, but the training is on known or single frames.
    """
    alone = mixture is not None and (mixture.known_frames > 0 or mixture.half_rate > 0 or mixture.single_frames)
    if section.frames_per_latent is None:
        return 1 if alone else most_frames_per_latent(deviations)
    if alone and section.frames_per_latent > 1:
        raise UserError(
            f"video_ldm.frames_per_latent is {section.frames_per_latent}, but known or single frames need a latent"
            " each; set it to 1"
        )
    return section.frames_per_latent


class VideoLDMTask(Task):
    """Predict velocities or noise (:mod:`~sketch2video.diffusion.objectives`); conditions are dropped at random.

    Errors near the drawing have larger weights than those of the background, which covers most of the positions and is
    mostly unrelated to the caption. The weights are functions of the network's input, so the optimal prediction, the
    conditional mean, does not change.

    The part of an error that varies between frames has a larger weight, too. Most of the error is static: it is the
    same in all frames and cannot be predicted. It dominates the much smaller varying part, which is visible as flicker.
    The minimum of a weighted mean of squares is still at the conditional mean.

    Args:
        transformer: the network; its config holds the latents' statistics.
        section: parameters of the video LDM.
        control: the control of the network.
        autoencoder: frozen, for previews.
        text: captions of the training clips, in the order of the dataset's ``index``.
        held_out_text: captions of the held-out clips.
        held_out: the held-out clips.
        mixture: training samples other than whole clips; None: only whole clips.
    """

    module: VideoTransformer
    latent_mean: Tensor
    latent_std: Tensor

    def __init__(
        self,
        transformer: VideoTransformer,
        section: VideoLDMParams,
        control: Control,
        autoencoder: FrameAutoencoder,
        text: TextCondition,
        held_out_text: TextCondition,
        held_out: ShardDataset,
        mixture: MixtureParams | None = None,
    ) -> None:
        super().__init__(transformer)
        self.mixture = mixture
        self.section = section
        self.objective = Coloured(find_objective(section.objective, section.time_shift), transformer.spectrum)
        self.control = control
        self.autoencoder = autoencoder
        self.text = text
        self.held_out_text = held_out_text
        self.held_out = held_out
        mean, std = transformer.config.latent_mean, transformer.config.latent_std
        self.register_buffer("latent_mean", torch.tensor(mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("latent_std", torch.tensor(std).view(-1, 1, 1), persistent=False)

    def loss(
        self, batch: Batch, generator: torch.Generator, progress: float
    ) -> tuple[Tensor, dict[str, Tensor | float]]:
        """See :meth:`Task.loss`; the batch holds ``latents``, ``fps``, ``index`` and the arrays of the control."""
        section, device, known, whole = self.section, generator.device, None, batch
        if self.mixture and batch["latents"].shape[1] > 1:
            batch, known = seen_clips(batch, self.mixture, generator)
        samples = len(batch["latents"])

        def kept(dropout: float) -> Tensor:
            return draw(torch.rand, [samples], generator) >= dropout

        data = (batch["latents"] - self.latent_mean) / self.latent_std
        pictures = self._pictures(batch, data, generator)
        still = self.module.still_positions(pictures)
        if still is not None and batch is not whole:
            # Pieces of clips have the mask of the whole clip, as windows have that of the whole video.
            of_clip = self.module.still_positions(self._pictures(whole, data))
            assert of_clip is not None
            still &= of_clip
        if still is not None:  # in long videos, positions may be near the drawing of another window
            still = still & kept(STILL_DROPOUT).view(-1, 1, 1, 1)
        objective = self.objective.with_still(still)
        text = captions_of(self.text, batch["index"], device)
        time = self.objective.times(samples, generator)
        noise = draw(torch.randn, data.shape, generator)
        seen = kept(section.control_dropout)
        if "pictured" in batch:
            seen &= batch["pictured"]
        prediction = self.module(
            objective.noisy(data, noise, time),
            time,
            control=pictures,
            control_mask=seen,
            text=text.hidden,
            text_mask=text.mask & kept(section.text_dropout)[:, None],
            fps=batch["fps"] * kept(section.fps_dropout),
            known=None if known is None else data,
            known_mask=known,
            still=still,
        )
        residual = residual_of(objective, prediction, data, noise, time, known)
        error, waver = residual.square().mean(2), wavering(residual, known)  # (N, T, h, w)
        weight = torch.ones_like(error)
        if self.control.lines and pictures is not None:
            # Without the drawing as a condition, weights must not depend on it: they would bias the prediction.
            weight += section.ink_weight * near_ink(pictures, error.shape[-2:]) * seen.view(-1, 1, 1, 1)
        if known is not None:
            unknown = ~frame_mask(known)[..., 0].expand_as(error)
            weight, error, waver = weight[unknown], error[unknown], waver[unknown]
        loss = average((weight * (error + section.wavering_weight * waver)).sum()) / average(weight.sum())
        return loss, {"error": mean(error), "wavering": mean(waver)}

    def matrices(self) -> list[nn.Parameter]:
        """The weights of the blocks; see :meth:`Task.matrices`."""
        return [weight for weight in self.module.blocks.parameters() if weight.ndim == 2]

    def metrics(self) -> dict[str, float]:
        """Losses of held-out clips; see :func:`train_video_ldm`."""
        variants = {"loss_test": unchanged, "loss_test_without_text": without_text}
        if self.control.channels:
            variants["loss_test_without_control"] = without_control
        if self.module.config.known_frames:
            variants["loss_test_between"] = every_second_known
        clips = self._held_out_batches(HELD_OUT_CLIPS)
        losses = held_out_losses(self.module, clips, HELD_OUT_TIMES, variants)
        metrics = {name: float(values.mean()) for name, values in losses.items()}
        if self.control.channels:
            metrics |= control_gap(losses["loss_test"], losses["loss_test_without_control"]).metrics()
        return metrics

    def control_gap(self) -> ControlGap | None:
        """See :meth:`Task.control_gap`."""
        if not self.control.channels:
            return None
        variants, clips = {"with": unchanged, "without": without_control}, self._held_out_batches(WATCHED_CLIPS)
        losses = held_out_losses(self.module, clips, WATCHED_TIMES, variants)
        return control_gap(losses["with"], losses["without"])

    def preview(self, folder: Path, step: int) -> list[Path]:
        """Held-out clips: real frames, control pictures and generated frames, as a contact sheet and as a GIF."""
        indices = evenly(PREVIEW_CLIPS, len(self.held_out))
        data, conditions = self._held_out_conditions(indices.tolist())
        noise = torch.randn(data.shape, generator=torch.Generator().manual_seed(0)).to(data.device)
        objective = self.objective.with_still(conditions["still"])
        latents = objective.filter(data).colour(noise)
        times = [latents.new_full((len(latents),), time) for time in objective.sampling_times(PREVIEW_STEPS)]
        for time, following in itertools.zip_longest(times, times[1:]):
            prediction = guided_prediction(
                self.module,
                latents,
                time,
                **conditions,
                guidance=PREVIEW_GUIDANCE,
            )
            clean, noise = objective.estimates(prediction, latents, time)
            latents = clean if following is None else objective.noisy(clean, noise, following)
        pictures = conditions["control"]
        tracks = [to_uint8(self._decoded(x, pictures)) for x in (data, latents)]
        if pictures is not None:
            tracks.insert(1, self.control.shown(pictures))
        sheet, moving = folder / f"video_ldm-{step:06d}.png", folder / f"video_ldm-{step:06d}.gif"
        save_sheet(sheet, [row for rows in zip(*tracks, strict=True) for row in rows])
        save_moving_sheet(moving, [list(track) for track in tracks], fps=8.0)
        return [sheet, moving]

    def _held_out_batches(self, clips: int) -> Iterator[tuple[Coloured, Tensor, Conditions]]:
        """At most ``clips`` held-out clips, evenly spaced, as :func:`held_out_losses` reads them."""
        for part in evenly(clips, len(self.held_out)).split(HELD_OUT_BATCH):
            data, conditions = self._held_out_conditions(part.tolist())
            yield self.objective.with_still(conditions["still"]), data, conditions

    def _held_out_conditions(self, indices: list[int]) -> tuple[Tensor, Conditions]:
        """Normalised latents and all conditions of held-out clips, on the network's device."""
        device = self.module.device
        batch = {name: tensor.to(device) for name, tensor in self.held_out.batch(indices).items()}
        data = (batch["latents"] - self.latent_mean) / self.latent_std
        text = captions_of(self.held_out_text, batch["index"], device)
        pictures = self._pictures(batch, data)
        conditions = {"control": pictures, "text": text.hidden, "text_mask": text.mask, "fps": batch["fps"]}
        return data, {**conditions, "still": self.module.still_positions(pictures)}

    def _pictures(self, batch: Batch, data: Tensor, generator: torch.Generator | None = None) -> Tensor | None:
        """The control pictures of a batch with latents ``data``, corrupted if a generator is given."""
        height, width = (side * int(self.module.config.factor) for side in data.shape[-2:])
        return self.control.pictures(batch, height, width, self.section.sketch_corruption, generator)

    def _decoded(self, data: Tensor, pictures: Tensor | None) -> Tensor:
        """Frames (N, T, 3, H, W) of normalised latents."""
        latents = data * self.latent_std + self.latent_mean
        shown = [None] * len(latents) if pictures is None else pictures
        clips = zip(latents, shown, strict=True)  # one clip at a time bounds the memory
        return torch.stack([self.autoencoder.decode(*clip) for clip in clips])


def wavering(residual: Tensor, known: Tensor | None = None) -> Tensor:
    """Mean square over channels of the difference of an error from its mean over frames: (N, T, h, w).

    Args:
        residual: (N, T, C, h, w).
        known: (N, T) bool, True at frames that are ignored; None: no frame is ignored.
    """
    counts = torch.ones_like(residual[:, :, :1]) if known is None else (~frame_mask(known)).to(residual.dtype)
    mean = (counts * residual).sum(1, keepdim=True) / counts.sum(1, keepdim=True)
    return (residual - mean).square().mean(2)


def near_ink(ink: Tensor, size: tuple[int, int] | torch.Size) -> Tensor:
    """How dark the drawing is at each latent position or at one of its neighbours: (N, T, h, w) in [0, 1].

    Args:
        ink: (N, T, 1, H, W) in [0, 1].
        size: h and w.
    """
    darkest = functional.adaptive_max_pool2d(ink.flatten(0, 1), tuple(size))
    return functional.max_pool2d(darkest, 3, stride=1, padding=1).view(*ink.shape[:2], *size)
