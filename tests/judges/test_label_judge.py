"""The network that judges drawings by labels of the user's own."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sketch2video.judges.label_judge import LabelJudge, composition
from sketch2video.judges.verdict import judge_clips

LABELS = {"label.action": ["slash", "walk"], "label.shapes": ["circle and circle", "circle and star", "star and star"]}


@pytest.fixture(scope="module")
def judge() -> LabelJudge:
    torch.manual_seed(0)
    return LabelJudge(1, LABELS, width=8, feature_dim=32).eval()


@pytest.mark.parametrize(("frames", "height", "width"), [(8, 64, 64), (16, 64, 64), (3, 32, 32), (5, 96, 128)])
def test_clips_of_any_length_and_size_are_judged(judge, frames, height, width):
    logits, features = judge(torch.rand(2, frames, 1, height, width))
    assert {name: tuple(values.shape) for name, values in logits.items()} == {
        "label.action": (2, 2),
        "label.shapes": (2, 3),
    }
    assert features.shape == (2, 32)
    assert features.dtype == torch.float32


def test_a_verdict_speaks_in_the_judges_own_words(judge):
    clips = np.random.default_rng(0).integers(0, 256, (3, 8, 64, 64), np.uint8)
    verdict = judge_clips(judge, clips, batch_size=2)
    assert set(verdict.words("label.action")) <= set(LABELS["label.action"])
    assert verdict.features.shape == (3, 32)
    np.testing.assert_allclose(verdict.features, judge_clips(judge, clips).features, atol=1e-4)


def test_a_word_is_made_of_its_parts():
    made = composition({"label.shapes": ["circle and circle", "circle and star", "star and star"], "b": ["star", "x"]})
    # A circle, a second circle, a star, a second star; the star and the x of the other label.
    expected = [[1, 1, 0, 0, 0, 0], [1, 0, 1, 0, 0, 0], [0, 0, 1, 1, 0, 0], [0, 0, 0, 0, 1, 0], [0, 0, 0, 0, 0, 1]]
    assert made.tolist() == expected


def test_a_stored_judge_judges_alike(judge, tmp_path):
    clips = torch.rand(2, 4, 1, 64, 64)
    judge.save_pretrained(tmp_path)
    again = LabelJudge.from_pretrained(tmp_path, low_cpu_mem_usage=False).eval()
    assert again.vocabulary == LABELS
    for name, values in judge(clips)[0].items():
        torch.testing.assert_close(again(clips)[0][name], values)
