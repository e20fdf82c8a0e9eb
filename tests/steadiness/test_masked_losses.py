import math

import pytest
import torch

from sketch2video.steadiness.masked_losses import LossWeights, combined_loss, latent_mask, masked_loss

SHAPE = (2, 3, 4, 5, 6)


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def masks(*shape: int, share: float = 0.3) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(1)) < share


@pytest.mark.parametrize("soft", [False, True])
def test_the_masked_loss_is_the_sum_of_squares_over_the_count(soft: bool) -> None:
    error = drawn(*SHAPE)
    mask = torch.rand(3, 1, 5, 6, generator=torch.Generator().manual_seed(1)) if soft else masks(3, 1, 5, 6)
    squares = count = 0.0
    for n in range(2):
        for frame in range(3):
            for channel in range(4):
                for row in range(5):
                    for column in range(6):
                        held = float(mask[frame, 0, row, column])
                        squares += (held * float(error[n, frame, channel, row, column])) ** 2
                        count += held**2
    assert float(masked_loss(error, mask, "all")) == pytest.approx(squares / math.prod(SHAPE), rel=1e-5)
    assert float(masked_loss(error, mask, "masked")) == pytest.approx(squares / count, rel=1e-5)


def test_losses_of_masks_that_complement_each_other_add_up_to_the_whole() -> None:
    error, foreground = drawn(*SHAPE), masks(2, 3, 1, 5, 6)
    parts = masked_loss(error, foreground) + masked_loss(error, ~foreground)
    torch.testing.assert_close(parts, torch.nn.functional.mse_loss(error, torch.zeros(SHAPE)))


def test_a_constant_error_costs_as_much_under_any_mask() -> None:
    for mask in (masks(5, 6, share=0.05), masks(5, 6), masks(5, 6) * 0.25):
        assert float(masked_loss(torch.full((4, 5, 6), -3.0), mask, "masked")) == pytest.approx(9)


@pytest.mark.parametrize("mean_over", ["all", "masked"])
def test_errors_out_of_the_mask_cost_nothing(mean_over: str) -> None:
    error, mask = drawn(*SHAPE).requires_grad_(), masks(3, 1, 5, 6)
    loss = masked_loss(error, mask, mean_over)
    loss.backward()
    assert error.grad is not None
    assert torch.equal(error.grad != 0, mask.expand(SHAPE))
    assert torch.equal(masked_loss(error + 100 * ~mask, mask, mean_over), loss)


@pytest.mark.parametrize("mean_over", ["all", "masked"])
def test_a_mask_that_holds_nothing_costs_nothing(mean_over: str) -> None:
    error = drawn(*SHAPE).requires_grad_()
    loss = masked_loss(error, torch.zeros(5, 6), mean_over)
    loss.backward()
    assert loss == 0
    assert error.grad is not None
    assert not error.grad.any()


def test_sums_are_not_of_half_precision() -> None:
    error = torch.full((1, 200, 200), 0.1, dtype=torch.bfloat16)
    loss = masked_loss(error, torch.ones(1, 1, 1, dtype=torch.bfloat16), "masked")
    assert loss.dtype == torch.float32
    assert float(loss) == pytest.approx(float(error[0, 0, 0]) ** 2, rel=1e-4)


def test_a_mask_of_another_shape_is_refused() -> None:
    for shape in [(4, 6), (1, 2, 3, 4, 5, 6)]:
        with pytest.raises(ValueError, match="does not go with an error"):
            masked_loss(drawn(*SHAPE), torch.ones(shape))


@pytest.mark.parametrize("mean_over", ["all", "masked"])
def test_the_combined_loss_weighs_its_terms(mean_over: str) -> None:
    error, foreground, background = drawn(*SHAPE), masks(3, 1, 5, 6), masks(3, 1, 5, 6, share=0.6)
    loss, terms = combined_loss(error, foreground, background, LossWeights(0.5, 2, 3), mean_over)
    assert list(terms) == ["whole", "foreground", "background"]
    assert float(terms["whole"]) == pytest.approx(float((error**2).mean()))
    held = error[foreground.expand(SHAPE)], error[background.expand(SHAPE)]
    for name, values in zip(["foreground", "background"], held, strict=True):
        count = math.prod(SHAPE) if mean_over == "all" else values.numel()
        assert float(terms[name]) == pytest.approx(float((values**2).sum()) / count, rel=1e-5)
    expected = 0.5 * terms["whole"] + 2 * terms["foreground"] + 3 * terms["background"]
    assert float(loss) == pytest.approx(float(expected), rel=1e-6)


def test_two_weights_say_what_three_do() -> None:
    error, foreground = drawn(*SHAPE), masks(3, 1, 5, 6)
    first, _ = combined_loss(error, foreground, ~foreground, LossWeights(1, 3, 1))
    second, _ = combined_loss(error, foreground, ~foreground, LossWeights(0, 4, 2))
    torch.testing.assert_close(first, second)


@pytest.mark.parametrize("weights", [(0, 0, 0), (1, -1, 0), (math.nan, 1, 1), (math.inf, 1, 1)])
def test_impossible_weights_are_refused(weights: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="cannot weigh"):
        LossWeights(*weights)


@pytest.mark.parametrize("cover", ["share", "any"])
def test_places_of_the_latent_are_what_their_pixels_are(cover: str) -> None:
    mask = masks(2, 8, 12, share=0.1)
    found = latent_mask(mask, 4, cover)
    assert found.shape == (2, 1, 2, 3)
    assert found.dtype == torch.float32
    for frame in range(2):
        for row in range(2):
            for column in range(3):
                pixels = [bool(mask[frame, 4 * row + y, 4 * column + x]) for y in range(4) for x in range(4)]
                expected = sum(pixels) / 16 if cover == "share" else float(any(pixels))
                assert float(found[frame, 0, row, column]) == pytest.approx(expected)


def test_shares_of_masks_that_complement_each_other_add_up() -> None:
    mask = masks(2, 8, 12)
    torch.testing.assert_close(latent_mask(mask, 4, "share") + latent_mask(~mask, 4, "share"), torch.ones(2, 1, 2, 3))


@pytest.mark.parametrize("factor", [0, 3, 8])
def test_a_factor_that_does_not_divide_the_sides_is_refused(factor: int) -> None:
    with pytest.raises(ValueError, match="do not divide"):
        latent_mask(masks(1, 8, 12), factor, "any")
