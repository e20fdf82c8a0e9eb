"""Parameters of systems, evaluation, registration and generation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field

from sketch2video.params.networks import (
    Cut,
    MeanOver,
    MixtureParams,
    Optimizer,
    Sampler,
    SteadySource,
    TrainingParams,
    WindowWeights,
)
from sketch2video.params.sampling import DEFAULTS, DiffusionSampling
from sketch2video.params.section import Section


class TextLDMParams(MixtureParams):
    """Parameters of the text-only system alone; its networks are those of ``autoencoder`` and ``video_ldm``."""

    control: str = Field(description="name of a control with which nothing is drawn; see sketch2video.controls")


class LongVideoParams(Section):
    """Long, steady videos with the sketch system's parts, and fine-tuning of its video LDM for them."""

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
    steady_source: SteadySource = Field(description="the videos that are made steady: the clips, or generated ones")
    whole_weight: float = Field(ge=0)
    foreground_weight: float = Field(ge=0)
    background_weight: float = Field(ge=0)
    mean_over: MeanOver
    training: TrainingParams


class AdaptedVideoParams(Section):
    """A pretrained video model that learns to follow drawings; see :mod:`sketch2video.bases`."""

    base: str = Field(min_length=1, description="folder of the base; always a DVC dependency")
    control: str = Field(description="name of a control with pictures of 1 or 3 channels")
    buckets: tuple[Annotated[str, Field(pattern=r"^[1-9]\d*x[1-9]\d*x[1-9]\d*$")], ...] = Field(
        strict=False, description="widthxheightxframes, of clips that are read from the videos; []: clips of ingest"
    )
    fps: float = Field(gt=0, description="frames a second of clips that are read from the videos")
    cut: Cut = Field(description="part of a video that is used, where clips are read from the videos")
    variants: int = Field(ge=0, description="encoded drawings of a clip in addition to the whole, correct one")
    sketch_corruption: float = Field(ge=0, le=1, description="share of the variants with corrupted curves")
    sparse: float = Field(ge=0, le=1, description="share of the variants with drawings of a few frames only")
    rank: int = Field(ge=1, description="of the LoRA matrices")
    input_rate: float = Field(gt=0, description="learning rate of the new input layer in units of the others'")
    time_shift: float | None = Field(gt=0, description="of the times of training; null: that of the base's sampler")
    text_dropout: float = Field(ge=0, le=1)
    control_dropout: float = Field(ge=0, le=1)
    gradient_checkpointing: bool
    optimizer: Optimizer
    training: TrainingParams


class CallParams(DiffusionSampling):
    """How a pipeline is called, for the report and for batch generation."""

    guidance_scale: float | None = Field(ge=0, description="null: that of the system")  # type: ignore[assignment]
    batch_size: int = Field(ge=1)
    sampler: Sampler

    def completed(self, saved: Mapping[str, Any]) -> Self:
        """The same, with the guidance of the caption that a pipeline was saved with if there is none here.

        Args:
            saved: ``sampling`` of the pipeline's config; what it lacks are the ``DEFAULTS``.
        """
        own = {**DEFAULTS, **saved}["guidance_scale"] if self.guidance_scale is None else self.guidance_scale
        return self.model_copy(update={"guidance_scale": own})


class EvaluateParams(CallParams):
    """Generation of the clips for the report."""

    clips: int = Field(ge=8)
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
        "fvd_labels",
        "kvd_labels",
    ] = Field(description="distances are of the judge of the data's own labels, if there is one")
    metric_without_labels: Literal["fvd_embedded", "kvd_embedded", "fvd_labels", "kvd_labels"]
    tolerance: float = Field(ge=0)
    clips: int = Field(ge=8)


class RequestParams(CallParams):
    """What a request to the served model may set, and its batch size."""

    fps: float = Field(gt=0)

    def deciding(self) -> dict[str, Any]:
        """What decides about a video, by name: all but the batch size."""
        return {name: value for name, value in RequestParams.options(self).items() if name != "batch_size"}


class GenerateParams(RequestParams):
    """Batch generation."""

    model: str = Field(min_length=1)
    output: str = Field(min_length=1)
