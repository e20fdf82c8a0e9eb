"""Train the video LDM: flow matching on encoded clips, conditioned on drawn curves, captions and frame rates."""

from __future__ import annotations

import itertools
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from sketch2video.files import read_json, replacing
from sketch2video.models.autoencoder import SketchAutoencoder, load_autoencoder
from sketch2video.models.flow_matching import (
    guided_velocity,
    interpolate,
    logit_normal_times,
    sampling_times,
    shifted,
)
from sketch2video.models.text import TextCondition, captions_of, encode_text, load_text_encoder
from sketch2video.models.video_transformer import VideoTransformer
from sketch2video.params import Params, VideoLDMParams
from sketch2video.training.checkpoints import folder_for
from sketch2video.training.condition import corrupt_curves, draw_ink
from sketch2video.training.data import ShardDataset, clips_of_split
from sketch2video.training.loop import Batch, RunLogger, Task, TrainResult, train
from sketch2video.training.pictures import ink_to_uint8, save_moving_sheet, save_sheet, to_uint8

HELD_OUT_CLIPS = 64
PREVIEW_CLIPS = 6
PREVIEW_STEPS = 20
PREVIEW_GUIDANCE = 2.0
HELD_OUT_TIMES = (0.1, 0.3, 0.5, 0.7, 0.9)
HELD_OUT_BATCH = 16


def train_video_ldm(
    params: Params,
    logger: RunLogger,
    output: Path,
    *,
    latents: Path = Path("data/latents"),
    curves: Path = Path("data/curves"),
    text_encoder: Path = Path("models/text_encoder"),
    autoencoder: Path = Path("models/autoencoder"),
    checkpoints: Path = Path("checkpoints"),
) -> TrainResult:
    """Train the diffusion transformer on the training split.

    Args:
        params: all parameters; the sections ``video_ldm`` and ``base`` are read.
        logger: told about the loss curve and pictures.
        output: folder that gets the model.
        latents, curves: folders of shards.
        text_encoder, autoencoder: folders of the frozen models; the autoencoder only draws the pictures.
        checkpoints: where checkpoints lie.

    Returns:
        Metrics: ``loss``, and of held-out clips, at fixed times and noise, the flow-matching loss with all conditions
        (``loss_test``), without the sketch and without the text: what a condition is worth to the network.

    Raises:
        UserError: an input is missing or damaged, or the training fails; see
            :func:`~sketch2video.training.loop.train`.
    """
    section = params.video_ldm
    torch.manual_seed(params.base.seed)
    decoder = load_autoencoder(autoencoder)
    statistics = read_json(latents / "latents.json")
    table = curves / "curves.parquet"
    train_table, test_table = clips_of_split(table, "train"), clips_of_split(table, "test")
    tokenizer, encoder = load_text_encoder(text_encoder)
    text_train = encode_text(tokenizer, encoder, train_table["caption"].tolist())
    text_test = encode_text(tokenizer, encoder, test_table["caption"].tolist())
    transformer = VideoTransformer(
        latent_channels=len(statistics["mean"]),
        factor=decoder.factor,
        patch=section.patch,
        width=section.width,
        layers=section.layers,
        heads=section.heads,
        text_width=text_train.hidden.shape[-1],
        sample_size=params.base.size,
        sample_frames=params.base.frames,
        time_shift=section.time_shift,
        time_mean=section.time_mean,
        latent_mean=statistics["mean"],
        latent_std=statistics["std"],
    )
    transformer.centre_text(text_train.hidden, text_train.mask)
    arrays = {"latents": latents, "coefficients": curves, "visibility": curves}
    held_out = ShardDataset(test_table, arrays, ["fps"])
    task = VideoLDMTask(transformer, section, decoder, text_train, text_test, held_out)
    settings = {"video_ldm": section.model_dump(), "base": params.base.model_dump(exclude={"workers"})}
    inputs = [latents, curves, text_encoder, autoencoder]
    result = train(
        task,
        ShardDataset(train_table, arrays, ["fps"]),
        section.training,
        name="video_ldm",
        checkpoint_folder=folder_for("video_ldm", settings, inputs, checkpoints),
        seed=params.base.seed,
        logger=logger,
    )
    with replacing(output) as partial:
        transformer.save_pretrained(partial)
    return result


class VideoLDMTask(Task):
    """Flow matching (Lipman et al. 2023) with logit-normal times and conditions that go missing at random.

    Errors near the drawing weigh more than those of the ground, which has most of the positions and little to do with
    the caption. The weights are functions of what the network is given, so the best velocity stays the same one: the
    mean over all clips that the conditions allow.

    So does what of an error is not the same in all frames. What stands still is guessed from all frames at once, and
    most of the error is what cannot be guessed, the same in every frame; it drowns the far smaller part by which frames
    differ, although that part is what the eye sees waver. A weighted mean of squares still has its least at the mean.

    Args:
        transformer: the network; its config holds the latents' statistics.
        section: parameters of the video LDM.
        autoencoder: frozen, for the pictures.
        text: captions of the training clips, in the order of the dataset's ``index``.
        held_out_text: captions of the held-out clips.
        held_out: the held-out clips.
    """

    module: VideoTransformer
    latent_mean: Tensor
    latent_std: Tensor

    def __init__(
        self,
        transformer: VideoTransformer,
        section: VideoLDMParams,
        autoencoder: SketchAutoencoder,
        text: TextCondition,
        held_out_text: TextCondition,
        held_out: ShardDataset,
    ) -> None:
        super().__init__(transformer)
        self.section = section
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
        """See :meth:`Task.loss`; the batch holds ``latents``, ``coefficients``, ``visibility``, ``fps``, ``index``."""
        section, device = self.section, generator.device
        samples = len(batch["latents"])

        def kept(dropout: float) -> Tensor:
            return torch.rand(samples, generator=generator, device=device) >= dropout

        data = (batch["latents"] - self.latent_mean) / self.latent_std
        curves = corrupt_curves(batch["coefficients"], batch["visibility"], section.sketch_corruption, generator)
        ink = self._draw(*curves, data)
        text = captions_of(self.text, batch["index"], device)
        time = logit_normal_times(samples, generator, section.time_shift)
        noise = torch.randn(data.shape, generator=generator, device=device)
        sketch_kept = kept(section.sketch_dropout)
        velocity = self.module(
            interpolate(data, noise, time),
            time,
            ink=ink,
            ink_mask=sketch_kept,
            text=text.hidden,
            text_mask=text.mask & kept(section.text_dropout)[:, None],
            fps=batch["fps"] * kept(section.fps_dropout),
        )
        residual = velocity.float() - (noise - data)
        error, waver = residual.square().mean(2), wavering(residual)  # (N, T, h, w)
        # Where the network does not see the drawing, the weights must not tell of it: they would bias what it learns.
        weight = 1 + section.ink_weight * near_ink(ink, error.shape[-2:]) * sketch_kept.view(-1, 1, 1, 1)
        loss = (weight * (error + section.wavering_weight * waver)).sum() / weight.sum()
        return loss, {"error": error.mean(), "wavering": waver.mean()}

    def metrics(self) -> dict[str, float]:
        """Flow-matching losses of held-out clips; see :func:`train_video_ldm`."""
        places = torch.linspace(0, len(self.held_out) - 1, min(HELD_OUT_CLIPS, len(self.held_out))).round().long()
        variants = {
            "loss_test": {},
            "loss_test_without_sketch": {"ink": None},
            "loss_test_without_text": {"text": None},
        }
        generator = torch.Generator().manual_seed(0)
        totals = dict.fromkeys(variants, 0.0)
        for part in places.split(HELD_OUT_BATCH):
            data, conditions = self._held_out_conditions(part.tolist())
            for level in HELD_OUT_TIMES:
                noise = torch.randn(data.shape, generator=generator).to(data.device)
                time = torch.full((len(data),), level, device=data.device)
                latents = interpolate(data, noise, time)
                for name, changes in variants.items():
                    velocity = self.module(latents, time, **{**conditions, **changes})
                    error = (velocity.float() - (noise - data)).square().mean((1, 2, 3, 4))
                    totals[name] += float(error.sum()) / len(places) / len(HELD_OUT_TIMES)
        return totals

    def preview(self, folder: Path, step: int) -> list[Path]:
        """Held-out clips: real, the drawing that is given, and what is generated; as a contact sheet and as a GIF."""
        places = torch.linspace(0, len(self.held_out) - 1, min(PREVIEW_CLIPS, len(self.held_out))).round().long()
        data, conditions = self._held_out_conditions(places.tolist())
        latents = torch.randn(data.shape, generator=torch.Generator().manual_seed(0)).to(data.device)
        times = shifted(torch.tensor([*sampling_times(PREVIEW_STEPS), 0.0]), self.section.time_shift).tolist()
        for time, following in itertools.pairwise(times):
            velocity = guided_velocity(
                self.module,
                latents,
                torch.full((len(latents),), time, device=latents.device),
                **conditions,
                guidance_scale=PREVIEW_GUIDANCE,
                sketch_guidance_scale=1.0,
            )
            latents = latents - (time - following) * velocity
        real, generated = (to_uint8(self._decoded(x, conditions["ink"])) for x in (data, latents))
        ink = ink_to_uint8(conditions["ink"])
        sheet, moving = folder / f"video_ldm-{step:06d}.png", folder / f"video_ldm-{step:06d}.gif"
        save_sheet(sheet, [row for rows in zip(real, ink, generated, strict=True) for row in rows])
        save_moving_sheet(moving, [list(real), list(ink), list(generated)], fps=8.0)
        return [sheet, moving]

    def _held_out_conditions(self, places: list[int]) -> tuple[Tensor, dict[str, Tensor]]:
        """Normalised latents and all conditions of held-out clips, on the network's device."""
        device = self.module.device
        batch = {name: tensor.to(device) for name, tensor in self.held_out.batch(places).items()}
        data = (batch["latents"] - self.latent_mean) / self.latent_std
        text = captions_of(self.held_out_text, batch["index"], device)
        ink = self._draw(batch["coefficients"], batch["visibility"], data)
        return data, {"ink": ink, "text": text.hidden, "text_mask": text.mask, "fps": batch["fps"]}

    def _draw(self, coefficients: Tensor, visibility: Tensor, data: Tensor) -> Tensor:
        factor = int(self.module.config.factor)
        return draw_ink(coefficients, visibility, data.shape[-2] * factor, data.shape[-1] * factor)

    def _decoded(self, data: Tensor, ink: Tensor) -> Tensor:
        """Frames (N, T, 3, H, W) of normalised latents."""
        latents = data * self.latent_std + self.latent_mean
        clips = zip(latents, ink, strict=True)  # one clip at a time bounds the memory
        return torch.stack([self.autoencoder.decode(*clip) for clip in clips])


def wavering(residual: Tensor) -> Tensor:
    """Mean square over channels of what of an error (N, T, C, h, w) is not in all frames alike: (N, T, h, w)."""
    return (residual - residual.mean(1, keepdim=True)).square().mean(2)


def near_ink(ink: Tensor, size: tuple[int, int] | torch.Size) -> Tensor:
    """How dark the drawing is at each latent position or at one of its neighbours: (N, T, h, w) in [0, 1].

    Args:
        ink: (N, T, 1, H, W) in [0, 1].
        size: h and w.
    """
    darkest = functional.adaptive_max_pool2d(ink.flatten(0, 1), tuple(size))
    return functional.max_pool2d(darkest, 3, stride=1, padding=1).view(*ink.shape[:2], *size)
