import pytest
import torch
from torch import Tensor, nn

from sketch2video.errors import UserError
from sketch2video.steadiness.combined_tuning import NetworkError, tune
from sketch2video.steadiness.masked_losses import LossWeights

EVENLY = LossWeights(1, 1, 1)
FOREGROUND = torch.arange(8) < 3


def guess(noise: float = 0.0) -> tuple[nn.Parameter, NetworkError]:
    """Eight numbers that should become 1 ... 8, three of them foreground."""
    numbers = nn.Parameter(torch.zeros(8))

    def error(step: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        target = torch.arange(1.0, 9.0) + noise * torch.randn(8, generator=generator)
        return target - numbers, FOREGROUND, ~FOREGROUND

    return numbers, error


def test_the_first_step_is_adams() -> None:
    numbers, error = guess()
    curve = tune(error, [numbers], EVENLY, steps=1, learning_rate=0.01)
    torch.testing.assert_close(numbers.data, torch.full((8,), 0.01))
    squares = [n * n for n in range(1, 9)]
    whole, foreground = sum(squares) / 8, sum(squares[:3]) / 8
    assert curve == [
        {"step": 1, "loss": 2 * whole, "whole": whole, "foreground": foreground, "background": whole - foreground}
    ]


def test_the_loss_falls_to_nothing() -> None:
    numbers, error = guess()
    curve = tune(error, [numbers], EVENLY, steps=300, learning_rate=0.1, weight_decay=0.0)
    assert [point["step"] for point in curve] == list(range(1, 301))
    assert curve[-1]["loss"] < 1e-3 * curve[0]["loss"]


def test_what_weighs_nothing_is_not_learned() -> None:
    numbers, error = guess()
    tune(error, [numbers], LossWeights(0, 1, 0), steps=5, learning_rate=0.1)
    assert (numbers[FOREGROUND] > 0.3).all()
    assert (numbers[~FOREGROUND] == 0).all()


def test_a_seed_repeats_the_tuning() -> None:
    results = []
    for seed in (1, 1, 2):
        numbers, error = guess(noise=1.0)
        curve = tune(error, [numbers], EVENLY, steps=4, learning_rate=0.1, seed=seed)
        results.append((numbers.data, curve))
        torch.rand(3)  # what others draw does not matter
    assert torch.equal(results[0][0], results[1][0])
    assert results[0][1] == results[1][1]
    assert results[0][1] != results[2][1]


def test_a_loss_that_is_no_number_is_one_line() -> None:
    numbers, _ = guess()
    with pytest.raises(UserError, match=r"not a finite number at step 1 of 2; lower the learning rate \(0.5\)"):
        tune(lambda *_: (numbers / 0, FOREGROUND, ~FOREGROUND), [numbers], EVENLY, steps=2, learning_rate=0.5)
    assert (numbers == 0).all()


def test_something_must_be_tuned() -> None:
    numbers, error = guess()
    with pytest.raises(ValueError, match="0 parameters that need a gradient"):
        tune(error, [numbers.requires_grad_(False)], EVENLY)
