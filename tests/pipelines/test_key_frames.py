import itertools
from collections import Counter

import pytest
import torch

from sketch2video.pipelines.key_frames import WINDOWS_AT_ONCE, Windows, fill_video, key_stride, rounds_of_windows


@pytest.mark.parametrize("frames", [1, 2, 8, 9, 16, 17, 31, 32, 33, 100, 257])
@pytest.mark.parametrize("at_once", [2, 3, 8, 15, 16])
def test_key_frames_come_first_and_then_every_window_fills_in_between_frames_that_are_there(
    frames: int, at_once: int
) -> None:
    rounds = rounds_of_windows(frames, at_once)
    made: Counter[int] = Counter(rounds[0][0])
    assert len(rounds[0]) == 1
    assert [window.step for windows in rounds for window in windows[:1]] == [2**k for k in reversed(range(len(rounds)))]
    for windows in rounds[1:]:
        before = set(made)
        for window in windows:
            assert set(window[::2]) <= before
            assert not set(window[1::2]) & before
            assert len(window) % 2
        made.update(place for window in windows for place in window[1::2])
    assert made.keys() >= set(range(frames))
    assert set(made.values()) == {1}
    assert max(len(window) for windows in rounds for window in windows) <= max(at_once, 3)
    assert max(made) < frames - 1 + key_stride(frames, at_once)


def test_a_video_that_fits_is_one_window() -> None:
    assert rounds_of_windows(16, 16) == [[range(16)]]


def test_windows_are_alike_long() -> None:
    sizes = [len(window) for window in rounds_of_windows(200, 16)[-1]]
    assert max(sizes) - min(sizes) <= 2


def test_the_number_of_windows_grows_as_the_frames_do() -> None:
    counts = [sum(map(len, rounds_of_windows(frames, 16))) for frames in (100, 200, 400, 800, 1600)]
    growth = [later / earlier for earlier, later in itertools.pairwise(counts)]
    assert all(1.6 < each < 2.4 for each in growth)


class Recorder:
    """Makes frames that hold their own place in the video, and remembers what it was asked for."""

    def __init__(self) -> None:
        self.calls: list[Windows] = []

    def __call__(self, windows: Windows) -> torch.Tensor:
        self.calls.append(windows)
        made = (windows.positions + 1000 * windows.videos[:, None]).float().view(*windows.positions.shape, 1, 1, 1)
        return torch.where(windows.known_mask.view_as(made), windows.known, made)


@pytest.mark.parametrize("videos", [1, 3, 20])
def test_all_frames_are_made_once_for_every_video_in_calls_of_bounded_size(videos: int) -> None:
    rounds, make = rounds_of_windows(300, 8), Recorder()
    length = rounds[0][0][-1] + 1
    out = fill_video(rounds, torch.zeros(videos, length, 1, 1, 1), torch.zeros(length, dtype=torch.bool), make)
    assert out[..., 0, 0, 0].tolist() == [
        [place + 1000.0 * video for place in range(length)] for video in range(videos)
    ]
    new = Counter(
        place
        for call in make.calls
        for place in zip(
            call.videos[:, None].expand_as(call.positions)[~call.known_mask].tolist(),
            call.positions[~call.known_mask].tolist(),
            strict=True,
        )
    )
    assert set(new.values()) == {1}
    assert max(len(call.videos) for call in make.calls) <= max(WINDOWS_AT_ONCE, videos)
    assert [call.stride for call in make.calls] == sorted((call.stride for call in make.calls), reverse=True)
    assert all(torch.equal(call.positions.diff(dim=1).unique(), torch.tensor([call.stride])) for call in make.calls)


def test_given_frames_stay_and_windows_without_a_gap_are_left_out() -> None:
    rounds, make = rounds_of_windows(17, 9), Recorder()
    latents, known = torch.full((1, 17, 1, 1, 1), -1.0), torch.zeros(17, dtype=torch.bool)
    known[:9] = True
    out = fill_video(rounds, latents, known, make)[0, :, 0, 0, 0].tolist()
    assert out == [-1.0] * 9 + list(map(float, range(9, 17)))
    assert [call.positions[0].tolist() for call in make.calls] == [list(range(0, 17, 2)), list(range(8, 17))]
    assert known.sum() == 9, "what is given is not changed"
