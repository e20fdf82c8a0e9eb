"""Seams in videos that were cut and joined in known places."""

import cv2
import numpy as np
import pytest

from benchmarks.seams import Changes, Seam, borders, changes, seams
from sketch2video.scenes.synthetic import combinations, render_at, sample_scene

SIZE, FRAMES, VIDEOS = 48, 24, 10
WINDOWS = [0, 8, 16], 8
BORDERS = [8, 16]
ELSEWHERE = [[4, 12], [6, 20], [11], [5, 10, 19]]


def rendered(times):
    """Objects that move over still ground, at some times of the scenes."""
    scenes = [sample_scene(np.random.default_rng([5, i]), [combinations()[(43 * i) % 216]]) for i in range(VIDEOS)]
    return np.stack([render_at(scene, SIZE, times).frames for scene in scenes])


@pytest.fixture(scope="module")
def smooth():
    return rendered(np.linspace(0, 1, FRAMES))


def in_bytes(frames):
    return np.clip(frames, 0, 255).round().astype(np.uint8)


def noisy(videos):
    return in_bytes(videos + np.random.default_rng(1).normal(0, 5, videos.shape))


def second_windows(videos, make):
    """Videos whose second window of three went through ``make``."""
    made = videos.copy()
    made[:, 8:16] = make(videos[:, 8:16])
    return made


def brighter(part):
    return in_bytes(part + 255 * 0.03)


def blurred(part):
    return np.stack([[cv2.GaussianBlur(frame, (0, 0), 1) for frame in frames] for frames in part])


def of_another_video(part):
    return np.roll(part, 1, 0)


def measurable(measured, at):
    return {name for name, seam in seams(measured, at, 200).items() if seam.measurable}


@pytest.mark.parametrize("after", [lambda videos: videos, noisy], ids=["clean", "noisy"])
def test_windows_that_fit_together_have_no_seam(smooth, after):
    times = np.linspace(0, 1, FRAMES)
    joined = np.concatenate([rendered(times[start : start + 8]) for start in (0, 8, 16)], 1)
    np.testing.assert_array_equal(joined, smooth)
    measured = changes(after(joined))
    for at in [BORDERS, *ELSEWHERE]:
        assert measurable(measured, at) == set()


@pytest.mark.parametrize(
    ("make", "kinds"),
    [
        (brighter, {"unexplained", "colour"}),
        (blurred, {"unexplained", "sharpness"}),
        (of_another_video, {*Changes._fields}),
    ],
)
@pytest.mark.parametrize("after", [lambda videos: videos, noisy], ids=["clean", "noisy"])
def test_a_window_that_does_not_fit_shows_at_its_borders_only(smooth, make, kinds, after):
    measured = changes(after(second_windows(smooth, make)))
    assert measurable(measured, borders(*WINDOWS)) == kinds
    for at in ELSEWHERE:
        assert measurable(measured, at) == set()


def test_the_excess_of_a_jump_is_the_jump(smooth):
    found = seams(changes(second_windows(smooth, brighter)), BORDERS, 200)
    before = seams(changes(smooth), BORDERS, 200)
    for name in ("unexplained", "colour"):
        assert found[name].excess - before[name].excess == pytest.approx(0.03, rel=0.1)
        assert found[name].elsewhere == pytest.approx(before[name].elsewhere, abs=0.0003)
    assert abs(found["sharpness"].excess) < 0.02, "brightness is no sharpness"


def test_a_jump_that_noise_hides_shows_in_the_mean_colour(smooth):
    jump = noisy(second_windows(smooth, lambda part: in_bytes(part + 1.0)))
    assert measurable(changes(jump), BORDERS) == {"colour"}


def test_larger_jumps_are_larger_seams(smooth):
    levels = [
        seams(changes(second_windows(smooth, lambda part, by=by: in_bytes(part + by))), BORDERS, 20)
        for by in (0, 2, 4, 8, 16)
    ]
    for name in ("unexplained", "colour"):
        assert (np.diff([level[name].excess for level in levels]) > 0).all()


@pytest.mark.parametrize(
    ("starts", "length"),
    [([0], 8), ([0, 8, 16], 8), ([0, 4, 8, 12], 8), ([0, 6, 12], 8), ([0, 15, 30], 16), ([0, 8, 10], 8)],
)
def test_at_a_border_other_windows_cover_the_frame(starts, length):
    covering = [{s for s in starts if s <= frame < s + length} for frame in range(starts[-1] + length)]
    assert borders(starts, length) == [b for b in range(1, len(covering)) if covering[b] != covering[b - 1]]


@pytest.mark.parametrize(("starts", "length"), [([], 8), ([1, 9], 8), ([0, 9], 8), ([0, 8, 8], 8), ([0, 8, 4], 8)])
def test_what_are_no_windows_of_a_video_is_refused(starts, length):
    with pytest.raises(ValueError, match=f"windows of {length}"):
        borders(starts, length)


def alike(values):
    return Changes(values, values, values, values)


def test_excess_and_interval_are_those_of_the_differences_of_videos():
    rng = np.random.default_rng(2)
    values = rng.normal(5, 1, (40, 1)) + rng.normal(0, 0.1, (40, 9))
    values[:, [2, 6]] += 0.5
    seam = seams(alike(values), [3, 7], 2000)["colour"]
    differences = values[:, [2, 6]].mean(1) - np.delete(values, [2, 6], 1).mean(1)
    assert seam.at_borders == pytest.approx(values[:, [2, 6]].mean())
    assert seam.excess == pytest.approx(differences.mean())
    half = 1.96 * differences.std(ddof=1) / np.sqrt(40)
    assert seam.interval == pytest.approx((differences.mean() - half, differences.mean() + half), abs=0.1 * half)


def test_pairs_and_videos_without_a_number_are_left_out():
    values = np.array([[1.0, 3, np.nan, 1], [1, 5, 1, 1], [1, np.nan, 1, 1]])
    measured = alike(values)
    assert seams(measured, [2], 20)["unexplained"].excess == pytest.approx(3)
    nowhere = seams(measured._replace(unexplained=np.full((3, 4), np.nan)), [2], 20)["unexplained"]
    assert np.isnan(nowhere.excess)
    assert not nowhere.measurable


@pytest.mark.parametrize(
    ("interval", "expected"),
    [((0.002, 0.004), True), ((0.0002, 0.004), True), ((-0.001, 0.004), False), ((0.0001, 0.0009), False)],
)
def test_a_seam_is_told_apart_from_nothing_and_from_next_to_nothing(interval, expected):
    assert Seam(0, 0, sum(interval) / 2, interval, least=0.001).measurable == expected


def test_blank_frames_have_no_seam():
    blank = np.zeros((3, 6, 16, 16, 3), np.uint8)
    assert all(seam.excess == 0 and not seam.measurable for seam in seams(changes(blank), [3], 20).values())


@pytest.mark.parametrize(
    ("videos", "at", "reason"),
    [(3, [], "borders"), (3, [0], "borders"), (3, [5], "1 to 4"), (3, [1, 2, 3, 4], "not all"), (1, [2], "at least 2")],
)
def test_what_cannot_be_compared_is_refused(videos, at, reason):
    with pytest.raises(ValueError, match=reason):
        seams(alike(np.zeros((videos, 4))), at, 20)
