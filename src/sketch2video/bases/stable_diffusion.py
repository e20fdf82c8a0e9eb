"""Stable Diffusion 1.x and 2.x (Rombach et al. 2022, "High-Resolution Image Synthesis with Latent Diffusion Models").

An image model generates videos without new layers: the frames of a clip are a batch of pictures, and each of them also
attends to the first one (Khachatryan et al. 2023, :mod:`~sketch2video.bases.cross_frame_attention`). LoRA and the
wider input layer then learn from clips.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor
from transformers import CLIPTextModel, PreTrainedModel, PreTrainedTokenizerBase

from sketch2video.bases.base import FIX, beside, network_dtype, padded_tokens, refuse
from sketch2video.bases.cross_frame_attention import FrameAttention, attend_across_frames
from sketch2video.bases.diffusion_base import DiffusionBase
from sketch2video.networks.loading import load_clip_tokenizer
from sketch2video.text.encoder import TextCondition

FRAMES_AT_ONCE = 8
"""Number of frames in one batch of the autoencoder."""


class StableDiffusion(DiffusionBase):
    """A diffusion process on latents of single frames, 8 x 8 px each.

    Attributes:
        frame_attention: frames to which each frame attends.
    """

    name = "stable_diffusion"
    title = "Stable Diffusion"
    pipelines = ("StableDiffusionPipeline",)
    classes = {  # noqa: RUF012 (a class attribute of all bases)
        "unet": UNet2DConditionModel,
        "vae": AutoencoderKL,
        "text_encoder": CLIPTextModel,
    }
    network_folder = "unet"
    parts = ("unet", "vae", "text_encoder", "tokenizer", "scheduler")
    frame_step = 1
    frames_first = True
    patch = 1
    input_layer = "conv_in"
    lora_layers = r".*\.transformer_blocks\.\d+\.(attn[12]\.(to_[qkv]|to_out\.0)|ff\.net\.(0\.proj|2))"
    frame_attention: FrameAttention = "first_and_own"

    def check(self) -> None:
        """See :class:`Base`; inpainting models see other channels."""
        if self.config["in_channels"] != self.config["out_channels"]:
            raise refuse(self.source, "is an inpainting or control model")

    def load_text(self) -> tuple[PreTrainedTokenizerBase, PreTrainedModel]:
        """See :class:`Base`."""
        tokenizer = load_clip_tokenizer(self.source, FIX, part="tokenizer")
        return tokenizer, self._load("text_encoder", network_dtype())

    def encode(self, vae: Any, videos: Tensor) -> Tensor:
        """See :class:`Base`."""
        frames = videos.flatten(0, 1).split(FRAMES_AT_ONCE)
        latents = torch.cat([vae.encode(part).latent_dist.mode().float() for part in frames])
        return (latents * vae.config.scaling_factor).unflatten(0, videos.shape[:2])

    def decode(self, vae: Any, latents: Tensor) -> Tensor:
        """See :class:`Base`."""
        scaled = (latents / vae.config.scaling_factor).flatten(0, 1).to(vae.dtype).split(FRAMES_AT_ONCE)
        return torch.cat([vae.decode(part).sample.float() for part in scaled]).unflatten(0, latents.shape[:2])

    @torch.no_grad()
    def encode_text(
        self,
        tokenizer: PreTrainedTokenizerBase,
        encoder: PreTrainedModel,
        captions: Sequence[str],
        device: torch.device,
    ) -> TextCondition:
        """See :class:`Base`; encoder and network attend to the padding."""
        length = min(tokenizer.model_max_length, encoder.config.max_position_embeddings)
        ids, _ = padded_tokens(tokenizer, captions, length, device)
        return TextCondition(encoder(ids).last_hidden_state.float(), torch.ones_like(ids, dtype=torch.bool))

    def predict(
        self,
        network: Any,
        latents: Tensor,
        timestep: Tensor,
        text: TextCondition,
        control: Tensor | None,
        fps: Tensor,
    ) -> Tensor:
        """See :class:`Base`; the frame rate is no condition."""
        dtype = network.dtype
        frames = latents.shape[1]
        attend_across_frames(network, self.frame_attention, frames)
        return network(
            beside(latents, control).flatten(0, 1).to(dtype),
            timestep.repeat_interleave(frames),
            text.hidden.repeat_interleave(frames, 0).to(dtype),
            return_dict=False,
        )[0].unflatten(0, latents.shape[:2])
