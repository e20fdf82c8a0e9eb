"""``params.yaml`` as frozen typed models: the only way a parameter enters the program.

Every model refuses unknown keys and wrong types; :func:`load_params` turns whatever is wrong into one line that names
the key. Defaults stand in ``params.yaml`` alone, so no field here has one.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from sketch2video.errors import UserError
from sketch2video.inputs.texts import brief, shown
from sketch2video.inputs.yaml_files import read_yaml

MAX_NUMBERS_PER_FRAME = 299
"""The equation's hard limit: a frame is *fewer than 300* numbers."""

_FAULTS = 10
"""Most faults of a file that are named."""


Objective = Literal["flow", "v_prediction", "epsilon"]
"""What a denoiser learns to predict; see ``diffusion/objectives.py``."""

Sampler = Literal["euler", "heun", "dpm++", "unipc", "ddim", "ddpm"]
"""How a denoiser's predictions become a video; see ``diffusion/samplers.py``."""

SAMPLERS: dict[Objective, tuple[Sampler, ...]] = {
    "flow": ("euler", "heun", "dpm++", "unipc"),
    "v_prediction": ("ddim", "ddpm", "dpm++", "unipc"),
    "epsilon": ("ddim", "ddpm", "dpm++", "unipc"),
}
"""The samplers that each objective allows, the default one first."""

WindowWeights = Literal["uniform", "triangular", "gaussian"]
"""By which overlapping windows of a long video are merged; see ``diffusion/windows.py``."""

MeanOver = Literal["all", "masked"]
SteadySource = Literal["clips", "painted"]
"""What the squares of a masked error are divided by; see ``steadiness/masked_losses.py``."""


class Section(BaseModel):
    """A part of ``params.yaml``; frozen, strict, no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class BaseParams(Section):
    """What several stages share."""

    seed: int = Field(ge=0)
    size: int = Field(ge=16, description="S: frames are S x S pixels")
    frames: int = Field(ge=2, description="T: frames a clip")
    workers: int = Field(ge=0, description="processes of a data stage; 0: one a core")
    cluster: str | None = Field(description="address of a Dask scheduler that runs the data stages instead")

    def deciding(self) -> dict[str, Any]:
        """The values that results depend on; where the work is done is not among them."""
        return self.model_dump(exclude={"workers", "cluster"})


class SyntheticParams(Section):
    """The embedded scenes (``videos/synthetic.py``)."""

    clips_per_combination: int = Field(ge=1)
    held_out_combinations: int = Field(ge=1, le=144)
    objects: Literal[1, 2]
    moving_ground: bool
    control: bool
    images: int = Field(ge=0)


class SpritesParams(Section):
    """The sheets of Sprites (``videos/sprites.py``)."""

    sheets: int = Field(ge=2, description="of each garment, numbered from 0")
    characters: int = Field(ge=0, description="a random subset of so many; 0: all")
    split: Literal["characters", "combinations"]
    test_characters: int = Field(ge=1, description="of all characters, where split is characters")

    @model_validator(mode="after")
    def _so_many_there_are(self) -> Self:
        everyone = self.sheets**4
        if self.characters > everyone:
            raise ValueError(
                f"ingest.sprites.characters: {self.characters} are more than the {everyone} that ingest.sprites.sheets"
                f" ({self.sheets}) give; 0 takes all"
            )
        if self.split == "characters" and self.test_characters >= everyone:
            raise ValueError(
                f"ingest.sprites.test_characters: {self.test_characters} leave none of the {everyone} characters that"
                f" ingest.sprites.sheets ({self.sheets}) give for training; choose fewer"
            )
        return self


class IngestParams(Section):
    """Where clips come from and how they are sharded."""

    seed: int = Field(ge=0)
    source: Literal["synthetic", "folder", "ucf101", "msrvtt", "sprites"]
    folder: str
    captions: str
    images: str | None = Field(description="a CSV of captioned images in that folder")
    ucf101_split: Literal[1, 2, 3]
    shards: int = Field(ge=1, le=9999)
    test_fraction: float = Field(gt=0, lt=1)
    min_frames: int = Field(ge=1)
    max_rejected: int = Field(ge=0)
    synthetic: SyntheticParams
    sprites: SpritesParams


class SketchParams(Section):
    """The line drawing of a frame."""

    extractor: Literal["classical", "learned"]
    smoothing: float = Field(ge=0)
    contrast: float = Field(gt=0, lt=1)
    threshold: float = Field(gt=0, lt=1)
    min_length: float = Field(ge=0, lt=1)


class FitParams(Section):
    """The equation: its budget and how it is solved."""

    budget: int = Field(ge=8, le=MAX_NUMBERS_PER_FRAME)
    strokes: int = Field(ge=1)
    harmonics: int = Field(ge=2)
    rounds: int = Field(ge=1)
    stiffness: float = Field(gt=0)
    refinement_steps: int = Field(ge=0)

    def tracking(self) -> dict[str, Any]:
        """The settings of :func:`~sketch2video.curves.fit_curves`."""
        return self.model_dump(exclude={"refinement_steps"})

    @model_validator(mode="after")
    def _some_stroke_fits(self) -> Self:
        if self.strokes * 5 > self.budget:
            raise ValueError(
                f"fit.strokes: {self.strokes} strokes need at least {self.strokes * 5} numbers,"
                f" fit.budget is {self.budget}"
            )
        return self


class ValidateParams(Section):
    """Bounds that the data must keep."""

    min_ink: float = Field(ge=0, le=1)
    max_ink: float = Field(gt=0, le=1)
    min_fps: float = Field(gt=0)
    max_fps: float = Field(gt=0)
    max_ink_to_curve: float = Field(gt=0)
    quantile: float = Field(gt=0, le=1)


class TrainingParams(Section):
    """How a network is trained; one loop reads it for all of them (``training/loop.py``)."""

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
    """The network behind ``sketch.extractor: learned``, and what it learns from."""

    folder: str
    pairs: str | None = Field(description="a CSV in that folder; null: pictures made of the embedded scenes")
    test_fraction: float = Field(gt=0, lt=1)
    scenes: int = Field(ge=1)
    size: int = Field(ge=16)
    width: int = Field(ge=8, multiple_of=8)
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
    """Frames to latents and back."""

    latent_channels: int = Field(ge=1)
    halvings: int = Field(ge=1)
    width: int = Field(ge=8)
    kl_weight: float = Field(ge=0)
    line_weight: float = Field(ge=0)
    perceptual_weight: float = Field(ge=0)
    perceptual_vgg16: str | None = Field(description="file of VGG16's weights; null: a fixed random network")
    training: TrainingParams


class VideoLDMParams(Section):
    """The denoiser of latent videos."""

    patch: int = Field(ge=1)
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
    time_mean: bool
    training: TrainingParams


class MixtureParams(Section):
    """What a video LDM is trained on beside whole clips."""

    known_frames: float = Field(ge=0, le=1, description="share of clips that show some frames without noise")
    half_rate: float = Field(ge=0, le=0.5, description="share of steps on every second frame")
    image_share: float = Field(ge=0, lt=1, description="share of steps on single frames")
    image_steps: int = Field(ge=0, description="first steps, all on single frames")

    @property
    def single_frames(self) -> bool:
        """Whether any step sees single frames."""
        return self.image_share > 0 or self.image_steps > 0


class TextLDMParams(MixtureParams):
    """The text-only system: what it has of its own; its networks are those of ``autoencoder`` and ``video_ldm``."""

    control: str = Field(description="name of a control with which nothing is drawn; see sketch2video.controls")


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


class TokenTransformerParams(Section):
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
    temperature: float = Field(ge=0)
    top_k: int = Field(ge=0)
    top_p: float = Field(gt=0, le=1)
    training: TrainingParams


class LongVideoParams(Section):
    """Long, steady videos by the sketch system's parts, and the tuning of its video LDM for them."""

    window: int | None = Field(ge=1, description="frames that the network sees at once; null: base.frames")
    stride: int | None = Field(ge=1, description="frames from one window to the next; null: half a window")
    window_weights: WindowWeights
    fusion_times: tuple[Annotated[float, Field(ge=0, le=1)], ...] = Field(
        strict=False, description="[]: backgrounds are not fused"
    )
    fused_frames: int = Field(ge=1)
    shared_noise: bool
    segmenter: str = Field(min_length=1, description="motion, or a folder or hub id of a SAM")
    clips: int = Field(ge=1, description="training clips that are made steady, to tune with")
    steady_source: SteadySource = Field(description="what is made steady: the clips, or what is painted over them")
    whole_weight: float = Field(ge=0)
    foreground_weight: float = Field(ge=0)
    background_weight: float = Field(ge=0)
    mean_over: MeanOver
    training: TrainingParams


class EvaluateParams(Section):
    """What is generated for the report, and how."""

    clips: int = Field(ge=8)
    batch_size: int = Field(ge=1)
    sampler: Sampler
    num_inference_steps: int = Field(ge=1)
    guidance_scale: float = Field(ge=0)
    control_guidance_scale: float = Field(ge=0)
    bootstrap: int = Field(ge=0)


class RegisterParams(Section):
    """The registered model and its gate."""

    system: str = Field(description="see sketch2video.systems")
    name: str = Field(min_length=1)
    metric: Literal[
        "faithfulness_shape",
        "faithfulness_colour",
        "faithfulness_motion",
        "faithfulness_joint",
        "fvd_embedded",
        "kvd_embedded",
    ]
    metric_without_labels: Literal["fvd_embedded", "kvd_embedded"]
    tolerance: float = Field(ge=0)
    clips: int = Field(ge=8)


class SamplingParams(Section):
    """How a pipeline is called."""

    batch_size: int = Field(ge=1)
    sampler: Sampler
    num_inference_steps: int = Field(ge=1)
    guidance_scale: float = Field(ge=0)
    control_guidance_scale: float = Field(ge=0)
    fps: float = Field(gt=0)


class GenerateParams(SamplingParams):
    """Batch generation."""

    model: str = Field(min_length=1)
    output: str = Field(min_length=1)


SECTIONS: dict[str, type[Section]] = {}
"""Sections that systems bring (``SystemSpec.params``), by name; ``params.yaml`` may have them."""


class Params(Section):
    """The whole of ``params.yaml``; sections that systems bring are attributes, too."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Any]

    base: BaseParams
    ingest: IngestParams
    sketch: SketchParams
    fit: FitParams
    validate_: ValidateParams = Field(alias="validate")
    sketcher: SketcherParams
    text_encoder: TextEncoderParams
    curve_vae: CurveVAEParams
    autoencoder: AutoencoderParams
    video_ldm: VideoLDMParams
    text_ldm: TextLDMParams
    vqgan: VQGANParams
    token_transformer: TokenTransformerParams
    long_video: LongVideoParams
    evaluate: EvaluateParams
    register_: RegisterParams = Field(alias="register")
    generate: GenerateParams

    @model_validator(mode="after")
    def _sizes_agree(self) -> Self:
        factor = 2**self.autoencoder.halvings * self.video_ldm.patch
        if self.base.size % factor:
            raise ValueError(
                f"base.size: {self.base.size} cannot be halved {self.autoencoder.halvings} times (autoencoder.halvings)"
                f" and cut into patches of {self.video_ldm.patch} (video_ldm.patch); choose a multiple of {factor}"
            )
        factor = 2 ** (self.vqgan.halvings + self.vqgan.levels - 1)
        if self.base.size % factor:
            raise ValueError(
                f"base.size: {self.base.size} cannot be halved {self.vqgan.halvings} times (vqgan.halvings)"
                f" and once more for each further one of {self.vqgan.levels} grids (vqgan.levels);"
                f" choose a multiple of {factor}"
            )
        for name in ("text_encoder", "curve_vae", "video_ldm", "token_transformer"):
            section = getattr(self, name)
            if section.width % section.heads:
                raise ValueError(f"{name}.width: {section.width} is not a multiple of {name}.heads ({section.heads})")
        return self

    @model_validator(mode="after")
    def _samplers_fit_the_objective(self) -> Self:
        objective = self.video_ldm.objective
        for name in ("evaluate", "generate"):
            sampler, allowed = getattr(self, name).sampler, SAMPLERS[objective]
            if sampler not in allowed:
                raise ValueError(
                    f"{name}.sampler: {sampler} cannot sample what video_ldm.objective: {objective} trains;"
                    f" choose {', '.join(allowed[:-1])} or {allowed[-1]}"
                )
        return self


def load_params(path: Path | str = "params.yaml") -> Params:
    """Read and check a parameter file.

    Raises:
        UserError: the file is missing or not YAML, or a key is unknown, missing, of a wrong type or of an impossible
            value; the message names the key.
    """
    return parse_params(read_yaml(path), str(path))


def find_params(path: Path | str = "params.yaml") -> Params | None:
    """The parameters where the current folder is a project's; None where it has no such file, or somebody else's.

    Raises:
        UserError: as :func:`load_params`, if the file has a section ``fit``.
    """
    if not Path(path).exists():
        return None
    values = read_yaml(path)
    return parse_params(values, str(path)) if isinstance(values, dict) and "fit" in values else None


def parse_params(values: Any, source: str = "params") -> Params:
    """Check already loaded values; see :func:`load_params`."""
    own, brought, errors = _split(values)
    sections = {}
    for name, value in brought.items():
        try:
            sections[name] = SECTIONS[name].model_validate(value)
        except ValidationError as error:
            errors += [{**e, "loc": (name, *e["loc"])} for e in error.errors()]
    try:
        params = Params.model_validate(own | sections if isinstance(own, dict) else own)
    except ValidationError as error:
        errors += error.errors()
    if errors:
        faults = [_one_line(e) for e in errors]
        more = [f"and {len(faults) - _FAULTS} more"] if len(faults) > _FAULTS else []
        raise UserError(f"{source}: {'; '.join(faults[:_FAULTS] + more)}")
    return params


def _split(values: Any) -> tuple[Any, dict[str, Any], list[Any]]:
    """Values of the sections that all projects have, of those that systems bring, and errors for those of nobody."""
    if not isinstance(values, dict):
        return values, {}, []
    known = {field.alias or name for name, field in Params.model_fields.items()}
    if values.keys() - known:
        # Systems say which sections they bring; by name, as they build upon this module.
        importlib.import_module("sketch2video.systems.registry").system_names()
    others = {name: value for name, value in values.items() if name not in known}
    unknown = [{"type": "extra_forbidden", "loc": (name,)} for name in others if name not in SECTIONS]
    own = {name: value for name, value in values.items() if name in known}
    return own, {name: value for name, value in others.items() if name in SECTIONS}, unknown


def _one_line(error: Any) -> str:
    key = brief(".".join(str(part) for part in error["loc"]))
    if error["type"] == "extra_forbidden":
        return f"unknown key {key}; remove it or correct its spelling"
    if error["type"] == "missing":
        return f"missing key {key}"
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "value_error":
        return message  # our own checks name their key
    return f"{key}: {message[0].lower()}{message[1:]} (got {shown(error['input'])})"
