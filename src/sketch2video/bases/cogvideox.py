"""CogVideoX 2B and 5B (Yang et al. 2024, "CogVideoX: Text-to-Video Diffusion Models with an Expert Transformer")."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from diffusers import (
    AutoencoderKLCogVideoX,
    CogVideoXDPMScheduler,
    CogVideoXTransformer3DModel,
    SchedulerMixin,
)
from diffusers.models.embeddings import get_3d_rotary_pos_embed
from diffusers.pipelines.cogvideo.pipeline_cogvideox import get_resize_crop_region_for_grid
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase, T5EncoderModel

from sketch2video.bases.base import beside, padded_tokens, refuse
from sketch2video.bases.diffusion_base import DiffusionBase
from sketch2video.text.encoder import TextCondition


class CogVideoX(DiffusionBase):
    """A diffusion process on the latents of a causal autoencoder, 4 frames and 8 x 8 px each."""

    name = "cogvideox"
    title = "CogVideoX"
    pipelines = ("CogVideoXPipeline",)
    classes = {  # noqa: RUF012 (a class attribute of all bases)
        "transformer": CogVideoXTransformer3DModel,
        "vae": AutoencoderKLCogVideoX,
        "text_encoder": T5EncoderModel,
    }
    frames_first = True
    input_layer = "patch_embed.proj"
    lora_layers = r"transformer_blocks\.\d+\.(attn1\.(to_[qkv]|to_out\.0)|ff\.net\.(0\.proj|2))"

    def check(self) -> None:
        """See :class:`Base`."""
        if self.config.get("patch_size_t"):
            raise refuse(self.source, "is CogVideoX 1.5, whose patches span two latent frames")
        if self.config["in_channels"] != self.config["out_channels"]:
            raise refuse(self.source, "is an image-to-video or control model")
        self.patch = int(self.config["patch_size"])

    def encode(self, vae: Any, videos: Tensor) -> Tensor:
        """See :class:`Base`."""
        latents = vae.encode(videos.transpose(1, 2)).latent_dist.mode().float()
        return (latents * vae.config.scaling_factor).transpose(1, 2)

    def decode(self, vae: Any, latents: Tensor) -> Tensor:
        """See :class:`Base`."""
        scaled = (latents / vae.config.scaling_factor).transpose(1, 2).to(vae.dtype)
        return vae.decode(scaled).sample.float().transpose(1, 2)

    @torch.no_grad()
    def encode_text(
        self,
        tokenizer: PreTrainedTokenizerBase,
        encoder: PreTrainedModel,
        captions: Sequence[str],
        device: torch.device,
    ) -> TextCondition:
        """See :class:`Base`; encoder and network attend to the padding."""
        ids, _ = padded_tokens(tokenizer, captions, int(self.config["max_text_seq_length"]), device)
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
        seen = beside(latents, control)
        return network(
            hidden_states=seen.to(dtype),
            encoder_hidden_states=text.hidden.to(dtype),
            timestep=timestep,
            image_rotary_emb=self._positions(latents),
            return_dict=False,
        )[0]

    def _positions(self, latents: Tensor) -> tuple[Tensor, Tensor] | None:
        """Rotary embeddings of the 5B model, as its own pipeline computes them."""
        if not self.config["use_rotary_positional_embeddings"]:
            return None
        _, frames, _, height, width = latents.shape
        grid = height // self.patch, width // self.patch
        trained = self.config["sample_width"] // self.patch, self.config["sample_height"] // self.patch
        return get_3d_rotary_pos_embed(
            embed_dim=self.config["attention_head_dim"],
            crops_coords=get_resize_crop_region_for_grid(grid, *trained),
            grid_size=grid,
            temporal_size=frames,
            device=latents.device,
        )

    def stepper(self, scheduler: SchedulerMixin, generator: Any) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
        """See :class:`Base`; CogVideoX's own DPM-Solver needs the former estimate and timestep."""
        if not isinstance(scheduler, CogVideoXDPMScheduler):
            return super().stepper(scheduler, generator)
        former: list[Any] = [None, None]

        def advance(prediction: Tensor, timestep: Tensor, latents: Tensor) -> Tensor:
            made, estimate = scheduler.step(
                prediction, former[0], timestep, former[1], latents, generator=generator, return_dict=False
            )
            former[:] = estimate, timestep
            return made

        return advance
