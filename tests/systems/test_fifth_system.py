"""A fifth system, defined in this file alone: it is trained, assembled, evaluated, compared, and generates.

It paints every frame of a video in one colour, which it reads from the caption.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from diffusers.video_processor import VideoProcessor
from torch import Tensor, nn

from sketch2video.data.clips.shards import ShardReader, read_table, write_table
from sketch2video.evaluation.compare import compare
from sketch2video.files import replacing
from sketch2video.params import Params, Section, load_params
from sketch2video.pipelines.video_pipeline import VideoPipeline
from sketch2video.stages.generate import generate
from sketch2video.stages.run import run_stage
from sketch2video.systems.registry import find_system, registered
from sketch2video.systems.spec import TEXT_ENCODER, Part, SystemSpec, model_folder
from sketch2video.text.encoder import encode_text, load_text_encoder
from sketch2video.training.loop import RunLogger, TrainResult

ROOT = Path(__file__).parents[2]


class Palette(ModelMixin, ConfigMixin):
    """From the mean of a caption's states to a colour in [-1, 1]."""

    @register_to_config
    def __init__(self, text_width: int, sample_size: int, sample_frames: int, control: str = "none") -> None:
        super().__init__()
        self.colour = nn.Linear(text_width, 3)

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """Colours (N, 3) of captions' states (N, L, D) with masks (N, L)."""
        weights = mask.float()[..., None]
        return self.colour((hidden * weights).sum(1) / weights.sum(1))


class FlatPipeline(VideoPipeline):
    """Captions to videos of one colour."""

    def __init__(
        self,
        tokenizer: Any,
        text_encoder: Any,
        transformer: Palette,
        sampling: Any = None,
    ) -> None:
        super().__init__()
        self.register_modules(tokenizer=tokenizer, text_encoder=text_encoder, transformer=transformer)
        self.register_sampling(sampling)
        self.video_processor = VideoProcessor(do_resize=False)

    @torch.no_grad()
    def __call__(
        self,
        captions: Any = None,
        *,
        prompt: Any = None,
        num_videos: int | None = None,
        num_frames: int | None = None,
        fps: Any = 8.0,
        generator: Any = None,
        output_type: str = "np",
        return_dict: bool = True,
        **sampling: Any,
    ) -> Any:
        """See the other systems' pipelines."""
        request = self.request(
            captions,
            prompt,
            None,
            [],
            num_videos=num_videos,
            num_frames=num_frames,
            fps=fps,
            sampling=sampling,
            generator=generator,
            output_type=output_type,
        )

        def paint(text: Any, pictures: Tensor | None) -> Tensor:
            colours = self.transformer(text.hidden, text.mask)
            return colours[:, None].expand(-1, request.num_frames, -1)

        return self.generate(request, paint, return_dict)

    def decode_videos(self, made: Tensor, pictures: Tensor | None) -> Tensor:
        """Colours (N, T, 3) as frames (N, T, 3, S, S) in [-1, 1]."""
        return made[..., None, None].expand(*made.shape, self.sample_size, self.sample_size)


class FlatParams(Section):
    """The section ``flat`` of the parameters."""

    ridge: float


def object_colour(frames: np.ndarray) -> np.ndarray:
    """Mean colour, in [-1, 1], of what differs from the ground in frames uint8 (T, S, S, 3): float32 (3,)."""
    pixels = frames.reshape(-1, 3) / 127.5 - 1
    distance = np.abs(pixels - np.median(pixels, axis=0)).sum(1)
    return pixels[distance > 0.6 * distance.max()].mean(0).astype(np.float32)


def train_palette(
    params: Params, logger: RunLogger, output: Path, *, text_encoder: Path, clips: Path = Path("data/clips")
) -> TrainResult:
    """Ridge regression from captions to the colour of the objects in the training clips."""
    logger.begin(None)
    table = read_table(clips / "clips.parquet")
    table = table[table["split"] == "train"]
    tokenizer, encoder = load_text_encoder(text_encoder)
    text = encode_text(tokenizer, encoder, table["caption"].tolist())
    weights = text.mask.float()[..., None]
    states = (text.hidden * weights).sum(1) / weights.sum(1)
    states = torch.cat([states, torch.ones(len(states), 1)], dim=1)
    colours = torch.tensor(np.stack([object_colour(frames) for frames in ShardReader(clips).batch("frames", table)]))
    ridge = params.flat.ridge * torch.eye(states.shape[1])  # type: ignore[attr-defined]
    solution = torch.linalg.solve(states.T @ states + ridge, states.T @ colours)
    palette = Palette(states.shape[1] - 1, params.base.size, params.base.frames)
    palette.colour.weight.data, palette.colour.bias.data = solution[:-1].T.contiguous(), solution[-1]
    with replacing(output) as partial:
        palette.save_pretrained(partial)
    loss = (states @ solution - colours).square().mean().item()
    return TrainResult(
        {"loss": loss, "spread": colours.var().item()}, [{"step": 1, "learning_rate": 0.0, "loss": loss}]
    )


def assemble(output: Path, *, text_encoder: Path, palette: Path) -> None:
    """Write the pipeline's folder."""
    with replacing(output) as partial:
        FlatPipeline(*load_text_encoder(text_encoder), Palette.from_pretrained(palette)).save_pretrained(partial)


def folders(params: Params) -> Mapping[str, Any]:
    """What the pipeline is assembled from."""
    return {"text_encoder": TEXT_ENCODER, "palette": model_folder("flat", "palette")}


SPEC = SystemSpec(
    name="flat",
    title="text → one colour",
    pipeline=f"{__name__}:FlatPipeline",
    control=lambda params: "none",
    parts=(
        Part(
            "palette",
            "Learn colours of captions",
            f"{__name__}:train_palette",
            lambda params: {"text_encoder": TEXT_ENCODER},
            ("flat",),
        ),
    ),
    assemble=f"{__name__}:assemble",
    arguments=folders,
    sections=("flat",),
    params={"flat": FlatParams},
)


@pytest.fixture
def project(scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with clips, a text encoder and parameters, where commands run."""
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
    values["base"] |= {"size": 32, "frames": 4}
    values["evaluate"] |= {"clips": 8, "bootstrap": 2}
    values["flat"] = {"ridge": 0.001}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(values))
    shutil.copytree(scenes / "clips", tmp_path / "data" / "clips")
    table = read_table(tmp_path / "data/clips/clips.parquet")
    table = table.assign(split=np.where(np.arange(len(table)) < 12, "train", "test"), label=None)
    write_table(table, tmp_path / "data/clips/clips.parquet")
    shutil.copytree(scenes / "text", tmp_path / TEXT_ENCODER)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_system_of_one_file_is_made_judged_and_used(project: Path) -> None:
    with registered(SPEC):
        metrics = run_stage("train_palette", "flat")
        assert metrics["loss"] < 0.5 * metrics["spread"]
        assert (project / "models/flat/palette/code.json").is_file()
        run_stage("assemble", "flat")
        found = run_stage("evaluate", "flat")
        assert json.loads((project / "reports/flat/metrics.json").read_text()).keys() <= found.keys()
        assert (project / "reports/flat/index.html").is_file()
        assert "flat" in compare(project / "reports")

        (project / "prompts.txt").write_text("a red circle moves left to right\na blue square moves left to right\n")
        rows = generate("prompts.txt", model="models/flat", output="videos")
        assert len(rows) == 2
        assert all((project / "videos" / row["video"]).stat().st_size for row in rows)
        pipeline = find_system("flat").pipeline_class.from_pretrained("models/flat")
        captions = [row["caption"] for row in rows]
        red, blue = pipeline(captions).frames[:, 0, 0, 0]
        assert red[0] - blue[0] > 0.02 < blue[2] - red[2]
    with pytest.raises(Exception, match="unknown key flat"):
        load_params()
