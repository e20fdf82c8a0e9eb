"""The documents and messages of the studio's API, with bounds on every number, text and list."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from sketch2video.generation.prompts import MAX_SEED
from sketch2video.inputs.texts import is_text, one_line

MOST_FRAMES = 256
MOST_STROKES = 64
MOST_HARMONICS = 64
MOST_POINTS = 4096
MOST_NUMBERS = 400_000
"""Most coefficients of a document, all frames and key frames together."""
MOST_LETTERS = 1000
FARTHEST = 1e4
"""Largest coefficient, frame widths."""

Identifier = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:-]{1,64}$")]
Number = Annotated[float, Field(ge=-FARTHEST, le=FARTHEST, allow_inf_nan=False)]
Row = Annotated[list[Number], Field(max_length=MOST_HARMONICS)]
Frames = Annotated[int, Field(ge=2, le=MOST_FRAMES)]
Rate = Annotated[float, Field(ge=0.1, le=120, allow_inf_nan=False)]
Seed = Annotated[int, Field(ge=0, le=MAX_SEED)]


def _caption(value: str) -> str:
    caption = one_line(value)
    if not caption or "\0" in caption or not is_text(caption):
        raise ValueError("the caption is empty or no text; write one")
    return caption


Caption = Annotated[str, Field(min_length=1, max_length=MOST_LETTERS), AfterValidator(_caption)]


class Schema(BaseModel):
    """Base class: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid")


class Key(Schema):
    """A key frame of a stroke: its coefficients there."""

    frame: Annotated[int, Field(ge=0, lt=MOST_FRAMES)]
    x: Row
    y: Row


class Stroke(Schema):
    """A stroke: coefficients and visibility of every frame, and key frames that change them.

    Trailing zeros of x and y may be left out.
    """

    id: Identifier
    x: Annotated[list[Row], Field(max_length=MOST_FRAMES)]
    y: Annotated[list[Row], Field(max_length=MOST_FRAMES)]
    visible: Annotated[list[bool], Field(max_length=MOST_FRAMES)]
    keys: Annotated[list[Key], Field(max_length=MOST_FRAMES)] = []

    @property
    def size(self) -> int:
        """Number of coefficients."""
        rows = [*self.x, *self.y, *(key.x for key in self.keys), *(key.y for key in self.keys)]
        return sum(map(len, rows))


class Drawing(Schema):
    """A drawing: x(u) = sum_k x_k cos(k pi u), y likewise, u in [0, 1], in frame widths from the upper left corner."""

    frames: Annotated[int, Field(ge=1, le=MOST_FRAMES)]
    fps: Rate
    strokes: Annotated[list[Stroke], Field(max_length=MOST_STROKES)]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len({stroke.id for stroke in self.strokes}) < len(self.strokes):
            raise ValueError("two strokes have the same id")
        for stroke in self.strokes:
            if {len(stroke.x), len(stroke.y), len(stroke.visible)} != {self.frames}:
                raise ValueError(f"stroke {stroke.id} must have {self.frames} rows of x, y and visible")
            at = [key.frame for key in stroke.keys]
            if len(set(at)) < len(at) or any(frame >= self.frames for frame in at):
                raise ValueError(f"stroke {stroke.id} has two key frames at one frame, or one after the last frame")
        if sum(stroke.size for stroke in self.strokes) > MOST_NUMBERS:
            raise ValueError(f"the drawing has more than {MOST_NUMBERS} coefficients")
        return self


class Sampling(Schema):
    """Settings of the sampling; null, or left out: those that the model was saved with."""

    sampler: Identifier | None = None
    num_inference_steps: Annotated[int, Field(ge=1, le=200)] | None = None
    guidance_scale: Annotated[float, Field(ge=0, le=50, allow_inf_nan=False)] | None = None
    control_guidance_scale: Annotated[float, Field(ge=0, le=50, allow_inf_nan=False)] | None = None
    temperature: Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)] | None = None
    top_k: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] | None = None

    def given(self) -> dict[str, Any]:
        """The settings that are not null, but the sampler's name."""
        return self.model_dump(exclude={"sampler"}, exclude_none=True)


class OfferedModel(Schema):
    """A model that can be chosen.

    Attributes:
        draws: whether it draws first, so that a drawing can be generated and changed.
        frames: number of frames of its training clips, the default.
        longest: most frames of a video; null: any number.
        size: side of its frames, px.
        loaded: whether it is in memory, so that the first request is fast.
    """

    id: Identifier
    name: str
    system: str
    title: str
    draws: bool
    frames: int
    longest: int | None
    size: int
    samplers: tuple[str, ...]
    sampling: dict[str, float | int]
    loaded: bool


class Models(Schema):
    """All models, the default one first; ``help`` says how to get one if there is none."""

    models: list[OfferedModel]
    budget: int
    help: str | None


class DrawRequest(Schema):
    """Draw a caption. With ``client``, paints of that client that are queued or running are dropped.

    With ``drawing``, its frames ``kept`` stay as they are, and the others are drawn.
    """

    model: Identifier
    caption: Caption
    seed: Seed = 0
    frames: Frames | None = None
    fps: Rate = 8.0
    client: Identifier | None = None
    drawing: Drawing | None = None
    kept: Annotated[list[Annotated[int, Field(ge=0, lt=MOST_FRAMES)]], Field(max_length=MOST_FRAMES)] = []

    @model_validator(mode="after")
    def _frames_of_the_drawing(self) -> Self:
        if bool(self.kept) != (self.drawing is not None):
            raise ValueError("a drawing and the frames of it that are kept belong together; give both")
        if self.drawing is not None:
            frames = self.drawing.frames
            if max(self.kept) >= frames:
                raise ValueError(f"kept names a frame after the last one; the frames are 0 to {frames - 1}")
            if self.frames not in (None, frames):
                raise ValueError(f"frames is {self.frames}, and the drawing has {frames}; leave frames out")
        return self


class Drawn(Schema):
    """A drawing and the numbers of each of its frames."""

    drawing: Drawing
    numbers: list[int]
    seconds: float


class PenLine(Schema):
    """Points of a pen in their order; ``closed`` null: closed if its ends meet."""

    points: Annotated[list[tuple[Number, Number]], Field(min_length=2, max_length=MOST_POINTS)]
    closed: bool | None = None


class FittedStroke(Schema):
    """Coefficients of a stroke in one frame, and how many they are."""

    x: list[float]
    y: list[float]
    closed: bool
    numbers: int


class PaintRequest(Schema):
    """Paint a video: over the drawing, or if it is null over one that the model draws first.

    ``client`` identifies a page: its newest request replaces its earlier ones. ``frames`` null: those of the drawing,
    else the model's; a drawing of another number of frames is resampled in time.
    """

    model: Identifier
    caption: Caption
    seed: Seed = 0
    fps: Rate = 8.0
    frames: Frames | None = None
    drawing: Drawing | None = None
    sampling: Sampling = Sampling()
    client: Identifier
    gallery: bool = True


class Accepted(Schema):
    """The job of a paint."""

    job: str


class ExportRequest(Schema):
    """A frame of a drawing (null: all frames where the format has them, else the first), or one stroke of it."""

    drawing: Drawing
    frame: Annotated[int, Field(ge=0, lt=MOST_FRAMES)] | None = None
    stroke: Identifier | None = None


class EquationRequest(ExportRequest):
    """The equation of a frame (null: all frames where the format has them), or of one stroke, to be copied."""

    format: Literal["latex", "desmos", "svg", "json"]


class EquationText(Schema):
    """An equation as text, and the numbers of the frame (of the largest one for all frames)."""

    text: str
    numbers: int
    media_type: str


class FrameSheet(Schema):
    """The frames of a video in one picture, row by row from the upper left corner.

    Attributes:
        frames: the picture, a data URL of a PNG.
        count, columns: number of frames, and of those in a row.
        size: side of a frame, px.
    """

    frames: list[str]
    count: int
    columns: int
    size: int
    fps: float


class StudioDocument(Schema):
    """Everything that a video was made from; what the page brings back to the canvas."""

    model: str
    caption: str
    seed: int
    fps: float
    frames: int
    drawing: Drawing | None
    sampling: Sampling


class GalleryItem(Schema):
    """A video of the gallery; ``kinds`` are the files that it has."""

    key: str
    caption: str
    seed: int
    num_frames: int
    fps: float
    model: str
    model_version: str | None
    settings: dict[str, Any]
    numbers: int | None
    made: float
    kinds: list[str]


class GalleryEntry(GalleryItem):
    """A video of the gallery with its document; null if the file is damaged."""

    document: StudioDocument | None


class GalleryItems(Schema):
    """The videos of the gallery, the newest first."""

    items: list[GalleryItem]


class Problem(BaseModel):
    """Why a request is refused, in one line."""

    detail: str
