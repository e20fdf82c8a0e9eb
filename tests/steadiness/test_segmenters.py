"""Segmenters by name, with a tiny untrained SAM that is saved here."""

import numpy as np
import pytest
import torch
from transformers import (
    BertConfig,
    SamConfig,
    SamImageProcessorPil,
    SamMaskDecoderConfig,
    SamModel,
    SamProcessor,
    SamPromptEncoderConfig,
    SamVisionConfig,
)

from sketch2video.errors import UserError
from sketch2video.steadiness import segmenters
from sketch2video.steadiness.foreground import moving_foreground
from sketch2video.steadiness.segmenters import prompts_of, sam_foreground, segment

SIDE = 64
"""Of the tiny SAM's pictures, px."""


@pytest.fixture(scope="module")
def sam(tmp_path_factory):
    """A SAM that answers by chance, but always alike; saved with its processor."""
    torch.manual_seed(0)
    config = SamConfig(
        vision_config=SamVisionConfig(
            hidden_size=16,
            output_channels=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            image_size=SIDE,
            patch_size=8,
            window_size=4,
            global_attn_indexes=[0],
            num_pos_feats=8,
            initializer_range=0.5,
        ),
        prompt_encoder_config=SamPromptEncoderConfig(
            hidden_size=16, image_size=SIDE, patch_size=8, mask_input_channels=4
        ),
        mask_decoder_config=SamMaskDecoderConfig(
            hidden_size=16, mlp_dim=16, num_attention_heads=2, iou_head_hidden_dim=16
        ),
    )
    folder = tmp_path_factory.mktemp("sam")
    model = SamModel(config)
    for one in model.parameters():
        if one.ndim > 1:
            torch.nn.init.normal_(one, std=0.5)
    model.save_pretrained(folder)
    sizes = {"size": {"longest_edge": SIDE}, "pad_size": {"height": SIDE, "width": SIDE}}
    SamProcessor(SamImageProcessorPil(**sizes)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def clip():
    """A red square crosses a grey ground of another proportion than SAM's pictures: (6, 32, 48, 3)."""
    rng = np.random.default_rng(0)
    frames = np.repeat(rng.integers(100, 110, (1, 32, 48, 3)).astype(np.uint8), 6, 0)
    for t, frame in enumerate(frames):
        frame[10:20, 4 + 6 * t : 14 + 6 * t] = (220, 30, 30)
    return frames


def test_motion_is_a_segmenter(clip):
    found = segment(clip, "motion")
    assert found.any()
    np.testing.assert_array_equal(found, moving_foreground(clip))


def test_sams_masks_have_the_frames_size_and_are_always_the_same(sam, clip):
    found = segment(clip, str(sam))
    assert found.shape == clip.shape[:3]
    assert found.dtype == bool
    assert 0 < found.mean() < 1
    np.testing.assert_array_equal(sam_foreground(sam, clip), found)


def test_nothing_is_asked_of_sam_where_nothing_moves(sam, clip):
    assert not sam_foreground(sam, clip[[0, 0, 0]]).any()


def test_boxes_and_points_reach_the_model_in_its_coordinates(sam, clip, monkeypatch):
    seen = []
    forward = SamModel.forward

    def spied(self, **inputs):
        seen.append(inputs)
        return forward(self, **inputs)

    monkeypatch.setattr(SamModel, "forward", spied)
    sam_foreground(sam, clip)
    assert len(seen) == len(clip)
    scale = SIDE / clip.shape[2]
    for t, inputs in enumerate(seen):
        assert inputs["pixel_values"].shape == (1, 3, SIDE, SIDE)
        left, top, right, bottom = inputs["input_boxes"][0, 0].tolist()
        np.testing.assert_allclose([left, right], np.array([4 + 6 * t, 14 + 6 * t]) * scale, atol=2.5 * scale)
        np.testing.assert_allclose([top, bottom], np.array([10, 20]) * scale, atol=2.5 * scale)
        np.testing.assert_allclose(inputs["input_points"][0, 0, 0], np.array([9 + 6 * t, 15]) * scale, atol=2.5 * scale)


def test_the_mask_that_sam_thinks_best_is_taken(sam, clip, monkeypatch):
    model, processor = segmenters.load_sam(sam)
    answers = []
    forward = SamModel.forward

    def spied(self, **inputs):
        answers.append(forward(self, **inputs))
        return answers[-1]

    monkeypatch.setattr(SamModel, "forward", spied)
    found = segmenters._prompted(model, processor, clip[0], prompts_of(moving_foreground(clip)[0]))
    best = answers[0].pred_masks[0, 0, answers[0].iou_scores[0, 0].argmax()]
    whole = torch.nn.functional.interpolate(best[None, None], (SIDE, SIDE), mode="bilinear")
    cut = whole[:, :, : round(SIDE * 32 / 48)]  # the rest is padding
    expected = torch.nn.functional.interpolate(cut, (32, 48), mode="bilinear")[0, 0] > 0
    np.testing.assert_array_equal(found, expected.numpy())


def test_each_thing_has_a_box_around_it_and_a_point_inside_it():
    mask = np.zeros((50, 100), bool)
    mask[10:30, 60:90] = True
    mask[12:28, 62:90] = False  # a bracket: the middle of its box is outside
    mask[40:50, 0:20] = True
    boxes, points = prompts_of(mask)
    np.testing.assert_allclose(boxes, [[58, 9, 92, 31], [0, 39, 22, 50]])
    for ((across, down),) in points:
        assert mask[int(down), int(across)]


def test_a_missing_folder_is_one_line(tmp_path, clip):
    with pytest.raises(UserError, match=r"nowhere cannot be loaded as a SAM .*; give motion, a folder") as raised:
        segment(clip, str(tmp_path / "nowhere"))
    assert "\n" not in str(raised.value)


def test_a_model_that_is_no_sam_is_one_line(tmp_path, clip):
    BertConfig().save_pretrained(tmp_path)
    with pytest.raises(UserError, match="holds a model of the kind bert, not sam") as raised:
        segment(clip, str(tmp_path))
    assert "\n" not in str(raised.value)


def test_a_folder_without_weights_is_one_line(tmp_path, sam, clip):
    for name in ("config.json", "processor_config.json"):
        (tmp_path / name).write_bytes((sam / name).read_bytes())
    with pytest.raises(UserError, match="cannot be loaded as a SAM") as raised:
        segment(clip, str(tmp_path))
    assert "\n" not in str(raised.value)
