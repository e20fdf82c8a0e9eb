"""The benchmark of the metrics: what it does to clips, and what it says of curves."""

import json

import numpy as np
import pytest

from benchmarks import metrics
from benchmarks.metrics import CORRUPTIONS, SHOULD, as_it_should, embedded_clips, rho, spoiled, with_swapped_words
from sketch2video.errors import UserError
from sketch2video.judges.faithfulness import can_be_judged
from sketch2video.media.writing import write_video
from tests.benchmarks.cells import cells_of

LEVELS = [(name, one, level) for name, one in CORRUPTIONS.items() if one.spoil for level in one.levels]


@pytest.fixture(scope="module")
def world():
    frames, rows = embedded_clips()
    return frames[:4], rows


def test_the_scenes_can_be_judged_and_differ(world):
    _, rows = world
    assert can_be_judged(rows)
    assert rows["label"].is_unique
    assert all(rows[name].value_counts().tolist() == [9] * 6 for name in ("shape", "colour", "motion"))


@pytest.mark.parametrize("name", [name for name, one in CORRUPTIONS.items() if one.spoil])
def test_each_level_spoils_more_than_the_one_before(world, name):
    frames, _ = world
    one = CORRUPTIONS[name]
    changed = [
        np.abs(spoiled(frames, one.spoil, level).astype(float) - frames).mean(tuple(range(1, 5)))
        for level in one.levels
    ]
    assert (changed[0] == 0).all()
    assert (np.diff(np.mean(changed, 1)) > 0).all()


def test_shuffling_keeps_all_frames_and_freezing_keeps_the_first(world):
    for clip in world[0]:
        shuffled = metrics.shuffled(clip, 0.5, np.random.default_rng(0))
        assert sorted(map(bytes, shuffled)) == sorted(map(bytes, clip))
        assert sum((a != b).any() for a, b in zip(shuffled, clip, strict=True)) == len(clip) // 2
        np.testing.assert_array_equal(metrics.frozen(clip, 1, np.random.default_rng(0)), clip[[0] * len(clip)])


@pytest.mark.parametrize("level", CORRUPTIONS["captions"].levels)
def test_as_many_captions_are_swapped_as_asked(world, level):
    _, rows = world
    swapped = with_swapped_words(rows, level)
    words = ["shape", "colour", "motion"]
    assert (swapped[words] != rows[words]).any(axis=1).sum() == round(level * len(rows))
    assert sorted(map(tuple, swapped[words].to_numpy())) == sorted(map(tuple, rows[words].to_numpy()))


@pytest.mark.parametrize(
    ("metric", "corruption", "values", "right"),
    [
        ("flicker", "noise", [1, 2, 3, 4, 5, 6], True),
        ("flicker", "noise", [1, 2, 3, 4, 6, 5], True),
        ("flicker", "noise", [1, 2, 3, 6, 5, 4], False),
        ("flicker", "noise", [1, 1, 1, 1, 1, 2], True),
        ("flicker", "noise", [1, 1, 1, 1, 1, 1], False),
        ("flicker", "noise", [6, 5, 4, 3, 2, 1], False),
        ("flicker", "blur", [6, 5, 4, 3, 2, 1], True),
        ("fvd_embedded", "captions", [3, 3, 3, 3, 3, 3], True),
        ("fvd_embedded", "captions", [3, 3, 3, 3, 3, 4], False),
        ("background_drift", "fade", [1, None, 2, 3, None, 4], True),
        ("background_drift", "fade", [None] * 6, False),
        ("background_drift", "blur", [1, 2, 3, 4, 5, 6], None),
    ],
)
def test_curves_are_held_to_what_is_asked_of_them(metric, corruption, values, right):
    assert as_it_should(metric, corruption, values) is right


def test_rho_is_that_of_ranks():
    assert rho([1, 10, 100]) == 1
    assert rho([3, 2, None, 1]) == -1
    assert rho([2, 2, 2]) is None
    assert rho([1, None, 2]) is None
    assert rho([1, 2, 4, 3]) == pytest.approx(0.8)  # 1 - 6 · (1² + 1²) / (4 · (4² - 1))


def test_the_command_measures_videos_of_the_users(world, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(
        metrics, "CORRUPTIONS", {name: one._replace(levels=one.levels[::2]) for name, one in CORRUPTIONS.items()}
    )
    for i, clip in enumerate(world[0]):
        write_video(tmp_path / "videos" / f"{i}.mp4", clip, 8.0)
    metrics.main(tmp_path / "videos", tmp_path / "bench")
    names = {f"metrics_videos.{kind}" for kind in ("json", "md", "png")}
    assert {path.name for path in (tmp_path / "bench").iterdir()} == names, "those of the scenes stay as they are"
    stored = json.loads((tmp_path / "bench" / "metrics_videos.json").read_text())
    assert set(stored["curves"]) == {"flicker", "background_drift", "sharpness", "motion"}
    assert set(stored["curves"]) < set(SHOULD), "too few clips for distances, and no words to judge"
    assert stored["spearman_rho"]["flicker"]["noise"] == 1
    assert stored["protocol"]["number"] == 4
    assert (tmp_path / "bench" / "metrics_videos.png").read_bytes().startswith(b"\x89PNG")
    first, _, last = (f"{value:.3g}" if value is not None else "–" for value in stored["curves"]["flicker"]["noise"])
    assert cells_of(capsys.readouterr().out.splitlines()[4])[:2] == ["flicker", f"+1.00 ✓ ({first} → {last})"]


@pytest.mark.parametrize("source", ["nowhere", "nowhere.csv", "."])
def test_a_source_without_videos_is_one_line(tmp_path, source):
    with pytest.raises(UserError) as error:
        metrics.main(tmp_path / source, tmp_path / "bench")
    assert "\n" not in str(error.value)


def test_a_row_that_cannot_be_used_is_named(world, tmp_path):
    for i in range(2):
        write_video(tmp_path / f"{i}.mp4", world[0][i], 8.0)
    (tmp_path / "captions.csv").write_text("path_to_video,caption\n0.mp4,one\n1.mp4,\n")
    with pytest.raises(UserError, match="line 3: caption is empty"):
        metrics.main(tmp_path, tmp_path / "bench")
