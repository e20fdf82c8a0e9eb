"""Parameters of networks and of their trainings."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from sketch2video.params.sampling import TokenChoice
from sketch2video.params.section import Section

Objective = Literal["flow", "v_prediction", "epsilon"]
"""The prediction target of a denoiser; see ``diffusion/objectives.py``."""

Sampler = Literal["euler", "heun", "dpm++", "unipc", "ddim", "ddpm"]
"""The sampler of a denoiser; see ``diffusion/samplers.py``."""

SAMPLERS: dict[Objective, tuple[Sampler, ...]] = {
    "flow": ("euler", "heun", "dpm++", "unipc"),
    "v_prediction": ("ddim", "ddpm", "dpm++", "unipc"),
    "epsilon": ("ddim", "ddpm", "dpm++", "unipc"),
}
"""The samplers that each objective allows, the default one first."""

WindowWeights = Literal["uniform", "triangular", "gaussian"]
"""Weights with which overlapping windows of a long video are merged; see ``diffusion/windows.py``."""

MeanOver = Literal["all", "masked"]
"""The divisor of the squares of a masked error; see ``steadiness/masked_losses.py``."""

SteadySource = Literal["clips", "painted"]
"""The videos that are made steady; see ``systems/long_video/steadied.py``."""


Cut = Literal["middle", "start", "pieces", "whole"]
"""The part of a video that becomes a clip; see ``trainer_data/frame_choice.py``."""

Optimizer = Literal["adamw", "adamw_8bit"]
"""See ``training/optimizers.py``."""


class TrainingParams(Section):
    """Training of a network; one loop reads it for all of them (``training/loop.py``)."""

    steps: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    learning_rate: float = Field(gt=0)
    warmup_steps: int = Field(ge=0)
    weight_decay: float = Field(ge=0)
    gradient_clip: float = Field(gt=0)
    gradient_accumulation: int = Field(ge=1)
    ema_decay: float = Field(ge=0, lt=1)
    checkpoint_every: int = Field(ge=1)
    preview_every: int = Field(ge=0, description="0: only at the end")


class SketcherParams(Section):
    """The network behind ``sketch.extractor: learned``, and its training pairs."""

    folder: str
    pairs: str | None = Field(description="a CSV in that folder; null: pictures made of the embedded scenes")
    test_fraction: float = Field(gt=0, lt=1)
    scenes: int = Field(ge=1)
    size: int = Field(ge=16)
    width: int = Field(ge=8, multiple_of=8)
    training: TrainingParams


class JudgeParams(Section):
    """The judge of videos, trained for data with labels of their own."""

    least_accuracy: float = Field(ge=0, le=1, description="lower end of its interval; other labels are not scored")
    frames: int = Field(ge=2, description="frames of a clip that it sees, evenly spread")
    scenes: int = Field(ge=0, description="generated scenes in addition to embedded clips with two objects")
    width: int = Field(ge=1)
    feature_dim: int = Field(ge=4, multiple_of=4)
    training: TrainingParams


class TextEncoderParams(Section):
    """The text encoder that every system shares."""

    pretrained: str | None
    vocabulary: int = Field(ge=261, description="tokens; 256 bytes and 5 special ones are always there")
    max_length: int = Field(ge=4)
    width: int = Field(ge=8)
    layers: int = Field(ge=1)
    heads: int = Field(ge=1)
    training: TrainingParams


class CurveVAEParams(Section):
    """Caption and noise to sets of strokes: an autoencoder of strokes, and a prior over sets of its latents."""

    strokes: int = Field(ge=1, description="most strokes of a clip")
    latent_dim: int = Field(ge=1)
    hidden: int = Field(ge=8)
    time_terms: int = Field(ge=2)
    kl_weight: float = Field(ge=0)
    training: TrainingParams
    width: int = Field(ge=8)
    layers: int = Field(ge=1)
    heads: int = Field(ge=1)
    caption_dropout: float = Field(ge=0, le=1)
    augmentation: float = Field(ge=0, le=1, description="how far training clips are changed; see curve_vae.augment")
    known: float = Field(ge=0, le=1, description="share of clips that show some strokes or frames without noise")
    time_shift: float = Field(ge=1)
    num_inference_steps: int = Field(ge=1)
    guidance_scale: float = Field(ge=1)
    temperature: float = Field(ge=0)
    stroke_quantile: float | None = Field(gt=0, lt=1, description="how many strokes are drawn; null: at random")
    prior_training: TrainingParams


class AutoencoderParams(Section):
    """The autoencoder: frames to latents and back."""

    latent_channels: int = Field(ge=1)
    halvings: int = Field(ge=1)
    fold: int = Field(ge=2)
    width: int = Field(ge=8)
    colour_layers: int = Field(ge=0)
    texture: bool = Field(description="whether texture that latents cannot hold is sampled")
    texture_scale: float = Field(ge=0, description="of that texture")
    edge_contrast: float = Field(gt=0, description="of generated frames: factor of the logits of the colour layers")
    kl_weight: float = Field(ge=0)
    line_weight: float = Field(ge=0)
    change_weight: float = Field(ge=0)
    perceptual_weight: float = Field(ge=0)
    perceptual_vgg16: str | None = Field(description="file of VGG16's weights; null: a fixed random network")
    training: TrainingParams

    @model_validator(mode="after")
    def _fold_is_a_part_of_the_halvings(self) -> Self:
        folds = [2**number for number in range(1, self.halvings + 1)]
        if self.fold not in folds:
            raise ValueError(
                f"autoencoder.fold: {self.fold} is no power of two up to 2 ** autoencoder.halvings;"
                f" choose one of {', '.join(map(str, folds))}"
            )
        return self


class VideoLDMParams(Section):
    """The denoiser of latent videos."""

    frames_per_latent: int | None = Field(ge=1)
    patch: int = Field(ge=1)
    lapped: bool
    width: int = Field(ge=8)
    layers: int = Field(ge=1)
    heads: int = Field(ge=1)
    text_dropout: float = Field(ge=0, le=1)
    control_dropout: float = Field(ge=0, le=1)
    fps_dropout: float = Field(ge=0, le=1)
    sketch_corruption: float = Field(ge=0, le=1)
    objective: Objective
    time_shift: float = Field(ge=1)
    ink_weight: float = Field(ge=0)
    wavering_weight: float = Field(ge=0)
    whitening: float = Field(ge=0, le=1, description="exponent of the noise's spectrum along time; 0: white")
    undrawn_whitening: float = Field(ge=0, le=1, description="the same for networks that see no line drawing")
    still_spectrum: bool = Field(description="noise with a second spectrum where the drawing does not come near")
    time_mean: bool
    shared_noise: float = Field(ge=0, description="scale of the initial noise over a drawing: of what frames share")
    changing_noise: float = Field(ge=0, description="of what differs between frames")
    training: TrainingParams

    @model_validator(mode="after")
    def _lapped_patches_are_even(self) -> Self:
        if self.lapped and self.patch % 2:
            raise ValueError(
                f"video_ldm.patch: {self.patch} is odd, and video_ldm.lapped needs an even one; set lapped to false"
            )
        return self


class MixtureParams(Section):
    """Training samples of a video LDM other than whole clips."""

    known_frames: float = Field(ge=0, le=1, description="share of clips that show some frames without noise")
    half_rate: float = Field(ge=0, le=0.5, description="share of steps on every second frame")
    image_share: float = Field(ge=0, lt=1, description="share of steps on single frames")
    image_steps: int = Field(ge=0, description="first steps, all on single frames")

    @property
    def single_frames(self) -> bool:
        """Whether any step is on single frames."""
        return self.image_share > 0 or self.image_steps > 0


class VQGANParams(Section):
    """Frames to tokens of several levels and back."""

    levels: int = Field(ge=1)
    codes: int = Field(ge=2)
    code_width: int = Field(ge=1)
    halvings: int = Field(ge=1)
    width: int = Field(ge=16, multiple_of=8)
    commitment_weight: float = Field(ge=0)
    line_weight: float = Field(ge=0)
    perceptual_weight: float = Field(ge=0)
    perceptual_vgg16: str | None = Field(description="file of VGG16's weights; null: a fixed random network")
    discriminator_weight: float = Field(ge=0)
    discriminator_start: float = Field(ge=0, le=1, description="share of the training after which it begins; 1: never")
    discriminator_width: int = Field(ge=1)
    training: TrainingParams


class TokenTransformerParams(TokenChoice):
    """The VQGAN's tokens from captions: one transformer a level, and how tokens are drawn from them."""

    control: str = Field(description="name of a control; see sketch2video.controls")
    reads: Literal["caption", "label"]
    window: int = Field(ge=6, description="frames that a transformer sees at once, the predicted one counted")
    window_clips: int = Field(ge=1, description="clips of a batch that show a window of frames")
    frames_alone: int = Field(ge=0, description="of each clip of a batch, predicted without a frame before")
    width: int = Field(ge=8)
    layers: int = Field(ge=1)
    heads: int = Field(ge=1)
    text_dropout: float = Field(ge=0, le=1)
    control_dropout: float = Field(ge=0, le=1)
    fps_dropout: float = Field(ge=0, le=1)
    sketch_corruption: float = Field(ge=0, le=1)
    token_corruption: float = Field(ge=0, le=1, description="at most this share of a clip's tokens is read wrongly")
    discriminator_weight: float = Field(ge=0, description="0: there is no discriminator")
    discriminator_start: float = Field(ge=0, le=1, description="share of the training after which it begins")
    discriminator_learning_rate: float = Field(gt=0, description="constant, as the discriminator begins late")
    discriminator_clips: int = Field(ge=1)
    discriminator_width: int = Field(ge=32, multiple_of=32)
    discriminator_layers: int = Field(ge=1)
    discriminator_pretrained: str | None = Field(description="folder or hub id of a VideoMAE; null: train our own")
    training: TrainingParams
