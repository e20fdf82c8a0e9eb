import json

import pytest
import torch
from torch.nn import functional

from sketch2video.errors import UserError
from sketch2video.sketches.network import Sketcher, balanced_cross_entropy, load_sketcher, near, tolerant_dice


def line(row: int, size: int = 16) -> torch.Tensor:
    """Ink of a horizontal line, (1, 1, size, size)."""
    ink = torch.zeros(1, 1, size, size)
    ink[..., row, :] = 1
    return ink


@pytest.mark.parametrize("size", [(64, 64), (8, 8), (1, 1), (33, 50)])
def test_every_pixel_gets_a_logit(size: tuple[int, int]) -> None:
    assert Sketcher(8)(torch.rand(2, 3, *size)).shape == (2, 1, *size)


def test_it_is_small() -> None:
    assert sum(p.numel() for p in Sketcher().parameters()) <= 500_000


def test_it_comes_back_from_its_folder(tmp_path) -> None:
    torch.manual_seed(0)
    model = Sketcher(8).eval()
    model.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["width"] == 8
    assert list(tmp_path.glob("*.safetensors"))
    frames = torch.rand(1, 3, 24, 24)
    loaded = load_sketcher(tmp_path)
    assert not loaded.training
    assert torch.equal(loaded(frames), model(frames))


def test_a_folder_without_a_model_is_a_users_mistake(tmp_path) -> None:
    with pytest.raises(UserError, match=r"cannot be loaded as Sketcher .*dvc repro train_sketcher"):
        load_sketcher(tmp_path)


def test_ink_and_paper_count_alike() -> None:
    logits, ink = torch.randn(2, 1, 16, 16, generator=torch.Generator().manual_seed(0)), line(5).repeat(2, 1, 1, 1)
    each = functional.binary_cross_entropy_with_logits(logits, ink, reduction="none")
    paper = near(ink) == 0
    expected = (each[ink == 1].mean() + each[paper].mean()) / 2
    assert balanced_cross_entropy(logits, ink) == pytest.approx(float(expected), rel=1e-5)


def test_ink_beside_a_line_costs_nothing_and_ink_elsewhere_does() -> None:
    ink = line(5)
    exact, wide, stray = (balanced_cross_entropy(20 * x - 10, ink) for x in (ink, near(ink), ink + line(11)))
    assert wide == pytest.approx(float(exact))
    assert stray > exact + 0.3


@pytest.mark.parametrize(("row", "loss"), [(5, 0), (6, 0), (4, 0), (7, 1), (12, 1)])
def test_a_line_a_pixel_off_is_as_good_as_the_true_one(row: int, loss: float) -> None:
    assert float(tolerant_dice(line(row), line(5))) == pytest.approx(loss)


def test_losses_of_blank_sheets_are_finite() -> None:
    blank = torch.zeros(1, 1, 8, 8, requires_grad=True)
    loss = balanced_cross_entropy(blank, torch.zeros(1, 1, 8, 8)) + tolerant_dice(blank, torch.zeros(1, 1, 8, 8))
    loss.backward()
    assert blank.grad.isfinite().all()
