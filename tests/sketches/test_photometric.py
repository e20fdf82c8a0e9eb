import io

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from sketch2video.sketches import extract_sketches
from sketch2video.sketches.agreement import ink_agreement
from sketch2video.sketches.photometric import blurred, compressed, photometric


def square(number: int = 1) -> torch.Tensor:
    """A bright square on a dark ground, (number, 3, 40, 40) in [0, 1]."""
    pictures = torch.full((number, 3, 40, 40), 0.2)
    pictures[..., 8:30, 10:26] = 0.9
    return pictures


def test_lines_stay_where_they_are() -> None:
    pictures = square(64)
    changed = photometric(pictures, torch.Generator().manual_seed(0))
    assert changed.shape == pictures.shape
    assert changed.min() >= 0
    assert changed.max() <= 1
    drawn = [extract_sketches((p * 255).byte().movedim(0, -1).numpy()[None])[0] for p in (*pictures[:1], *changed)]
    recalls = [ink_agreement(other, drawn[0]).recall for other in drawn[1:]]
    assert np.mean([recall > 0.9 for recall in recalls]) > 0.7, "most are still seen where they were"


def test_every_picture_gets_its_own_change_and_the_seed_decides() -> None:
    once, again, other = (photometric(square(4), torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(once, again)
    assert not torch.equal(once, other)
    assert not torch.equal(once[0], once[1])


def test_a_share_stays_as_it_is() -> None:
    pictures = square(400)
    same = (photometric(pictures, torch.Generator().manual_seed(0), kept=0.25) == pictures).flatten(1).all(1)
    assert 0.2 < same.float().mean() < 0.3


def test_some_have_their_polarity_inverted() -> None:
    changed = photometric(square(200), torch.Generator().manual_seed(0)).mean(1)
    inverted = changed[:, 12:26, 14:22].mean((1, 2)) < changed[:, :6].mean((1, 2))
    assert 0.1 < inverted.float().mean() < 0.5


def test_blur_agrees_with_opencv() -> None:
    pictures = torch.rand(2, 3, 24, 24, generator=torch.Generator().manual_seed(0))
    sigmas = torch.tensor([0.6, 1.2]).view(-1, 1, 1, 1)
    for picture, sigma, result in zip(pictures, sigmas.flatten(), blurred(pictures, sigmas), strict=True):
        reference = cv2.GaussianBlur(
            picture.movedim(0, -1).numpy(), (9, 9), float(sigma), borderType=cv2.BORDER_REPLICATE
        )
        np.testing.assert_allclose(result.movedim(0, -1).numpy(), reference, atol=1e-5)


def test_compression_rounds_the_cosine_coefficients_of_each_block() -> None:
    rng = np.random.default_rng(0)
    picture = rng.random((3, 16, 16)).astype(np.float32)
    result = compressed(torch.from_numpy(picture)[None], torch.full((1, 1, 1, 1), 0.1))[0].numpy()
    steps = 0.1 * (1 + (np.arange(8)[:, None] + np.arange(8)) / 2)
    for y, x in np.ndindex(2, 2):
        block = np.s_[8 * y : 8 * y + 8, 8 * x : 8 * x + 8]
        coefficients = cv2.dct(picture[1][block])
        reference = cv2.idct((np.round(coefficients / steps) * steps).astype(np.float32))
        np.testing.assert_allclose(result[1][block], reference, atol=1e-4)


@pytest.mark.parametrize("size", [(8, 8), (13, 21)])
def test_compression_looks_like_jpeg(size: tuple[int, int]) -> None:
    """Of a smooth picture both leave the whole, and both cut its blocks apart."""
    y, x = np.mgrid[: size[0], : size[1]]
    picture = np.uint8(np.stack([100 + 6 * x, 80 + 5 * y, 90 + 2 * x + 2 * y], -1))
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "JPEG", quality=30)
    jpeg = np.asarray(Image.open(stream)) / 255
    ours = compressed(torch.from_numpy(picture).movedim(-1, 0)[None] / 255, torch.full((1, 1, 1, 1), 0.05))
    assert np.abs(ours[0].movedim(0, -1).numpy() - jpeg).mean() < 0.05
