import json
import shutil

import numpy as np
import pytest
import torch

from sketch2video.curves import fit_curves
from sketch2video.errors import UserError
from sketch2video.judges.scenes_judge import Judge
from sketch2video.judges.shipped import JUDGE_FOLDER, WEIGHTS, judge_path, load_judge, store_judge
from sketch2video.judges.verdict import ATTRIBUTES, Verdict, judge_clips
from sketch2video.scenes.synthetic import combinations, render_scene, sample_scene
from sketch2video.sketches import extract_sketches


def real_clips(number, size=64, frames=16, moving_background=False):
    """Scenes from a seed that neither ingest nor the judges' training uses, every attribute equally often."""
    words = [combinations()[(37 * i) % 216] for i in range(number)]
    scenes = [sample_scene(np.random.default_rng([99, i]), [what], moving_background) for i, what in enumerate(words)]
    return np.stack([render_scene(scene, size, frames).frames for scene in scenes]), words


@pytest.fixture(scope="module")
def real():
    """72 of them, of the usual size and length, and their words. Clip i depends on i alone."""
    return real_clips(72)


def share_right(verdict: Verdict, words) -> float:
    judged = list(zip(*(verdict.words(name) for name in verdict.probabilities), strict=True))
    asked = [tuple(getattr(what, name) for name in verdict.probabilities) for what in words]
    return float(np.mean([a == b for a, b in zip(judged, asked, strict=True)]))


def test_the_frozen_judges_are_small_and_named_by_their_hash():
    weights = list(JUDGE_FOLDER.glob(f"*/{WEIGHTS}"))
    assert {path.parent.name.split("-")[0] for path in weights} == {"video", "sketch"}
    assert sum(path.stat().st_size for path in weights) < 3 * 2**20
    assert all(tensor.dtype == torch.float32 for tensor in load_judge("video").parameters())


def test_the_video_judge_is_right_about_real_clips(real):
    clips, words = real
    assert share_right(judge_clips(load_judge("video"), clips), words) >= 0.95


@pytest.mark.parametrize(("size", "frames", "moving_background"), [(96, 9, False), (64, 24, True)])
def test_the_video_judge_takes_other_sizes_lengths_and_grounds(size, frames, moving_background):
    clips, words = real_clips(24, size, frames, moving_background)
    assert share_right(judge_clips(load_judge("video"), clips), words) >= 0.9


def test_the_sketch_judge_is_right_about_lines_and_fitted_curves(real):
    clips, words = (all_of_them[:36] for all_of_them in real)
    lines = [extract_sketches(clip) for clip in clips]
    curves = [fit_curves(ink).render(64, 64) for ink in lines]
    assert share_right(judge_clips(load_judge("sketch"), np.stack(lines)), words) >= 0.94
    assert share_right(judge_clips(load_judge("sketch"), np.stack(curves)), words) >= 0.94


def test_the_video_judge_does_not_see_what_is_not_there(real):
    """Recoloured, reversed and still clips are other things, and are judged as such."""
    clips, words = (all_of_them[:36] for all_of_them in real)
    judge = load_judge("video")
    reversed_ = judge_clips(judge, clips[:, ::-1]).words("motion")
    opposite = {"left to right": "right to left", "top to bottom": "bottom to top"}
    opposite |= {b: a for a, b in opposite.items()}
    straight = [(seen, what.motion) for seen, what in zip(reversed_, words, strict=True) if what.motion in opposite]
    assert np.mean([seen == opposite[asked] for seen, asked in straight]) >= 0.95
    swapped = judge_clips(judge, clips[..., ::-1]).words("colour")
    red = [seen for seen, what in zip(swapped, words, strict=True) if what.colour == "red"]
    assert set(red) == {"blue"}


def test_a_verdict_does_not_depend_on_the_batch(real):
    clips = real[0][:5]
    whole, parts = (judge_clips(load_judge("video"), clips, batch_size=n) for n in (5, 2))
    np.testing.assert_allclose(whole.features, parts.features, atol=1e-4)
    np.testing.assert_allclose(whole.probabilities["shape"], parts.probabilities["shape"], atol=1e-4)


def test_joint_probabilities_multiply_the_attributes():
    rng = np.random.default_rng(0)
    p = {name: rng.dirichlet(np.ones(len(words)), 3).astype(np.float32) for name, words in ATTRIBUTES.items()}
    joint = Verdict(p, np.zeros((3, 1))).joint_probabilities()
    assert joint.shape == (3, 216)
    np.testing.assert_allclose(joint.sum(1), 1)
    expected = np.einsum("na,nb,nc->nabc", p["shape"], p["colour"], p["motion"]).reshape(3, -1)
    np.testing.assert_allclose(joint, expected, rtol=1e-5)


def test_a_stored_judge_judges_alike_and_replaces_the_one_before(tmp_path, real):
    torch.manual_seed(0)
    clips = real[0][:2]
    first = store_judge(Judge(3, ["shape"]), "video", tmp_path)
    judge = Judge(3, ["shape"]).eval()
    before = judge_clips(judge, clips)
    second = store_judge(judge, "video", tmp_path)
    assert judge_path("video", tmp_path) == second != first
    after = judge_clips(load_judge("video", tmp_path), clips)
    np.testing.assert_allclose(before.probabilities["shape"], after.probabilities["shape"], atol=2e-3)


def test_a_judge_that_is_not_the_one_it_is_called_is_refused(tmp_path):
    path = tmp_path / "video-000000000000"
    shutil.copytree(judge_path("video"), path)
    with pytest.raises(UserError, match="SHA-256"):
        load_judge("video", tmp_path)
    with pytest.raises(UserError, match="train_judge"):
        load_judge("sketch", tmp_path)


def test_the_judges_config_says_what_it_judges():
    assert json.loads((judge_path("sketch") / "config.json").read_text())["attributes"] == ["shape", "motion"]
