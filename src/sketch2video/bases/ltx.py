"""LTX-Video (HaCohen et al. 2024, "LTX-Video: Realtime Video Latent Diffusion"), text to video."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKLLTXVideo, LTXPipeline, LTXVideoTransformer3DModel, SchedulerMixin
from diffusers.pipelines.ltx.pipeline_ltx import calculate_shift
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase, T5EncoderModel

from sketch2video.bases.base import Base, beside, padded_tokens, refuse
from sketch2video.diffusion.objectives import FlowMatching, LearningObjective
from sketch2video.text.encoder import TextCondition

TOKENS = 128
"""Length of a caption in tokens; longer ones are cut off."""


class LTX(Base):
    """A flow between noise and the latents of an autoencoder, 8 frames and 32 x 32 px each; it knows the frame rate."""

    name = "ltx"
    title = "LTX-Video"
    pipelines = ("LTXPipeline", "LTXConditionPipeline", "LTXImageToVideoPipeline")
    classes = {  # noqa: RUF012 (a class attribute of all bases)
        "transformer": LTXVideoTransformer3DModel,
        "vae": AutoencoderKLLTXVideo,
        "text_encoder": T5EncoderModel,
    }
    frame_step = 8
    factor = 32
    patch = 1
    input_layer = "proj_in"
    lora_layers = r"transformer_blocks\.\d+\.(attn[12]\.(to_[qkv]|to_out\.0)|ff\.net\.(0\.proj|2))"

    def check(self) -> None:
        """See :class:`Base`; a latent position is a token."""
        if self.config["patch_size"] != 1 or self.config["patch_size_t"] != 1:
            raise refuse(self.source, "has patches of several latent positions")

    def encode(self, vae: Any, videos: Tensor) -> Tensor:
        """See :class:`Base`."""
        latents = vae.encode(videos.transpose(1, 2)).latent_dist.mode().float()
        scale = vae.config.scaling_factor
        return LTXPipeline._normalize_latents(latents, vae.latents_mean, vae.latents_std, scale).transpose(1, 2)

    def decode(self, vae: Any, latents: Tensor) -> Tensor:
        """See :class:`Base`; decoders that also remove noise get a timestep of 0."""
        scale = vae.config.scaling_factor
        latents = LTXPipeline._denormalize_latents(latents.transpose(1, 2), vae.latents_mean, vae.latents_std, scale)
        timestep = latents.new_zeros(len(latents)) if vae.config.timestep_conditioning else None
        return vae.decode(latents.to(vae.dtype), timestep).sample.float().transpose(1, 2)

    @torch.no_grad()
    def encode_text(
        self,
        tokenizer: PreTrainedTokenizerBase,
        encoder: PreTrainedModel,
        captions: Sequence[str],
        device: torch.device,
    ) -> TextCondition:
        """See :class:`Base`; the encoder attends to the padding, the network does not."""
        ids, attention = padded_tokens(tokenizer, captions, TOKENS, device)
        mask = attention.bool()
        return TextCondition(encoder(ids).last_hidden_state.float() * mask[..., None], mask)

    def objective(self, time_shift: float | None) -> LearningObjective:
        """See :class:`Base`; where the sampler's shift depends on the size of a video, it is that of the smallest."""
        config = self.load_scheduler().config
        own = math.exp(config["base_shift"]) if config["use_dynamic_shifting"] else config["shift"]
        return FlowMatching(own if time_shift is None else time_shift)

    def predict(
        self,
        network: Any,
        latents: Tensor,
        timestep: Tensor,
        text: TextCondition,
        control: Tensor | None,
        fps: Tensor,
    ) -> Tensor:
        """See :class:`Base`; positions in time are seconds."""
        dtype = network.dtype
        seen = beside(latents, control)
        _, frames, _, height, width = latents.shape
        seconds = (self.frame_step / fps).view(-1, 1, 1, 1, 1)
        out = network(
            hidden_states=_tokens(seen).to(dtype),
            encoder_hidden_states=text.hidden.to(dtype),
            timestep=timestep,
            encoder_attention_mask=text.mask,
            num_frames=frames,
            height=height,
            width=width,
            rope_interpolation_scale=(seconds, self.factor, self.factor),
            return_dict=False,
        )[0]
        return out.transpose(1, 2).unflatten(2, (frames, height, width)).transpose(1, 2)

    def begin(self, scheduler: SchedulerMixin, steps: int, noise: Tensor) -> Tensor:
        """See :class:`Base`; noise levels are shifted by the number of tokens."""
        _, frames, _, height, width = noise.shape
        config = scheduler.config
        limits = [("base_image_seq_len", 256), ("max_image_seq_len", 4096), ("base_shift", 0.5), ("max_shift", 1.15)]
        mu = calculate_shift(frames * height * width, *(config.get(name, default) for name, default in limits))
        scheduler.set_timesteps(sigmas=np.linspace(1.0, 1 / steps, steps), device=noise.device, mu=mu)
        return scheduler.timesteps


def _tokens(latents: Tensor) -> Tensor:
    """(N, t, C, h, w) -> (N, t * h * w, C)."""
    return latents.movedim(2, -1).flatten(1, 3)
