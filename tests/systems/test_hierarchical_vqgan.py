from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sketch2video.controls import NONE
from sketch2video.curves import CurveSequence
from sketch2video.errors import UserError
from sketch2video.systems.hierarchical_vqgan.pipeline import HierarchicalVQGANPipeline, assemble
from sketch2video.systems.loading import load_pipeline
from tests.conftest import tiny_vqgan_pipeline

CAPTIONS = ["a red circle moves left to right", "a blue star grows"]


@pytest.fixture(scope="module")
def pipeline(tiny_vqgan_pipeline_folder: Path) -> HierarchicalVQGANPipeline:
    return load_pipeline(tiny_vqgan_pipeline_folder)


def seeds(*numbers: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(number) for number in numbers]


def pictures(count: int, frames: int, size: int = 32, channels: tuple[int, ...] = (3,)) -> np.ndarray:
    return np.random.default_rng(0).integers(256, size=(count, frames, size, size, *channels)).astype(np.uint8)


def test_a_loaded_pipeline_answers_as_the_saved_one(pipeline: HierarchicalVQGANPipeline) -> None:
    saved = tiny_vqgan_pipeline()
    assert tuple(pipeline.config.sampling[name] for name in ("temperature", "top_p", "top_k")) == (0.9, 0.95, 0)
    assert (pipeline.control, pipeline.samplers, pipeline.longest) == (NONE, (), None)
    assert pipeline.latent_numbers == 16 + 4
    both = [each(CAPTIONS, num_frames=3, generator=seeds(1, 2)).frames for each in (saved, pipeline)]
    np.testing.assert_array_equal(*both)


@pytest.mark.parametrize(
    ("output_type", "kind"), [("np", np.ndarray), ("pt", torch.Tensor), ("pil", list), ("latent", list)]
)
def test_output_types(pipeline: HierarchicalVQGANPipeline, output_type: str, kind: type) -> None:
    frames = pipeline(CAPTIONS, num_frames=3, generator=seeds(1, 2), output_type=output_type).frames
    assert isinstance(frames, kind)
    if output_type == "np":
        assert frames.shape == (2, 3, 32, 32, 3)
        assert 0 <= frames.min() <= frames.max() <= 1
    if output_type == "latent":
        assert [tuple(level.shape) for level in frames] == [(2, 3, 4, 4), (2, 3, 2, 2)]
    assert list(pipeline.timings.seconds) == ["captions", "tokens", "decoding"]


def test_lengths_are_free_and_the_default_is_that_of_training(pipeline: HierarchicalVQGANPipeline) -> None:
    assert pipeline(CAPTIONS[0], generator=seeds(0)).frames.shape[:2] == (1, 8)
    assert pipeline(num_frames=19, generator=seeds(0)).frames.shape[:2] == (1, 19)


def test_a_video_depends_on_its_own_caption_and_generator_alone(pipeline: HierarchicalVQGANPipeline) -> None:
    together = pipeline(CAPTIONS, num_frames=7, generator=seeds(1, 2), output_type="latent").frames
    alone = pipeline(CAPTIONS[1:], num_frames=7, generator=seeds(2), output_type="latent").frames
    for both, single in zip(together, alone, strict=True):
        torch.testing.assert_close(both[1:], single)


def test_the_number_of_inference_steps_means_nothing(pipeline: HierarchicalVQGANPipeline) -> None:
    videos = [
        pipeline(CAPTIONS, num_frames=2, num_inference_steps=steps, generator=seeds(1, 2), return_dict=False)[0]
        for steps in (1, 50)
    ]
    np.testing.assert_array_equal(*videos)


def test_a_video_goes_on_from_given_frames(pipeline: HierarchicalVQGANPipeline) -> None:
    given = pictures(2, 3, size=64)
    tokens = pipeline(CAPTIONS, num_frames=6, frames=given, generator=seeds(1, 2), output_type="latent").frames
    for level, known in zip(tokens, pipeline.encode(given), strict=True):
        torch.testing.assert_close(level[:, :3], known)
    other = pipeline(CAPTIONS, num_frames=6, frames=255 - given, generator=seeds(1, 2), output_type="latent").frames
    assert any(not torch.equal(a[:, 3:], b[:, 3:]) for a, b in zip(tokens, other, strict=True))


def test_control_videos_are_followed() -> None:
    pipeline = tiny_vqgan_pipeline(control_channels=3)
    first, second = (
        pipeline(CAPTIONS, control=control, generator=seeds(1, 2), temperature=0.0, output_type="latent").frames
        for control in (pictures(2, 5), np.zeros((2, 5, 32, 32, 3), np.uint8))
    )
    assert first[0].shape[1] == 5
    assert any(not torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_where_sketches_are_followed_the_system_draws_first(tmp_path: Path) -> None:
    made = tiny_vqgan_pipeline(control_channels=1)
    made.save_pretrained(tmp_path)
    pipeline = load_pipeline(tmp_path)
    out = pipeline(CAPTIONS, num_frames=3, generator=seeds(1, 2))
    assert out.sketches.shape == (2, 3, 32, 32)
    assert [len(sequence) for sequence in out.curves] == [3, 3]
    assert list(pipeline.timings.seconds) == ["captions", "curves", "tokens", "decoding"]
    again = pipeline(CAPTIONS, curves=out.curves, generator=seeds(3, 4))
    np.testing.assert_array_equal(again.sketches, out.sketches)
    given = pipeline(CAPTIONS, sketches=pictures(2, 4, channels=()), generator=seeds(1, 2))
    assert given.curves is None
    assert given.frames.shape[1] == 4


def test_parts_become_a_pipeline(pipeline: HierarchicalVQGANPipeline, tmp_path: Path) -> None:
    pipeline.tokenizer.save_pretrained(tmp_path / "text")
    pipeline.text_encoder.save_pretrained(tmp_path / "text")
    pipeline.vqgan.save_pretrained(tmp_path / "vqgan")
    pipeline.transformer.save_pretrained(tmp_path / "transformer")
    parts = {"text_encoder": tmp_path / "text", "vqgan": tmp_path / "vqgan"}
    sampling = {"temperature": 0.9, "top_k": 0, "top_p": 0.95}
    how = {"guidance_scale": 2.0, "control_guidance_scale": 0.5}
    assemble(tmp_path / "model", **parts, token_transformer=tmp_path / "transformer", sampling=sampling | how)
    assert load_pipeline(tmp_path / "model").config.sampling == sampling | how
    assemble(tmp_path / "model", **parts, token_transformer=tmp_path / "transformer", sampling=sampling)
    both = [
        each(CAPTIONS, num_frames=2, generator=seeds(1, 2)).frames
        for each in (pipeline, load_pipeline(tmp_path / "model"))
    ]
    np.testing.assert_array_equal(*both)
    with pytest.raises(UserError, match="dvc repro train_token_transformer"):
        assemble(tmp_path / "model", **parts, token_transformer=tmp_path / "nothing")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"captions": [" "]}, "a caption is ' '"),
        ({"num_frames": 0}, "num_frames is 0"),
        ({"fps": 0.0}, "fps is 0.0"),
        ({"output_type": "gif"}, "output_type is 'gif'"),
        ({"top_p": 0.0}, "top_p is 0.0; it should be greater than 0"),
        ({"captions": ["a", "b"], "generator": seeds(1)}, "numbers of videos disagree"),
        ({"frames": pictures(1, 3), "num_frames": 2}, "num_frames is 2, but 3 frames were given"),
        ({"frames": pictures(1, 3)[..., :2]}, "expected square uint8"),
        ({"control": pictures(1, 3)}, "control was given, .* token_transformer.control: video"),
        ({"sketches": pictures(1, 3, channels=())}, "sketches was given, .* token_transformer.control: sketch"),
        (
            {"curves": [CurveSequence(np.zeros((3, 1, 2, 2), np.float32), np.ones((3, 1), np.float32))]},
            "curves was given",
        ),
    ],
)
def test_arguments_that_do_not_belong_together(
    pipeline: HierarchicalVQGANPipeline, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        pipeline(**arguments)
