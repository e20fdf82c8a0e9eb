"""Base class of the latent diffusion pipelines: noise, caption and control pictures -> video."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from diffusers import SchedulerMixin
from diffusers.utils.torch_utils import randn_tensor
from diffusers.video_processor import VideoProcessor
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from sketch2video.autoencoder.frame_batches import decode_generated, decode_videos, encode_videos
from sketch2video.autoencoder.network import FrameAutoencoder, load_autoencoder
from sketch2video.curve_vae.sampling import Generators
from sketch2video.diffusion.samplers import check_scheduler, default_scheduler, make_scheduler, sample
from sketch2video.diffusion.video_transformer import VideoTransformer, frame_mask, latent_scale
from sketch2video.files import replacing
from sketch2video.networks.flow_matching import guided_prediction
from sketch2video.networks.loading import load_frozen
from sketch2video.networks.precision import precision
from sketch2video.networks.temporal_spectrum import TemporalSpectrum
from sketch2video.params import SAMPLERS, CallParams, DiffusionSampling, Guidance
from sketch2video.pipelines.callbacks import StepEnd
from sketch2video.pipelines.request import VideoRequest
from sketch2video.pipelines.video_pipeline import VideoPipeline
from sketch2video.text.encoder import TextCondition, load_text_encoder


class LatentVideoPipeline(VideoPipeline):
    """A video LDM and its autoencoder: denoising and decoding, with control pictures or without.

    Args:
        tokenizer, text_encoder: encode captions.
        autoencoder: latents -> frames, conditioned on the control pictures.
        transformer: the video LDM's network.
        scheduler: a scheduler of diffusers that matches the network's prediction type; see :meth:`set_sampler`.
        sampling: settings of the sampling where a call gives none; None: ``params.sampling.DEFAULTS``.
    """

    autoencoder: FrameAutoencoder
    transformer: VideoTransformer
    scheduler: SchedulerMixin

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        text_encoder: PreTrainedModel,
        autoencoder: FrameAutoencoder,
        transformer: VideoTransformer,
        scheduler: SchedulerMixin,
        sampling: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.register_modules(
            tokenizer=tokenizer,
            text_encoder=text_encoder,
            autoencoder=autoencoder,
            transformer=transformer,
            scheduler=scheduler,
        )
        self.register_sampling(sampling)
        self.video_processor = VideoProcessor(vae_scale_factor=autoencoder.factor)

    @property
    def latent_numbers(self) -> int:
        """Number of latent values for each frame."""
        return math.ceil(math.prod(self.latent_shape) / self.transformer.config.frames_per_latent)

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """C, h and w of a frame's latent."""
        config = self.transformer.config
        side = config.sample_size // self.autoencoder.factor
        return config.latent_channels, side, side

    @classmethod
    def samplers_of(cls, network: Mapping[str, Any]) -> tuple[str, ...]:
        """Samplers that match the training objective of the network, the default one first."""
        return SAMPLERS[network["objective"]]

    def set_sampler(self, name: str) -> None:
        """Choose the sampler by its name, one of :attr:`samplers`.

        Raises:
            UserError: the objective does not allow this sampler.
        """
        config = self.transformer.config
        self.scheduler = make_scheduler(name, config.objective, config.time_shift)

    def call_arguments(self, settings: CallParams) -> dict[str, Any]:
        """See :meth:`VideoPipeline.call_arguments`; also sets the sampler.

        Raises:
            UserError: the objective does not allow this sampler.
        """
        self.set_sampler(settings.sampler)
        return super().call_arguments(settings)

    def check_request(self, request: VideoRequest) -> None:
        """See :class:`VideoPipeline`.

        Raises:
            ValueError: latents have another shape, or the scheduler does not match the network's prediction type.
        """
        config = self.transformer.config
        check_scheduler(self.scheduler, config.objective, config.time_shift)
        expected = (request.num_videos, request.num_frames, *self.latent_shape)
        if request.latents is not None and request.latents.shape != expected:
            raise ValueError(f"latents are {tuple(request.latents.shape)}, expected noise {expected}")

    def denoise(
        self,
        text: TextCondition | None,
        control: Tensor | None,
        frames: int,
        fps: Tensor,
        sampling: DiffusionSampling,
        generator: Generators,
        known: Tensor | None = None,
        known_mask: Tensor | None = None,
        latents: Tensor | None = None,
        on_step_end: StepEnd | None = None,
        still: Tensor | None = None,
    ) -> Tensor:
        """From noise to latents in the autoencoder's units: (N, T, C, h, w).

        Args:
            text: N captions; None: unconditional.
            control: (N, T, control_channels, S, S) in [0, 1] or None.
            frames: T.
            fps: (N,).
            sampling: number of steps, and guidance.
            generator: random generator of the initial noise and of the noise that the scheduler adds.
            known: (N, T, C, h, w), latents that are kept where ``known_mask`` (N, T) is True; None: no frame is known.
            latents: (N, T, C, h, w), the initial noise; None: it is sampled.
            on_step_end: see :func:`~sketch2video.diffusion.samplers.sample`.
            still: (N, 1, h, w) bool, still positions of the videos of which these are windows; None: those of
                ``control``. See :meth:`VideoTransformer.still_positions`.

        Raises:
            ValueError: the scheduler does not match the network's prediction type.
        """
        config = self.transformer.config
        check_scheduler(self.scheduler, config.objective, config.time_shift)
        noise = self.noise((len(fps), frames, *self.latent_shape), generator, latents)
        still = self.transformer.still_positions(control) if still is None else still
        conditions = {} if known is None else {"known": self.normalised(known), "known_mask": known_mask}

        def predict(latents: Tensor, time: Tensor) -> Tensor:
            return self.predict(latents, time, text, control, fps, sampling, still, **conditions)

        made = sample(
            self.scheduler,
            predict,
            noise,
            sampling.num_inference_steps,
            generator,
            self.until_interrupted,
            on_step_end=on_step_end,
            time_filter=self.spectrum_for(control, sampling).filter(frames, still=still),
        )
        latents = self.unnormalised(made)
        if known is None or known_mask is None:
            return latents
        return torch.where(frame_mask(known_mask), known, latents)

    def spectrum_for(self, control: Tensor | None, guidance: Guidance) -> TemporalSpectrum:
        """The spectrum of the noise; sampling starts from all of it where the network sees no control pictures."""
        spectrum: TemporalSpectrum = self.transformer.spectrum
        seen = control is not None and guidance.control_guidance_scale > 0
        return spectrum if seen else replace(spectrum, noise_scales=(1.0, 1.0))

    def noise(self, shape: tuple[int, ...], generator: Generators, given: Tensor | None = None) -> Tensor:
        """Standard normal noise, float32 on the execution device; ``given`` if it is not None."""
        device = self._execution_device
        if given is not None:
            return given.to(device, torch.float32)
        return randn_tensor(shape, generator=generator, device=device)

    def predict(
        self,
        latents: Tensor,
        time: Tensor,
        text: TextCondition | None,
        control: Tensor | None,
        fps: Tensor,
        guidance: Guidance,
        still: Tensor | None = None,
        **known: Tensor | None,
    ) -> Tensor:
        """The network's prediction for noisy clips, with guidance: (N, T, C, h, w); see :meth:`denoise`.

        Args:
            latents: (N, T, C, h, w), normalised.
            time: in [0, 1], a scalar.
            text, control, fps, guidance: see :meth:`denoise`.
            still: (N, 1, h, w) bool, still positions; see :meth:`VideoTransformer.forward`.
            known: ``known``, normalised, and ``known_mask``, where frames are known.
        """
        with torch.autocast(latents.device.type, torch.bfloat16, enabled=precision() == "bf16"):
            return guided_prediction(
                partial(cast(Callable[..., Tensor], self.transformer), **known),
                latents,
                time.expand(len(latents)),
                control=control,
                text=text.hidden if text else None,
                text_mask=text.mask if text else None,
                fps=fps,
                guidance=guidance,
                still=still,
            )

    def normalised(self, latents: Tensor) -> Tensor:
        """The autoencoder's latents (..., C, h, w), standardised channel by channel."""
        mean, std = latent_scale(self.transformer.config, latents)
        return (latents - mean) / std

    def unnormalised(self, latents: Tensor) -> Tensor:
        """The inverse of :meth:`normalised`."""
        mean, std = latent_scale(self.transformer.config, latents)
        return latents * std + mean

    def encode_pictures(self, pictures: Tensor) -> Tensor:
        """The autoencoder's latents (N, T, C, h, w) of pictures (N, T, 3, S, S) in [-1, 1], computed in batches."""
        return encode_videos(self.autoencoder, pictures)

    def decode_videos(self, made: Tensor, control: Tensor | None) -> Tensor:
        """Frames (N, T, 3, S, S), about [-1, 1], of latents (N, T, C, h, w) in the autoencoder's units.

        Args:
            made: the latents.
            control: control pictures for the decoder, (N, T, C, S, S); None: none.
        """
        return decode_videos(self.autoencoder, made, control)

    def decode_finished(self, made: Tensor, control: Tensor | None, generator: Generators) -> Tensor:
        """See :class:`VideoPipeline` and :func:`~sketch2video.autoencoder.frame_batches.decode_generated`."""
        return decode_generated(self.autoencoder, made, control, generator)


def save_pipeline(
    kind: Callable[..., LatentVideoPipeline],
    output: Path,
    *,
    text_encoder: Path,
    autoencoder: Path,
    video_ldm: Path,
    sampler: str | None = None,
    **more: Any,
) -> None:
    """Write the pipeline folder of a system from its trained parts, atomically.

    Args:
        kind: the system's pipeline class.
        output: the folder.
        text_encoder, autoencoder, video_ldm: folders of the parts that all systems have.
        sampler: name of the sampler; None: the default of the network's objective.
        more: further arguments of the pipeline, by name.

    Raises:
        UserError: a part is missing or damaged, or the objective does not allow this sampler.
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
    if sampler is not None:
        pipeline.set_sampler(sampler)
    with replacing(output) as partial:
        pipeline.save_pretrained(partial, safe_serialization=True)
