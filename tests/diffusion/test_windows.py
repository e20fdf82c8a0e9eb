from itertools import pairwise

import numpy as np
import pytest
import torch

from sketch2video.diffusion.windows import (
    captions_of_windows,
    cut_windows,
    merge_windows,
    window_starts,
    window_weights,
)


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def nearest_video(parts: np.ndarray, starts: list[int], weights: np.ndarray, frames: int) -> np.ndarray:
    """Equation (19) for a video of one number a frame, as a stacked, weighted system: (windows, K) twice -> (T,)."""
    windows, length = parts.shape
    system, wanted = np.zeros((windows * length, frames)), np.zeros(windows * length)
    for window, start in enumerate(starts):
        for frame in range(length):
            row = window * length + frame
            system[row, start + frame] = weights[window, frame]
            wanted[row] = weights[window, frame] * parts[window, frame]
    return np.linalg.lstsq(system, wanted, rcond=None)[0]


@pytest.mark.parametrize(
    ("frames", "length", "stride", "starts"),
    [
        (16, 8, 4, [0, 4, 8]),
        (17, 8, 4, [0, 4, 8, 9]),
        (9, 8, 8, [0, 1]),
        (8, 8, 4, [0]),
        (5, 8, 4, [0]),
        (1, 1, 1, [0]),
    ],
)
def test_windows_start_every_stride(frames: int, length: int, stride: int, starts: list[int]) -> None:
    assert window_starts(frames, length, stride) == starts


def test_all_frames_are_covered_and_the_last_window_ends_with_the_video() -> None:
    for frames in range(1, 30):
        for length in range(1, 12):
            for stride in range(1, length + 1):
                starts = window_starts(frames, length, stride)
                seen = [frame for start in starts for frame in range(start, start + min(length, frames))]
                assert set(seen) == set(range(frames))
                assert starts == sorted(set(starts))
                assert starts[-1] + min(length, frames) == frames
                assert all(b - a == stride for a, b in pairwise(starts[:-1]))


@pytest.mark.parametrize("numbers", [(0, 4, 2), (8, 0, 1), (8, 4, 0), (8, 4, 5), (8, 4, -1)])
def test_impossible_windows_are_refused(numbers: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="are inconsistent"):
        window_starts(*numbers)


def test_weights_are_as_documented() -> None:
    assert window_weights("uniform", 3).tolist() == [1, 1, 1]
    assert window_weights("triangular", 4).tolist() == [0.5, 1, 1, 0.5]
    torch.testing.assert_close(window_weights("triangular", 5), torch.tensor([1, 2, 3, 2, 1]) / 3)
    frame = np.arange(9)
    torch.testing.assert_close(
        window_weights("gaussian", 9), torch.tensor(np.exp(-((frame - 4) ** 2) / 2 / 2.25**2), dtype=torch.float32)
    )


@pytest.mark.parametrize("name", ["uniform", "triangular", "gaussian"])
def test_weights_are_positive_and_symmetric(name: str) -> None:
    for length in (1, 2, 7, 64):
        weights = window_weights(name, length)
        assert weights.shape == (length,)
        assert weights.dtype == torch.float32
        assert 0 < weights.min() <= weights.max() <= 1
        torch.testing.assert_close(weights, weights.flip(0))
        assert (weights.diff()[: (length - 1) // 2] >= 0).all()


def test_unknown_weights_are_refused() -> None:
    with pytest.raises(ValueError, match="no 'square' weights"):
        window_weights("square", 4)
    with pytest.raises(ValueError, match="at least 1 frame"):
        window_weights("uniform", 0)


def test_windows_are_the_frames_of_the_video() -> None:
    video = drawn(2, 9, 3, 4)
    windows = cut_windows(video, [0, 3, 5], 4)
    assert windows.shape == (2, 3, 4, 3, 4)
    for window, start in enumerate([0, 3, 5]):
        for frame in range(4):
            assert torch.equal(windows[:, window, frame], video[:, start + frame])
    assert torch.equal(cut_windows(video, [0], 16), video[:, None])


@pytest.mark.parametrize("starts", [[], [-1], [0, 6]])
def test_windows_outside_of_the_video_are_refused(starts: list[int]) -> None:
    with pytest.raises(ValueError, match="are not within a video of 9"):
        cut_windows(drawn(1, 9), starts, 4)
    with pytest.raises(ValueError, match="are not within a video of 9"):
        merge_windows(drawn(1, len(starts), 4), starts, torch.ones(4), 9)


@pytest.mark.parametrize("name", ["uniform", "triangular", "gaussian"])
def test_merged_windows_solve_the_least_squares(name: str) -> None:
    starts, weights, parts = window_starts(12, 5, 3), window_weights(name, 5), drawn(2, 4, 5, 3)
    merged = merge_windows(parts, starts, weights, 12)
    everywhere = np.tile(weights.numpy(), (4, 1))
    for n in range(2):
        for pixel in range(3):
            expected = nearest_video(parts[n, ..., pixel].numpy(), starts, everywhere, 12)
            np.testing.assert_allclose(merged[n, :, pixel], expected, rtol=1e-4, atol=1e-5)


def test_every_pixel_may_have_its_weight() -> None:
    starts, parts = window_starts(12, 5, 3), drawn(2, 4, 5, 3)
    weights = torch.rand(4, 5, 3, generator=torch.Generator().manual_seed(1)) + 0.1
    weights[0, 3:] = 0  # the next window has these frames, too
    merged = merge_windows(parts, starts, weights, 12)
    for n in range(2):
        for pixel in range(3):
            expected = nearest_video(parts[n, ..., pixel].numpy(), starts, weights[..., pixel].numpy(), 12)
            np.testing.assert_allclose(merged[n, :, pixel], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_merging_what_was_cut_gives_the_video_back(dtype: torch.dtype) -> None:
    video = drawn(2, 13, 3, 4, 4).to(dtype)
    starts = window_starts(13, 6, 4)
    merged = merge_windows(cut_windows(video, starts, 6), starts, window_weights("gaussian", 6), 13)
    assert merged.dtype == dtype
    torch.testing.assert_close(merged.float(), video.float(), rtol=1e-5 if dtype != torch.bfloat16 else 1e-2, atol=1e-6)


def test_sums_are_not_of_half_precision() -> None:
    parts = torch.full((1, 64, 1), 0.1, dtype=torch.bfloat16)
    assert torch.equal(merge_windows(parts, [0] * 64, torch.ones(1), 1), parts[:, 0])


def test_whole_numbers_have_a_mean_between_them() -> None:
    merged = merge_windows(torch.tensor([[[1, 2], [5, 6]]], dtype=torch.uint8), [0, 1], torch.ones(2), 3)
    assert merged.tolist() == [[1.0, 3.5, 6.0]]


def test_a_frame_of_one_window_stays_that_windows() -> None:
    parts = drawn(1, 2, 6, 5)
    merged = merge_windows(parts, [0, 4], window_weights("gaussian", 6), 10)
    assert torch.equal(merged[:, :4], parts[:, 0, :4])
    assert torch.equal(merged[:, 6:], parts[:, 1, 2:])


def test_merged_noise_loses_variance() -> None:
    weights, starts = window_weights("triangular", 4), [0, 2, 4]
    merged = merge_windows(drawn(1, 3, 4, 20_000), starts, weights, 8)
    for frame in range(8):
        squares = [float(weights[frame - start]) ** 2 for start in starts if 0 <= frame - start < 4]
        expected = sum(square**2 for square in squares) / sum(squares) ** 2
        assert float(merged[0, frame].var()) == pytest.approx(expected, rel=0.05)
    shared = merge_windows(cut_windows(drawn(1, 8, 20_000), starts, 4), starts, weights, 8)
    assert shared.var(dim=2)[0].tolist() == pytest.approx([1.0] * 8, rel=0.05), "cut from one noise it stays noise"


def test_gradients_are_the_windows_shares() -> None:
    parts, weights = drawn(1, 2, 2).requires_grad_(), torch.tensor([1.0, 2.0], requires_grad=True)
    merge_windows(parts, [0, 1], weights, 3)[0, 1].backward()
    torch.testing.assert_close(parts.grad, torch.tensor([[[0, 0.8], [0.2, 0]]]))
    assert weights.grad is not None
    assert weights.grad.abs().min() > 0


def test_weights_that_are_zero_everywhere_for_a_frame_are_refused() -> None:
    parts, weights = drawn(1, 2, 4), torch.ones(1, 2, 4)
    weights[0, 0, 2:] = 0
    merge_windows(parts, [0, 2], weights, 6)
    weights[0, 1, 1] = 0
    with pytest.raises(ValueError, match="frame 3 has no weight"):
        merge_windows(parts, [0, 2], weights, 6)
    with pytest.raises(ValueError, match="frame 4 has no weight"):
        merge_windows(parts, [0, 5], torch.ones(4), 9)


def test_weights_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match="do not fit windows"):
        merge_windows(drawn(1, 2, 4, 3), [0, 2], torch.ones(3), 6)
    with pytest.raises(ValueError, match="2 windows and 3 starts"):
        merge_windows(drawn(1, 2, 4, 3), [0, 1, 2], torch.ones(4), 6)


def test_a_window_has_the_caption_of_its_middle_frame() -> None:
    captions = [(0, "a dog sits"), (7, "a dog runs"), (8, "a dog flies"), (20, "a dog sleeps")]
    starts = window_starts(24, 8, 4)
    assert starts == [0, 4, 8, 12, 16]
    assert captions_of_windows(captions, starts, 8) == [
        "a dog sits",
        "a dog flies",
        "a dog flies",
        "a dog flies",
        "a dog sleeps",
    ]
    assert captions_of_windows(captions, [0], 15) == ["a dog runs"]
    assert captions_of_windows([(0, "a dog")], [0, 4], 8) == ["a dog", "a dog"]


@pytest.mark.parametrize("firsts", [[], [1], [0, 5, 5], [0, 8, 4]])
def test_captions_out_of_order_are_refused(firsts: list[int]) -> None:
    with pytest.raises(ValueError, match="let the first begin at 0"):
        captions_of_windows([(first, "a dog") for first in firsts], [0], 8)
