import numpy as np
import pytest
import torch

from sketch2video.models.sketcher import Sketcher
from sketch2video.sketches.learned import extract_sketches_learned, ink_probability, lines_of


def probability(*points: tuple[int, int, float], size: int = 40) -> np.ndarray:
    """A sheet (1, size, size) with given probabilities (row, column, value)."""
    sheet = np.zeros((1, size, size), np.float32)
    for row, column, value in points:
        sheet[0, row, column] = value
    return sheet


def test_a_wide_crest_becomes_a_thin_line_along_its_top():
    rows = np.arange(40)
    sheet = np.exp(-0.5 * ((rows[:, None] - 17.2) / 1.5) ** 2).repeat(40, 1).astype(np.float32)[None]
    ink = lines_of(sheet, 0.8, 0.1)[0]
    assert set(np.nonzero(ink)[0]) == {17}
    assert (ink == 255).sum() >= 38


def test_neighbouring_lines_stay_apart():
    x, y = np.meshgrid(np.arange(40.0), np.arange(40.0))
    offset = (x - 0.5 * y) / np.hypot(1, 0.5)
    sheet = np.maximum(*(np.exp(-0.5 * ((offset - at) / 1.0) ** 2) for at in (3, 7))).astype(np.float32)[None]
    columns = np.nonzero(lines_of(sheet, 0.8, 0.1)[0][20])[0]
    assert len(columns) == 2
    assert 3 <= np.diff(columns)[0] <= 6


def test_a_line_goes_on_where_it_is_faint_and_none_starts_there():
    bold = [(20, column, 0.9) for column in range(5, 15)]
    faint = [(20, column, 0.5) for column in range(15, 30)]
    apart = [(5, column, 0.5) for column in range(5, 30)]
    rows, columns = np.nonzero(lines_of(probability(*bold, *faint, *apart), 0.8, 0.1)[0])
    assert set(rows) == {20}
    assert columns.max() >= 28


def test_short_pieces_are_dropped():
    short, long = [(5, c, 1.0) for c in range(4)], [(20, c, 1.0) for c in range(12)]
    assert set(np.nonzero(lines_of(probability(*short, *long), 0.8, 0.25)[0])[0]) == {20}


def test_frames_are_drawn_one_by_one_and_in_parts_alike():
    torch.manual_seed(0)
    model = Sketcher(8).eval()
    frames = np.random.default_rng(0).integers(0, 256, (19, 20, 26, 3), np.uint8)
    together = ink_probability(frames, model)
    assert together.shape == (19, 20, 26)
    alone = np.concatenate([ink_probability(frame[None], model) for frame in frames])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    with torch.no_grad():
        logits = model(torch.from_numpy(frames).movedim(-1, 1) / 127.5 - 1)
    np.testing.assert_allclose(together, logits[:, 0].sigmoid(), atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 1, 1, 3), (2, 3, 5, 3), (0, 16, 16, 3)])
def test_tiny_and_empty_clips_work(shape):
    ink = extract_sketches_learned(np.zeros(shape, np.uint8), Sketcher(8).eval(), threshold=0.5, min_length=0.1)
    assert ink.shape == shape[:3]
    assert ink.dtype == np.uint8
