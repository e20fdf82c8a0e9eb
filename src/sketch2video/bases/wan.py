"""Wan 2.1 (Wan Team 2025, "Wan: Open and Advanced Large-Scale Video Generative Models"), text to video."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from diffusers import AutoencoderKLWan, WanTransformer3DModel
from diffusers.pipelines.wan.pipeline_wan import prompt_clean
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel, PreTrainedTokenizerBase, UMT5EncoderModel

from sketch2video.bases.base import Base, beside, refuse
from sketch2video.diffusion.objectives import FlowMatching, LearningObjective
from sketch2video.text.encoder import TextCondition, tokenise

TOKENS = 512
"""Length of a caption as the network sees it, padded with zeros, which it attends to."""


class Wan(Base):
    """A flow between noise and the latents of a causal autoencoder, 4 frames and 8 x 8 px each."""

    name = "wan"
    title = "Wan 2.1"
    pipelines = ("WanPipeline",)
    classes = {  # noqa: RUF012 (a class attribute of all bases)
        "transformer": WanTransformer3DModel,
        "vae": AutoencoderKLWan,
        "text_encoder": UMT5EncoderModel,
    }
    input_layer = "patch_embedding"
    lora_layers = r"blocks\.\d+\.(attn[12]\.(to_[qkv]|to_out\.0)|ffn\.net\.(0\.proj|2))"

    def check(self) -> None:
        """See :class:`Base`; image-to-video models see other channels."""
        if self.config["in_channels"] != self.config["out_channels"] or self.config.get("image_dim"):
            raise refuse(self.source, "is an image-to-video or control model")
        self.patch = int(self.config["patch_size"][-1])

    def encode(self, vae: Any, videos: Tensor) -> Tensor:
        """See :class:`Base`."""
        latents = vae.encode(videos.transpose(1, 2)).latent_dist.mode().float()
        mean, std = self._scale(vae, latents)
        return ((latents - mean) / std).transpose(1, 2)

    def decode(self, vae: Any, latents: Tensor) -> Tensor:
        """See :class:`Base`."""
        latents = latents.transpose(1, 2)
        mean, std = self._scale(vae, latents)
        return vae.decode((latents * std + mean).to(vae.dtype)).sample.float().transpose(1, 2)

    @staticmethod
    def _scale(vae: Any, like: Tensor) -> tuple[Tensor, Tensor]:
        config = vae.config
        mean, std = (like.new_tensor(values).view(-1, 1, 1, 1) for values in (config.latents_mean, config.latents_std))
        return mean, std

    @torch.no_grad()
    def encode_text(
        self,
        tokenizer: PreTrainedTokenizerBase,
        encoder: PreTrainedModel,
        captions: Sequence[str],
        device: torch.device,
    ) -> TextCondition:
        """See :class:`Base`."""
        ids, mask = (part.to(device) for part in tokenise(tokenizer, [*map(prompt_clean, captions)], TOKENS))
        return TextCondition(encoder(ids, mask.long()).last_hidden_state.float() * mask[..., None], mask)

    def objective(self, time_shift: float | None) -> LearningObjective:
        """See :class:`Base`."""
        scheduler = self.load_scheduler().config
        own = scheduler.get("flow_shift", scheduler.get("shift", 1.0))
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
        """See :class:`Base`; the frame rate is no condition."""
        dtype = network.dtype
        seen = beside(latents, control)
        hidden = functional.pad(text.hidden, (0, 0, 0, TOKENS - text.hidden.shape[1]))
        return network(seen.transpose(1, 2).to(dtype), timestep, hidden.to(dtype), return_dict=False)[0].transpose(1, 2)
