"""A control of a user's own, defined in this file alone: trained with, saved, loaded, generated with and evaluated."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from sketch2video.autoencoder.latents import encode_latents
from sketch2video.autoencoder.training import clip_dataset, frames_at, train_autoencoder
from sketch2video.controls import SKETCH, Control, register_control, unregister_control
from sketch2video.data.clips.datasets import ShardDataset, clips_of_split
from sketch2video.data.clips.shards import ShardReader, read_table, write_table
from sketch2video.diffusion.training import VideoLDMTask, train_video_ldm
from sketch2video.errors import UserError
from sketch2video.evaluation.evaluate import Data, evaluate
from sketch2video.params import Params
from sketch2video.systems.text_ldm.pipeline import TextToVideoPipeline, assemble
from sketch2video.text.encoder import TextCondition
from sketch2video.training.checkpoints import folder_for
from sketch2video.training.loop import SilentLogger
from tests.conftest import tiny_parts
from tests.scenes_data import CLIPS, FRAMES, SIZE
from tests.small_data import small_params


class Depth(Control):
    """One channel as the sketch has, but no drawing: how bright a pixel is stands for how near it is."""

    name = "depth"
    channels = 1

    def arrays(self, clips: Path, curves: Path) -> dict[str, Path]:
        return {"frames": clips}

    def pictures(
        self,
        batch: dict[str, Tensor],
        height: int,
        width: int,
        corruption: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        return batch["frames"].float().mean(-1).unsqueeze(2) / 255


class Edges(Depth):
    """Where brightness changes: line drawings that no curves are fitted to."""

    name = "edges"
    lines = True

    def pictures(self, *arguments, **named) -> Tensor:
        depth = super().pictures(*arguments, **named)
        return (depth - depth.roll(1, -1)).abs().clamp(0, 1)


DEPTH, EDGES = Depth(), Edges()


@pytest.fixture(autouse=True, scope="module")
def registered() -> Iterator[None]:
    register_control(DEPTH)
    register_control(EDGES)
    yield
    unregister_control("edges")
    unregister_control("depth")


@pytest.fixture(scope="module")
def model(scenes: Path, tmp_path_factory: pytest.TempPathFactory, registered: None) -> Path:
    """The text system's pipeline, trained with depths for a few steps."""
    folder = tmp_path_factory.mktemp("depth")
    where = {"clips": scenes / "clips", "curves": scenes / "curves", "checkpoints": folder / "checkpoints"}
    autoencoder, video_ldm, latents = (folder / name for name in ("autoencoder", "video_ldm", "latents"))
    params, logger = small_params("autoencoder", 3, width=16), SilentLogger()
    train_autoencoder(params, logger, autoencoder, control="depth", **where)
    encode_latents(latents, clips=scenes / "clips", autoencoder=autoencoder)
    params = small_params("video_ldm", 8, width=32, layers=2, heads=2)
    parts = {"text_encoder": scenes / "text", "autoencoder": autoencoder}
    trained = train_video_ldm(params, logger, video_ldm, control="depth", latents=latents, **parts, **where)
    assert "loss_test_without_control" in trained.metrics
    assemble(folder / "text_ldm", **parts, video_ldm=video_ldm)
    return folder / "text_ldm"


@pytest.fixture(scope="module")
def pipeline(model: Path) -> TextToVideoPipeline:
    loaded = TextToVideoPipeline.from_pretrained(model)
    loaded.set_progress_bar_config(disable=True)
    return loaded


def test_a_trained_pipeline_knows_its_control(pipeline) -> None:
    assert pipeline.control is DEPTH
    for part in (pipeline.transformer, pipeline.autoencoder):
        assert (part.config.control, part.config.control_channels) == ("depth", 1)


def test_it_is_generated_with(pipeline, scenes: Path) -> None:
    rows = clips_of_split(scenes / "clips" / "clips.parquet", "test").head(2)
    given = DEPTH.given(rows, scenes / "clips", scenes / "curves", SIZE)["control"]
    frames = ShardReader(scenes / "clips").batch("frames", rows)
    np.testing.assert_array_equal(given, frames.mean(-1, keepdims=True).round())
    asked = {"num_inference_steps": 2, "control_guidance_scale": 2.0}

    def videos(control: np.ndarray | None) -> np.ndarray:
        generators = [torch.Generator().manual_seed(seed) for seed in range(2)]
        return pipeline(rows["caption"].tolist(), control=control, generator=generators, **asked).frames

    made = videos(given)
    assert made.shape == (2, FRAMES, SIZE, SIZE, 3)
    assert np.isfinite(made).all()
    np.testing.assert_array_equal(made, videos(given))
    assert np.abs(made - videos(255 - given)).max() > 0.01
    assert np.abs(made - videos(None)[:, :FRAMES]).max() > 0.01
    with pytest.raises(ValueError, match=r"expected square uint8 \(N, T, H, H, 1\)"):
        videos(given.repeat(3, -1))


def test_it_is_evaluated_with(model: Path, scenes: Path, tmp_path: Path) -> None:
    values = small_params("video_ldm", 1).model_dump(by_alias=True)
    values["evaluate"] |= {"clips": 8, "num_inference_steps": 1, "bootstrap": 0}
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "shards").symlink_to(scenes / "clips" / "shards")
    write_table(read_table(scenes / "clips" / "clips.parquet").assign(label=None), tmp_path / "clips" / "clips.parquet")
    data = Data(tmp_path / "clips", tmp_path / "sketches", tmp_path / "curves")
    folders = {"reports": tmp_path / "reports", "checkpoints": tmp_path / "checkpoints"}
    evaluation = evaluate(Params.model_validate(values), data=data, system="text_ldm", model=model, **folders)
    assert list(evaluation.seconds_per_clip) == ["text", "control", "alone"]
    assert {"psnr_control", "flicker", "flicker_control"} <= evaluation.metrics().keys()
    assert evaluation.left_out["control_px_control"] == "needs a control of line drawings"
    page = (tmp_path / "reports" / "index.html").read_text()
    assert 'alt="control"' in page
    assert 'alt="made after control"' in page
    assert "<th>after control</th>" in page


def test_it_does_not_pass_for_a_sketch(tmp_path: Path) -> None:
    parts = tiny_parts(control_channels=1, control="depth")
    pipeline = TextToVideoPipeline(**parts)
    assert pipeline.control.name == "depth"
    pipeline.save_pretrained(tmp_path)
    again = TextToVideoPipeline.from_pretrained(tmp_path)
    assert again.control.name == "depth"
    again.save_pretrained(tmp_path / "again")
    assert TextToVideoPipeline.from_pretrained(tmp_path / "again").control is DEPTH


def test_where_it_is_not_registered_it_is_named(tmp_path: Path) -> None:
    pipeline = TextToVideoPipeline(**tiny_parts(control_channels=1, control="depths"))
    with pytest.raises(UserError, match="depths; choose one of none, sketch, video, depth, edges,"):
        pipeline.control  # noqa: B018 (it is the access that fails)


def test_only_lines_weigh_more_in_the_loss(scenes: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    parts = tiny_parts(control_channels=1)
    parts["autoencoder"].save_pretrained(tmp_path / "autoencoder")
    encode_latents(tmp_path / "latents", clips=scenes / "clips", autoencoder=tmp_path / "autoencoder")
    text = TextCondition(torch.randn(CLIPS, 3, 16), torch.ones(CLIPS, 3, dtype=torch.bool))

    def losses(control: Control) -> list[float]:
        table = clips_of_split(control.table(scenes / "clips", scenes / "curves"), "train")
        arrays = {"latents": tmp_path / "latents", **control.arrays(scenes / "clips", scenes / "curves")}
        dataset, found = ShardDataset(table, arrays, ["fps"]), []
        for weight in (0.0, 4.0):
            section = small_params("video_ldm", 1, ink_weight=weight).video_ldm
            task = VideoLDMTask(parts["transformer"], section, control, parts["autoencoder"], text, text, dataset)
            loss, _ = task.loss(dataset.batch(range(8)), torch.Generator().manual_seed(0), 0.0)
            found.append(loss.item())
        return found

    without, weighed = losses(DEPTH)
    assert without == weighed
    for control in (EDGES, SKETCH):
        without, weighed = losses(control)
        assert abs(weighed - without) > 1e-4


def test_the_autoencoder_weighs_the_lines_that_its_decoder_sees_or_else_those_of_the_curves(scenes: Path) -> None:
    found = {}
    for control in (SKETCH, DEPTH, EDGES):
        batch = clip_dataset(control, scenes / "clips", scenes / "curves", "train").batch(range(4))
        found[control.name] = frames_at(control, batch, torch.tensor([0, 1, 2, 3]))
    drawn = found["sketch"][1]
    assert torch.equal(found["depth"][1], drawn)
    assert torch.equal(found["edges"][1], found["edges"][2])
    assert not torch.equal(found["edges"][1], drawn)
    grey = (found["depth"][0] + 1).mean(1, keepdim=True) / 2
    torch.testing.assert_close(found["depth"][2], grey)


def test_another_definition_is_another_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A control is no part of the package, and yet what was trained with another one is not taken for its result."""
    assert DEPTH.code == [__file__]
    other = tmp_path / "depth.py"
    other.write_text(Path(__file__).read_text().replace("mean(-1)", "amax(-1)"))
    folders = {folder_for("video_ldm", {}, [], tmp_path, code=code) for code in (DEPTH.code, EDGES.code, [other])}
    assert len(folders) == 2


def test_the_table_is_that_of_the_clips(scenes: Path) -> None:
    assert len(read_table(DEPTH.table(scenes / "clips", Path("nowhere")))) == CLIPS
