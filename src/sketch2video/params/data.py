"""Parameters of the data stages."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from sketch2video.params.section import Section

MAX_NUMBERS_PER_FRAME = 299
"""The equation's hard limit: a frame is *fewer than 300* numbers."""


class BaseParams(Section):
    """Parameters that several stages share."""

    seed: int = Field(ge=0)
    size: int = Field(ge=16, description="S: frames are S x S pixels")
    frames: int = Field(ge=2, description="T: frames a clip")
    workers: int = Field(ge=0, description="processes of a data stage; 0: one a core")
    cluster: str | None = Field(description="address of a Dask scheduler that runs the data stages instead")

    def deciding(self) -> dict[str, Any]:
        """The values that results depend on: all but where the work is done."""
        return self.model_dump(exclude={"workers", "cluster"})


class SyntheticParams(Section):
    """The embedded scenes (:mod:`sketch2video.scenes.synthetic`)."""

    clips_per_combination: int = Field(ge=1)
    held_out_combinations: int = Field(ge=36, le=144, description="of 216; the first 36 have all words")
    objects: Literal[1, 2]
    moving_ground: bool
    in_front: bool = Field(description="captions and labels of two objects tell which is in front")
    control: bool
    images: int = Field(ge=0)

    @model_validator(mode="after")
    def _order_needs_two(self) -> Self:
        if self.in_front and self.objects != 2:
            raise ValueError("ingest.synthetic.in_front: needs two objects; set ingest.synthetic.objects to 2")
        return self


class SpritesParams(Section):
    """The sheets of Sprites (:mod:`sketch2video.data.sources.sprites`)."""

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
    time_tolerance: float = Field(ge=0, lt=1)

    def tracking(self) -> dict[str, Any]:
        """The settings of :func:`~sketch2video.curves.fit_curves`."""
        return self.model_dump(exclude={"refinement_steps", "time_tolerance"})

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
