from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import torch

from sketch2video.data.clips.shards import ShardReader, read_table, shard_path, write_shard, write_table
from sketch2video.diffusion.video_transformer import VideoTransformer
from sketch2video.files import read_json
from sketch2video.networks.temporal_spectrum import TemporalSpectrum, still_positions
from sketch2video.params import Params
from sketch2video.steadiness.file_names import FUSION, STEADIED
from sketch2video.steadiness.tuning import CombinedTuningTask, tune_long_video
from sketch2video.text.encoder import TextCondition
from sketch2video.training.loop import SilentLogger
from tests.small_data import small_params

FRAMES = 4


@pytest.fixture(scope="module")
def project(scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Videos that stand still but for a corner, with the scenes' curves and captions, and an untrained network."""
    folder = tmp_path_factory.mktemp("steadied")
    (folder / "text").symlink_to(scenes / "text")
    table = read_table(scenes / "curves" / "curves.parquet").iloc[:6].assign(shard=0, row=range(6))
    curves = {name: ShardReader(scenes / "curves").batch(name, table) for name in ("coefficients", "visibility")}
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(6, 1, 4, 8, 8, generator=generator).repeat(1, FRAMES, 1, 1, 1)
    foreground = torch.zeros(6, FRAMES, 1, 8, 8, dtype=torch.bool)
    foreground[..., :3, :3] = True
    arrays = {"latents": latents.numpy(), "foreground": foreground.numpy(), **curves}
    write_shard(shard_path(folder / "steadied", 0), arrays, table["clip_id"].tolist(), "steadied")
    write_table(pd.DataFrame(table), folder / "steadied" / STEADIED)
    network().save_pretrained(folder / "video_ldm")
    return folder


def network(**settings: object) -> VideoTransformer:
    torch.manual_seed(0)
    sizes = {"factor": 4, "width": 32, "layers": 1, "heads": 2, "text_width": 32}
    return VideoTransformer(**sizes, sample_size=32, sample_frames=FRAMES, control_channels=1, **settings)


def fast(steps: int) -> Params:
    values = small_params("long_video", steps).model_dump(by_alias=True)
    values["long_video"]["training"]["learning_rate"] = 5e-3
    return Params.model_validate(values)


def tuned(project: Path, folder: Path, params: Params) -> dict[str, float]:
    where = {name: project / name for name in ("steadied", "video_ldm")}
    result = tune_long_video(
        params,
        SilentLogger(),
        folder / "model",
        text_encoder=project / "text",
        checkpoints=folder / "checkpoints",
        **where,
    )
    return result.metrics


def test_what_stands_still_is_learned_and_the_weights_of_the_fusion_with_it(project: Path, tmp_path: Path) -> None:
    metrics = tuned(project, tmp_path, fast(60))
    shorter = tuned(project, tmp_path / "one", fast(2))
    assert metrics["loss"] < 0.9 * shorter["loss"]
    weights = read_json(tmp_path / "model" / FUSION)
    assert weights == {name: metrics[name] for name in ("background_weight", "foreground_weight")}
    assert weights["background_weight"] != 1.0
    VideoTransformer.from_pretrained(tmp_path / "model")


@pytest.mark.parametrize(("part", "rows"), [("foreground", slice(0, 3)), ("background", slice(3, 8))])
def test_a_part_of_the_loss_sees_its_part_of_the_video_alone(part: str, rows: slice) -> None:
    weights = {f"{name}_weight": float(name == part) for name in ("whole", "foreground", "background")}
    params = small_params("long_video", 1, **weights)
    text = TextCondition(torch.randn(2, 3, 32), torch.ones(2, 3, dtype=torch.bool))
    task = CombinedTuningTask(network(), params.long_video, params.video_ldm, text)
    foreground = torch.zeros(2, FRAMES, 1, 8, 8, dtype=torch.bool)
    foreground[..., :3, :] = True
    batch = {
        "latents": torch.randn(2, FRAMES, 4, 8, 8),
        "foreground": foreground,
        "coefficients": torch.zeros(2, FRAMES, 1, 2, 8),
        "visibility": torch.zeros(2, FRAMES, 1),
        "fps": torch.full((2,), 8.0),
        "index": torch.arange(2),
    }
    seen: list[torch.Tensor] = []
    task.module.transformer.register_forward_hook(lambda *call: seen.append(call[-1]))
    loss, terms = task.loss(batch, torch.Generator().manual_seed(0), 0.0)
    (prediction,) = seen
    (gradient,) = torch.autograd.grad(loss, prediction, retain_graph=True)
    inside = torch.zeros(8, dtype=torch.bool)
    inside[rows] = True
    assert gradient[..., inside, :].abs().min() > 0
    assert gradient[..., ~inside, :].abs().max() == 0
    torch.testing.assert_close(loss, terms[part])


def test_the_noise_has_the_spectra_of_the_drawing(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    near, still = [3.0, 2.0, 1.5, 1.0], [2.0, 0.2, 0.1, 0.05]
    params = small_params("long_video", 1, foreground_weight=0.0, background_weight=0.0)
    text = TextCondition(torch.randn(6, 3, 32), torch.ones(6, 3, dtype=torch.bool))
    table = read_table(project / "steadied" / STEADIED)
    reader = ShardReader(project / "steadied")
    names = ("latents", "foreground", "coefficients", "visibility")
    batch = {name: torch.from_numpy(reader.batch(name, table)) for name in names}
    batch |= {"fps": torch.full((6,), 8.0), "index": torch.arange(6)}
    made = network(near_deviations=near, still_deviations=still, temporal_deviations=[1.0], whitening=0.5)
    task = CombinedTuningTask(made, params.long_video, params.video_ldm, text)
    seen: dict[str, torch.Tensor] = {}

    def forward(latents: torch.Tensor, time: torch.Tensor, **others: torch.Tensor) -> torch.Tensor:
        seen.update(others, latents=latents, time=time)
        return 0.0 * latents

    monkeypatch.setattr(made, "forward", forward)
    loss, _ = task.loss(batch, torch.Generator().manual_seed(0), 0.0)
    mask, time = still_positions(seen["control"], 4), seen["time"].view(-1, 1, 1, 1, 1)
    assert torch.equal(seen["still"], mask)
    assert 0 < mask.float().mean() < 1
    noise = (seen["latents"] - (1 - time) * batch["latents"]) / time
    error = noise - batch["latents"]  # of a prediction of zero for the velocity
    filters = [TemporalSpectrum(tuple(deviations), 0.5).filter(FRAMES) for deviations in (still, near)]
    white = torch.where(mask[:, None], *(one.whiten(error) for one in filters))
    assert made.config.objective == "flow"
    torch.testing.assert_close(loss, white.square().mean(), atol=1e-3, rtol=1e-3)
