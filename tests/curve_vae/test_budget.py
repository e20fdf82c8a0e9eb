import torch

from sketch2video.curve_vae.budget import within_budget


def test_within_budget_drops_the_smallest_tails() -> None:
    strokes, harmonics, budget = 3, 6, 21
    coefficients, visibility = torch.randn(1, 4, strokes, 2, harmonics), torch.ones(1, 4, strokes)
    kept = within_budget(coefficients, visibility, budget)
    used = (kept[0] != 0).any(0).any(1)  # (S, K)
    assert int(used.sum()) == (budget - strokes) // 2
    assert used[:, 0].all()
    assert (used.long().diff(dim=1) <= 0).all()  # a stroke loses its highest harmonics and no others
    tails = torch.tensor([[float(coefficients[0, :, s, :, k:].square().sum()) for k in range(6)] for s in range(3)])
    assert tails[:, 1:][used[:, 1:]].min() > tails[:, 1:][~used[:, 1:]].max()
    torch.testing.assert_close(kept[kept != 0], coefficients[kept != 0])


def test_within_budget_leaves_alone_what_fits_and_clears_what_is_not_visible() -> None:
    coefficients, visibility = torch.randn(2, 3, 2, 2, 4), torch.ones(2, 3, 2)
    visibility[0, 1, 1] = 0.2
    kept = within_budget(coefficients, visibility, 100)
    shown = visibility > 0.5
    torch.testing.assert_close(kept[shown], coefficients[shown])
    assert (kept[~shown] == 0).all()


def test_within_budget_clears_what_no_eye_would_miss() -> None:
    coefficients = torch.full((1, 2, 1, 2, 5), 1e-4)
    coefficients[..., 0] = 0.5
    coefficients[..., 2] = 0.1
    kept = within_budget(coefficients, torch.ones(1, 2, 1), 100)
    assert (kept[..., :3] == coefficients[..., :3]).all()  # a small one under a large one stays: it is in the series
    assert (kept[..., 3:] == 0).all()
