"""Parts of latent diffusion systems: an autoencoder, the clips' latents, a denoiser of latent videos."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sketch2video.params import DiffusionSampling, MixtureParams, Params
from sketch2video.systems.spec import TEXT_ENCODER, Part, data_folder, model_folder

DRAWN_GUIDANCE = 1.0
"""Guidance of the caption of systems with drawings, unless the parameters have one: a drawing says nearly all."""


def latent_diffusion_parts(
    system: str,
    control: Callable[[Params], str],
    *,
    mixture: Callable[[Params], MixtureParams | None] = lambda params: None,
    images: Path | None = None,
    sections: Sequence[str] = (),
) -> tuple[Part, ...]:
    """The parts of a system.

    Args:
        system: name of the system.
        control: name of the control pictures of its networks, from the parameters.
        mixture: parameters of further training data beside whole clips; None: whole clips alone.
        images: folder of captioned images that are training data, too; None: none.
        sections: names of the system's own sections of the parameters.
    """
    return (
        Part(
            "autoencoder",
            "Autoencoder of frames",
            "sketch2video.autoencoder.training:train_autoencoder",
            lambda params: {"control": control(params)},
            ("autoencoder",),
        ),
        Part(
            "latents",
            "Latents of every clip, on which the video LDM is trained",
            "sketch2video.autoencoder.latents:encode_latents",
            lambda params: {"autoencoder": model_folder(system, "autoencoder"), "images": images},
            ("autoencoder",),
            is_data=True,
        ),
        Part(
            "video_ldm",
            "Diffusion transformer from captions and control pictures to latent videos",
            "sketch2video.diffusion.training:train_video_ldm",
            lambda params: {
                "control": control(params),
                "mixture": mixture(params),
                "latents": data_folder(system, "latents"),
                "images": images,
                "text_encoder": TEXT_ENCODER,
                "autoencoder": model_folder(system, "autoencoder"),
            },
            ("video_ldm", *sections),
        ),
    )


def drawn_sampling(params: Params) -> dict[str, Any]:
    """Defaults of sampling of a system with drawings, by name."""
    sampling = DiffusionSampling.options(params.evaluate)
    return sampling if params.evaluate.guidance_scale is not None else sampling | {"guidance_scale": DRAWN_GUIDANCE}


def latent_diffusion_arguments(system: str, params: Params) -> dict[str, Any]:
    """Arguments of ``assemble`` of a latent diffusion system: folders of the parts and defaults of sampling.

    Args:
        system: the system that owns the parts.
        params: all parameters; those of ``evaluate`` become the pipeline's defaults, so that scores apply to them.
    """
    return {
        "sampler": params.evaluate.sampler,
        "sampling": DiffusionSampling.options(params.evaluate),
        "text_encoder": TEXT_ENCODER,
        "autoencoder": model_folder(system, "autoencoder"),
        "video_ldm": model_folder(system, "video_ldm"),
    }
