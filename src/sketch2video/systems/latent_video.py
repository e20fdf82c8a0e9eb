"""What the latent diffusion systems share: from noise, a caption and control pictures to a video."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import SchedulerMixin
from diffusers.pipelines.pipeline_utils import DiffusionPipeline
from diffusers.utils.torch_utils import randn_tensor
from diffusers.video_processor import VideoProcessor
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from sketch2video.files import replacing
from sketch2video.models.autoencoder import FrameAutoencoder, load_autoencoder
from sketch2video.models.flow_matching import guided_prediction
from sketch2video.models.loading import load_frozen
from sketch2video.models.precision import precision
from sketch2video.models.text import TextCondition, load_text_encoder
from sketch2video.models.video_transformer import VideoTransformer, frame_mask
from sketch2video.params import CONTROL_CHANNELS, SAMPLERS, Control
from sketch2video.systems.samplers import (
    begin,
    check_scheduler,
    default_scheduler,
    initial_noise,
    make_scheduler,
    network_input,
    step,
)
from sketch2video.systems.timing import Timings

FRAMES_AT_ONCE = 64
"""Frames that are decoded together; bounds the memory of long videos."""

OUTPUT_TYPES = ("np", "pt", "pil", "latent")

Generators = torch.Generator | list[torch.Generator] | None


class LatentVideoPipeline(DiffusionPipeline):
    """A video LDM and its autoencoder: denoising and decoding, with control pictures or without.

    Subclasses say where the pictures come from, and register the modules.

    Attributes:
        timings: what the stages of the last call cost: captions, curves where the system draws, denoising, decoding.
    """

    tokenizer: PreTrainedTokenizerBase
    text_encoder: PreTrainedModel
    autoencoder: FrameAutoencoder
    transformer: VideoTransformer
    scheduler: SchedulerMixin
    video_processor: VideoProcessor
    timings: Timings

    @property
    def latent_numbers(self) -> int:
        """Numbers that a frame is in the latent."""
        return math.prod(self.latent_shape)

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """C, h and w of a frame's latent."""
        config = self.transformer.config
        side = config.sample_size // self.autoencoder.factor
        return config.latent_channels, side, side

    @property
    def control(self) -> Control:
        """Which pictures the networks see."""
        kinds = {channels: control for control, channels in CONTROL_CHANNELS.items()}
        return kinds[self.transformer.config.control_channels]

    @property
    def samplers(self) -> tuple[str, ...]:
        """The samplers that the objective of the network's training allows, the default one first."""
        return SAMPLERS[self.transformer.config.objective]

    def set_sampler(self, name: str) -> None:
        """Choose the sampler by its name, one of :attr:`samplers`.

        Raises:
            UserError: the objective does not allow this sampler.
        """
        config = self.transformer.config
        self.scheduler = make_scheduler(name, config.objective, config.time_shift)

    def denoise(
        self,
        text: TextCondition | None,
        control: Tensor | None,
        frames: int,
        fps: Tensor,
        guidance_scale: float,
        control_guidance_scale: float,
        num_inference_steps: int,
        generator: Generators,
        known: Tensor | None = None,
        known_mask: Tensor | None = None,
    ) -> Tensor:
        """From noise to latents in the autoencoder's units: (N, T, C, h, w).

        Args:
            text: N captions; None: no video has one.
            control: (N, T, control_channels, S, S) in [0, 1] or None.
            frames: T.
            fps: (N,).
            guidance_scale, control_guidance_scale: see :func:`~sketch2video.models.flow_matching.guided_prediction`.
            num_inference_steps: steps of the scheduler.
            generator: of the noise, and of what the scheduler adds.
            known: (N, T, C, h, w), latents that stay as they are where ``known_mask`` (N, T) is True; None: no frame is
                known.

        Raises:
            ValueError: the scheduler samples something else than the network predicts.
        """
        config, scheduler, device = self.transformer.config, self.scheduler, self._execution_device
        check_scheduler(scheduler, config.objective, config.time_shift)
        latents = randn_tensor((len(fps), frames, *self.latent_shape), generator=generator, device=device)
        mean, std = (latents.new_tensor(values).view(-1, 1, 1) for values in (config.latent_mean, config.latent_std))
        network: Callable[..., Tensor] = self.transformer
        if known is not None:
            network = partial(network, known=(known - mean) / std, known_mask=known_mask)
        timesteps = begin(scheduler, num_inference_steps, device)
        latents = initial_noise(scheduler, latents)
        for timestep in self.progress_bar(timesteps):
            with torch.autocast(device.type, torch.bfloat16, enabled=precision() == "bf16"):
                prediction = guided_prediction(
                    network,
                    network_input(scheduler, latents, timestep),
                    (timestep / scheduler.config.num_train_timesteps).expand(len(fps)),
                    control=control,
                    text=text.hidden if text else None,
                    text_mask=text.mask if text else None,
                    fps=fps,
                    guidance_scale=guidance_scale,
                    control_guidance_scale=control_guidance_scale,
                )
            latents = step(scheduler, prediction, timestep, latents, generator)
        latents = latents * std + mean
        if known is None or known_mask is None:
            return latents
        return torch.where(frame_mask(known_mask), known, latents)

    def decode(self, latents: Tensor, control: Tensor | None, output_type: str) -> np.ndarray | Tensor | list:
        """Videos of latents (N, T, C, h, w) and control pictures (N, T, ., H, W), a few frames at a time.

        Args:
            latents: in the autoencoder's units.
            control: what the decoder sees; None: nothing.
            output_type: one of ``OUTPUT_TYPES``; see :class:`~sketch2video.systems.output.VideoOutput`.
        """
        if output_type == "latent":
            return latents
        parts = latents.flatten(0, 1).split(FRAMES_AT_ONCE)
        pictures = [None] * len(parts) if control is None else control.flatten(0, 1).split(FRAMES_AT_ONCE)
        frames = torch.cat([self.autoencoder.decode(*part) for part in zip(parts, pictures, strict=True)]).float()
        return self.video_processor.postprocess_video(
            frames.unflatten(0, latents.shape[:2]).transpose(1, 2), output_type
        )


def check_captions(captions: Sequence[str] | None) -> None:
    """Raise a ValueError if a caption has no words."""
    for caption in captions or []:
        if not isinstance(caption, str) or not caption.strip():
            raise ValueError(f"a caption is {caption!r}; give words, or captions=None for a video of anything")


def check_settings(frames: int, num_inference_steps: int, fps: float | Sequence[float], output_type: str) -> None:
    """Raise a ValueError if one of the settings of a call is impossible."""
    for name, value in {"num_frames": frames, "num_inference_steps": num_inference_steps}.items():
        if value < 1:
            raise ValueError(f"{name} is {value}; it must be at least 1")
    if not np.all(np.asarray(fps) > 0):
        raise ValueError(f"fps is {fps}; it must be above 0")
    if output_type not in OUTPUT_TYPES:
        raise ValueError(f"output_type is {output_type!r}; choose np, pt, pil or latent")


def number_of_videos(arguments: Mapping[str, Any], num_videos: int | None) -> int:
    """N, which all arguments that hold something for every video must agree upon; 1 if none of them says it.

    Raises:
        ValueError: they disagree, or are empty.
    """
    counts = {name: len(value) for name, value in arguments.items() if isinstance(value, Sequence | np.ndarray)}
    if num_videos is not None:
        counts["num_videos"] = num_videos
    count = next(iter(counts.values()), 1)
    if count < 1 or any(number != count for number in counts.values()):
        raise ValueError(f"numbers of videos disagree or are zero: {', '.join(f'{n} {c}' for n, c in counts.items())}")
    return count


def fit_to_size(pictures: Tensor, size: int) -> Tensor:
    """Pictures (N, T, C, H, H) in [0, 1] at the model's size. Thin lines stay as dark as they are when they shrink."""
    count = pictures.shape[:2]
    frames = pictures.flatten(0, 1)
    if pictures.shape[-1] > size and pictures.shape[2] == 1:
        frames = functional.adaptive_max_pool2d(frames, size)
    elif pictures.shape[-1] != size:
        frames = functional.interpolate(frames, size, mode="bilinear", antialias=True)
    return frames.unflatten(0, count)


def save_pipeline(
    kind: Callable[..., LatentVideoPipeline],
    output: Path,
    *,
    text_encoder: Path,
    autoencoder: Path,
    video_ldm: Path,
    **more: Any,
) -> None:
    """Write the pipeline folder of a system that is made of trained parts, atomically.

    Args:
        kind: the system's pipeline.
        output: the folder.
        text_encoder, autoencoder, video_ldm: folders of what all systems have.
        more: components that the system has besides, by name.

    Raises:
        UserError: a part is missing or damaged.
    """
    tokenizer, encoder = load_text_encoder(text_encoder)
    transformer = load_frozen(VideoTransformer, video_ldm, "train_video_ldm")
    pipeline = kind(
        tokenizer=tokenizer,
        text_encoder=encoder,
        autoencoder=load_autoencoder(autoencoder),
        transformer=transformer,
        scheduler=default_scheduler(transformer.config.objective, transformer.config.time_shift),
        **more,
    )
    with replacing(output) as partial:
        pipeline.save_pretrained(partial, safe_serialization=True)
