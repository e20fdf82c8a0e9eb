import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import FlowMatchHeunDiscreteScheduler

from sketch2video.errors import UserError
from sketch2video.systems import TextToVideoPipeline
from sketch2video.systems.loading import load_pipeline
from sketch2video.systems.text_ldm.pipeline import assemble
from tests.conftest import tiny_parts

CAPTIONS = ["a red circle moves left to right", "a blue star grows"]
STEPS = {"num_inference_steps": 2}


def shaken(pipeline: TextToVideoPipeline) -> TextToVideoPipeline:
    """Untrained, but with weights away from their initial zeros, so that every condition has influence."""
    pipeline.set_progress_bar_config(disable=True)
    generator = torch.Generator().manual_seed(0)
    for parameter in pipeline.transformer.parameters():
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator)
    return pipeline


@pytest.fixture(scope="module")
def pipeline(tiny_text_pipeline_folder: Path) -> TextToVideoPipeline:
    return shaken(TextToVideoPipeline.from_pretrained(tiny_text_pipeline_folder))


@pytest.fixture(scope="module")
def following() -> TextToVideoPipeline:
    """A pipeline that follows control videos and knows no known frames."""
    return shaken(TextToVideoPipeline(**tiny_parts(control_channels=3)))


def seeded(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def pictures(videos: int, frames: int, size: int = 32) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (videos, frames, size, size, 3), np.uint8)


def test_captions_become_videos(pipeline) -> None:
    out = pipeline(CAPTIONS, **STEPS, generator=seeded(0, 1))
    assert out.frames.shape == (2, 8, 32, 32, 3)
    assert out.frames.dtype == np.float32
    assert 0 <= out.frames.min() < out.frames.max() <= 1
    assert out.curves is None
    assert out.sketches is None


@pytest.mark.parametrize("num_frames", [8, 20])
def test_a_video_depends_on_its_seed_and_not_on_its_batch(pipeline, num_frames: int) -> None:
    arguments = {**STEPS, "num_frames": num_frames}
    together = pipeline([*CAPTIONS, CAPTIONS[0]], **arguments, generator=seeded(5, 6, 7)).frames
    alone = pipeline(CAPTIONS[1], **arguments, generator=seeded(6)).frames
    np.testing.assert_allclose(together[1:2], alone, atol=0.05)  # sums in bfloat16 round by the size of a batch
    assert np.abs(together[1:2] - alone).mean() < 0.1 * np.abs(together[0] - together[2]).mean()


def test_a_new_process_makes_the_same_video(tiny_text_pipeline_folder: Path, tmp_path: Path) -> None:
    script = (
        "import sys, numpy, torch; from sketch2video.systems import TextToVideoPipeline as P;"
        "p = P.from_pretrained(sys.argv[1]); g = [torch.Generator().manual_seed(3)];"
        "numpy.save(sys.argv[2], p('a blue star grows', 10, num_inference_steps=2, generator=g).frames)"
    )
    file = tmp_path / "frames.npy"
    subprocess.run([sys.executable, "-c", script, tiny_text_pipeline_folder, file], check=True, capture_output=True)
    here = TextToVideoPipeline.from_pretrained(tiny_text_pipeline_folder)
    np.testing.assert_allclose(
        np.load(file), here("a blue star grows", 10, **STEPS, generator=seeded(3)).frames, atol=1e-5
    )
    kinds = {path.suffix for path in tiny_text_pipeline_folder.rglob("*") if path.is_file()}
    assert kinds <= {".safetensors", ".json"}


def test_without_captions_there_are_videos_of_anything(pipeline) -> None:
    out = pipeline(num_videos=3, num_frames=5, num_inference_steps=1, generator=seeded(0, 1, 2))
    assert out.frames.shape == (3, 5, 32, 32, 3)
    arguments = {**STEPS, "num_frames": 4, "guidance_scale": 1.0}
    anything = pipeline(**arguments, num_videos=1, generator=seeded(0)).frames
    captioned = pipeline(CAPTIONS[0], **arguments, generator=seeded(0)).frames
    assert np.abs(anything - captioned).max() > 0.005


def test_the_caption_its_guidance_and_the_frame_rate_matter(pipeline) -> None:
    arguments = {"captions": CAPTIONS[0], **STEPS, "num_frames": 4, "guidance_scale": 1.0}
    plain = pipeline(**arguments, generator=seeded(0)).frames
    for change in ({"captions": CAPTIONS[1]}, {"guidance_scale": 5.0}, {"fps": 30.0}):
        assert np.abs(pipeline(**{**arguments, **change}, generator=seeded(0)).frames - plain).max() > 0.005, change


def test_a_control_video_is_followed(following) -> None:
    shown = pictures(1, 6)
    first = following(CAPTIONS[0], control=shown, **STEPS, generator=seeded(0)).frames
    other = following(CAPTIONS[0], control=255 - shown, **STEPS, generator=seeded(0)).frames
    assert first.shape == (1, 6, 32, 32, 3)
    assert np.abs(first - other).max() > 0.01
    anything = following(control=shown, **STEPS, generator=seeded(0)).frames
    assert np.abs(first - anything).max() > 0.005
    assert following(control=pictures(1, 2, size=64), num_inference_steps=1).frames.shape == (1, 2, 32, 32, 3)


def test_one_frame_and_many(pipeline) -> None:
    for count in (1, 2, 9, 30):
        frames = pipeline(CAPTIONS[0], count, num_inference_steps=1, output_type="latent").frames
        assert frames.shape == (1, count, 4, 8, 8)
        assert frames.isfinite().all()


class Network:
    """In the place of the transformer's forward pass: every frame moves on by the same step, as its neighbours do.

    Without known frames the first is at 0 and the last at 1. Calls are recorded.
    """

    def __init__(self) -> None:
        self.calls: list[dict] = []

    def __call__(self, latents, timestep, *, fps, known=None, known_mask=None, **conditions):
        self.calls.append({"fps": fps, "mask": known_mask, "shape": latents.shape, **conditions})
        time = torch.arange(latents.shape[1])
        if known is None:
            place = (time / max(1, len(time) - 1)).expand(len(latents), -1)
        else:
            rows = [
                np.interp(time, time[mask], row[mask])
                for row, mask in zip(known[:, :, 0, 0, 0].numpy(), known_mask, strict=True)
            ]
            place = torch.tensor(np.stack(rows))
        return (latents - place.view(*latents.shape[:2], 1, 1, 1).float()) / timestep.view(-1, 1, 1, 1, 1)


@pytest.fixture
def network(pipeline, monkeypatch: pytest.MonkeyPatch) -> Network:
    network = Network()
    monkeypatch.setattr(pipeline.transformer, "forward", network)
    return network


def test_interpolating_a_straight_motion_gives_the_straight_line(pipeline, network) -> None:
    latents = pipeline(num_videos=2, num_frames=57, **STEPS, output_type="latent").frames
    line = torch.arange(57) / 56  # key frames are 8 apart: 0, 8, ..., 56
    torch.testing.assert_close(latents, line.view(1, -1, 1, 1, 1).expand_as(latents), atol=1e-4, rtol=0)


def test_frame_rates_double_from_round_to_round(pipeline, network) -> None:
    pipeline(CAPTIONS[0], num_frames=57, fps=16.0, guidance_scale=1.0, num_inference_steps=1)
    rates = [call["fps"].unique().tolist() for call in network.calls]
    assert rates == sorted(rates)
    assert {rate for (rate,) in rates} == {2.0, 4.0, 8.0, 16.0}
    assert network.calls[0]["mask"] is None
    assert network.calls[0]["shape"][1] == 8
    for call in network.calls[1:]:
        assert (call["mask"] == (torch.arange(call["shape"][1]) % 2 == 0)).all()
        assert len(call["text"]) == call["shape"][0]


def test_the_work_grows_as_the_frames_do(pipeline, network) -> None:
    rows = []
    for frames in (120, 240, 480):
        network.calls.clear()
        pipeline(num_frames=frames, num_inference_steps=1, output_type="latent")
        assert max(call["shape"][0] for call in network.calls) <= 16
        assert max(call["shape"][1] for call in network.calls) <= 8
        rows.append(sum(call["shape"][0] for call in network.calls))
    assert rows[1] / rows[0] == pytest.approx(2, rel=0.15)
    assert rows[2] / rows[1] == pytest.approx(2, rel=0.15)


@pytest.mark.parametrize(
    ("num_frames", "positions"), [(8, None), (8, [0, 3, 7]), (8, [5, 1, 2]), (29, [0, 28, 12]), (3, [0, 1, 2])]
)
def test_given_frames_are_in_the_video_as_they_were_given(pipeline, num_frames: int, positions) -> None:
    given = pictures(2, 3)
    arguments = {"frames": given, "frame_positions": positions, "num_frames": num_frames, **STEPS}
    out = pipeline(CAPTIONS, **arguments, generator=seeded(0, 1), output_type="latent").frames
    assert torch.equal(out[:, positions or [0, 1, 2]], pipeline.encode(given))
    if num_frames > 3:
        other = pipeline(
            CAPTIONS, **{**arguments, "frames": 255 - given}, generator=seeded(0, 1), output_type="latent"
        ).frames
        changed = (out - other).abs().amax((0, 2, 3, 4)) > 1e-5
        assert changed.all(), "what is given has influence on all frames"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"captions": ["a star", " "]}, "a caption is ' '; give words"),
        ({"captions": []}, "numbers of videos disagree or are zero: captions 0"),
        ({"captions": CAPTIONS, "generator": [torch.Generator()]}, "captions 2, generator 1"),
        ({"control": pictures(1, 2)}, "control was given, but this model was trained without"),
        ({"captions": CAPTIONS, "frames": pictures(1, 2)}, "captions 2, frames 1"),
        ({"frames": pictures(1, 2)[..., :2]}, r"frames is uint8 .* expected square uint8 \(N, T, H, H, 3\)"),
        ({"frames": pictures(1, 2), "frame_positions": [0]}, r"frame_positions are \[0\] for 2 frames"),
        ({"frames": pictures(1, 2), "frame_positions": [1, 1]}, r"frame_positions are \[1, 1\]"),
        ({"frames": pictures(1, 1), "frame_positions": [8]}, r"of a video of 8; give each its own index"),
        ({"frames": pictures(1, 2), "num_frames": 15}, "begins with key frames 2 apart; give multiples of 2"),
        ({"frame_positions": [1]}, r"frame_positions are \[1\] for 0 frames"),
        ({"num_frames": 0, "fps": -1.0}, "fps is -1.0; it must be above 0"),
        ({"num_inference_steps": 0}, "num_inference_steps is 0; it should be"),
        ({"output_type": "gif"}, "choose np, pt, pil or latent"),
    ],
)
def test_arguments_that_do_not_belong_together_are_refused(pipeline, arguments, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pipeline(**arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_frames": 9}, "num_frames is 9, but this model makes 8; .* text_ldm.known_frames"),
        ({"frames": pictures(1, 1)}, "frames were given, .* text_ldm.known_frames"),
        ({"control": pictures(1, 2), "num_frames": 5}, "num_frames is 5, but control has 2 frames"),
        ({"control": pictures(1, 2).astype(np.float32)}, "control is float32"),
    ],
)
def test_a_model_without_known_frames_says_which_parameter_gives_them(following, arguments, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        following(**arguments)


def test_the_parts_are_assembled(tiny_text_pipeline_folder: Path, tmp_path: Path) -> None:
    folders = {"autoencoder": "autoencoder", "video_ldm": "transformer"}
    folders = {name: tiny_text_pipeline_folder / folder for name, folder in folders.items()}
    shutil.copytree(tiny_text_pipeline_folder / "text_encoder", tmp_path / "text")
    shutil.copytree(tiny_text_pipeline_folder / "tokenizer", tmp_path / "text", dirs_exist_ok=True)
    assemble(tmp_path / "pipeline", text_encoder=tmp_path / "text", **folders)

    arguments = {"captions": CAPTIONS[0], "num_inference_steps": 1}
    first, second = (
        TextToVideoPipeline.from_pretrained(folder)(**arguments, generator=seeded(1)).frames
        for folder in (tiny_text_pipeline_folder, tmp_path / "pipeline")
    )
    np.testing.assert_array_equal(first, second)

    how = {"num_inference_steps": 5, "guidance_scale": 2.0, "control_guidance_scale": 0.5}
    assemble(tmp_path / "pipeline", text_encoder=tmp_path / "text", **folders, sampling=how, sampler="heun")
    written = load_pipeline(tmp_path / "pipeline")
    assert written.config.sampling == how
    assert isinstance(written.scheduler, FlowMatchHeunDiscreteScheduler)

    with pytest.raises(UserError, match="nowhere cannot be loaded as VideoTransformer"):
        assemble(tmp_path / "other", text_encoder=tmp_path / "text", **{**folders, "video_ldm": tmp_path / "nowhere"})
    assert not (tmp_path / "other").exists()


def test_windows_between_key_frames_have_the_mask_of_the_whole_video(monkeypatch: pytest.MonkeyPatch) -> None:
    spectra = {"near_deviations": [4.0, 2.0], "still_deviations": [2.0, 0.1], "whitening": 0.5}
    pipeline = TextToVideoPipeline(**tiny_parts(control_channels=1, known_frames=True, **spectra))
    pipeline.set_progress_bar_config(disable=True)
    network = Network()
    monkeypatch.setattr(pipeline.transformer, "forward", network)
    control = np.zeros((2, 20, 32, 32, 1), np.uint8)
    for frame in range(20):
        control[0, frame, 4:12, frame] = 255
    control[1, :, :16] = 255
    pipeline(CAPTIONS, control=control, generator=seeded(0, 1), num_inference_steps=1, output_type="latent")
    drawn = (slice(4), slice(6)), (slice(5), slice(None))  # in cells of 4 px, with those half a cell away
    expected = torch.ones(2, 1, 8, 8, dtype=torch.bool)
    for video, (rows, columns) in enumerate(drawn):
        expected[video, :, rows, columns] = False
    assert len(network.calls) >= 3
    for call in network.calls:
        assert torch.equal(call["still"], expected.repeat(len(call["fps"]) // 2, 1, 1, 1))  # the videos in turn
