"""A text-to-video LDM of this project as a base: it was trained without drawings, and learns to follow them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from diffusers import SchedulerMixin
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from sketch2video.autoencoder.frame_batches import decode_generated, decode_videos, encode_videos
from sketch2video.autoencoder.network import FrameAutoencoder
from sketch2video.bases.base import LEVELS, Base, Predict, refuse
from sketch2video.bases.widened_input import concatenating
from sketch2video.diffusion.objectives import Coloured, LearningObjective, find_objective
from sketch2video.diffusion.patches import Patches
from sketch2video.diffusion.samplers import sample
from sketch2video.diffusion.video_transformer import VideoTransformer, by_latent, latent_scale, spectrum_of
from sketch2video.networks.loading import load_frozen
from sketch2video.networks.temporal_spectrum import TemporalSpectrum
from sketch2video.text.encoder import TextCondition, encode_text, load_text_encoder


class Own(Base):
    """A flow or diffusion process on latents of single frames, with noise that has a spectrum along time."""

    name = "own"
    title = "a text LDM of this project"
    pipelines = ("TextToVideoPipeline",)
    classes = {  # noqa: RUF012 (a class attribute of all bases)
        "transformer": VideoTransformer,
        "vae": FrameAutoencoder,
    }
    parts = ("transformer", "autoencoder", "text_encoder", "tokenizer", "scheduler")
    frame_step = 1
    frames_first = True
    input_layer = "patch_in"
    lora_layers = r"blocks\.\d+\.((text_)?attention\.(query|key_value|out)|feed_forward\.(0|2)|modulation\.1|time_mean)"

    def check(self) -> None:
        """See :class:`Base`."""
        if self.config.get("control_channels"):
            raise refuse(self.source, "follows a control already")
        self.factor, self.patch = int(self.config["factor"]), int(self.config["patch"])

    @property
    def latent_channels(self) -> int:
        """See :class:`Base`."""
        return int(self.config["latent_channels"])

    @property
    def input_channels(self) -> int:
        """See :class:`Base`; the layer embeds patches, position by position, of all frames that share a latent."""
        return self.control_channels * self._patches.positions * self._frames_per_latent

    @property
    def _frames_per_latent(self) -> int:
        return int(self.config.get("frames_per_latent", 1))

    @property
    def _patches(self) -> Patches:
        return Patches(self.patch, bool(self.config.get("lapped", False)))

    @property
    def _spectrum(self) -> TemporalSpectrum:
        return spectrum_of(self.config)

    def load_network(self) -> nn.Module:
        """See :class:`Base`."""
        return load_frozen(VideoTransformer, Path(self.source) / "transformer", "train_video_ldm")

    def load_vae(self) -> nn.Module:
        """See :class:`Base`."""
        return load_frozen(FrameAutoencoder, Path(self.source) / "autoencoder", "train_autoencoder")

    def load_text(self) -> tuple[PreTrainedTokenizerBase, PreTrainedModel]:
        """See :class:`Base`."""
        return load_text_encoder(Path(self.source) / "text_encoder", Path(self.source) / "tokenizer")

    def encode(self, vae: Any, videos: Tensor) -> Tensor:
        """See :class:`Base`."""
        latents = encode_videos(vae, videos).float()
        mean, std = latent_scale(self.config, latents)
        return (latents - mean) / std

    def decode(self, vae: Any, latents: Tensor) -> Tensor:
        """See :class:`Base`."""
        return decode_videos(vae, self._unnormalised(latents))

    def decode_finished(self, vae: Any, latents: Tensor, generator: Any) -> Tensor:
        """See :class:`Base`."""
        return decode_generated(vae, self._unnormalised(latents), None, generator)

    def _unnormalised(self, latents: Tensor) -> Tensor:
        mean, std = latent_scale(self.config, latents)
        return latents * std + mean

    def encode_text(
        self,
        tokenizer: PreTrainedTokenizerBase,
        encoder: PreTrainedModel,
        captions: Sequence[str],
        device: torch.device,
    ) -> TextCondition:
        """See :class:`Base`."""
        return encode_text(tokenizer, encoder, captions, device)

    def no_text(
        self, tokenizer: PreTrainedTokenizerBase, encoder: PreTrainedModel, device: torch.device
    ) -> TextCondition:
        """See :class:`Base`; no token at all."""
        hidden = torch.zeros(1, 1, self.config["text_width"], device=device)
        return TextCondition(hidden, torch.zeros(1, 1, dtype=torch.bool, device=device))

    def objective(self, time_shift: float | None) -> LearningObjective:
        """See :class:`Base`."""
        shift = self.config["time_shift"] if time_shift is None else time_shift
        return Coloured(find_objective(self.config["objective"], shift), self._spectrum)

    def predict(
        self,
        network: Any,
        latents: Tensor,
        timestep: Tensor,
        text: TextCondition,
        control: Tensor | None,
        fps: Tensor,
    ) -> Tensor:
        """See :class:`Base`; the network accepts latents of its own channels alone, so its input layer is extended."""
        seen: AbstractContextManager[Any] = nullcontext()
        if control is not None:
            seen = concatenating(network.patch_in, self._patches.cut(by_latent(control, self._frames_per_latent)))
        with seen:
            return network(latents, timestep / LEVELS, text=text.hidden, text_mask=text.mask, fps=fps)

    def sample(
        self,
        scheduler: SchedulerMixin,
        predict: Predict,
        noise: Tensor,
        steps: int,
        generator: Any,
        progress: Callable[[Tensor], Iterable[Tensor]] = iter,
        on_step_end: Callable[..., dict[str, Tensor]] | None = None,
    ) -> Tensor:
        """See :class:`Base`."""
        return sample(
            scheduler,
            lambda latents, time: predict(latents, time * LEVELS),
            noise,
            steps,
            generator,
            progress,
            on_step_end=on_step_end,
            time_filter=self._spectrum.filter(noise.shape[1]),
        )
