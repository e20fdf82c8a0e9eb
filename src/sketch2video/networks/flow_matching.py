"""Flow matching on straight lines between data and noise (Lipman et al. 2023; Liu et al. 2023, "Rectified Flow").

With data x0, noise e and a time t in [0, 1]::

    x_t = (1 - t) x0 + t e            v = dx_t / dt = e - x0

The conventions are those of diffusers' ``FlowMatchEulerDiscreteScheduler``: t is its sigma, and sampling goes from
t = 1 to t = 0.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from sketch2video.networks.processes import draw
from sketch2video.params import Guidance


def shifted(time: Tensor, shift: float) -> Tensor:
    """Times in [0, 1] moved towards noise: s t / (1 + (s - 1) t) (Esser et al. 2024, eq. 23); 1 leaves them.

    The frames of a clip are redundant: what the caption describes can be seen in a noisy clip up to very high noise
    levels. Unshifted times rarely sample these levels, and the network does not learn to use the caption.
    """
    return shift * time / (1 + (shift - 1) * time)


def logit_normal_times(count: int, generator: torch.Generator, shift: float = 1.0) -> Tensor:
    """Times in (0, 1) whose logit is normal (Esser et al. 2024, section 3.1), shifted.

    Returns:
        (count,) float32 on the generator's device; their median is s / (1 + s).
    """
    return shifted(torch.sigmoid(draw(torch.randn, [count], generator)), shift)


def interpolate(data: Tensor, noise: Tensor, time: Tensor) -> Tensor:
    """x_t for a time (N,) a sample; ``data`` and ``noise`` are (N, ...)."""
    time = time.view(-1, *[1] * (data.ndim - 1))
    return (1 - time) * data + time * noise


def sampling_times(steps: int) -> list[float]:
    """The times 1 ... 1/steps at which Euler's method evaluates the velocity, before they are shifted."""
    return [float(t) for t in np.linspace(1.0, 1.0 / steps, steps)]


def guidance_weights(has_control: bool, has_text: bool, guidance: Guidance) -> dict[tuple[bool, bool], float]:
    """Weights of a network's predictions with and without conditions in classifier-free guidance.

    Classifier-free guidance (Ho & Salimans 2022) composed for two conditions, the control pictures s and the text c, as
    in Brooks et al. 2023 ("InstructPix2Pix", eq. 3)::

        v = v(-, -) + w_s (v(s, -) - v(-, -)) + w_c (v(s, c) - v(s, -))

    A scale w_s of 0 leaves the pictures out of the last term, too, as if there were none.

    Args:
        has_control, has_text: which conditions there are; the scale of an absent one has no influence.
        guidance: the scales w_c, of the text, and w_s, of the control pictures.

    Returns:
        By (with control, with text), the weights that are not zero, which add up to 1: one if both scales are 1, two if
        they are equal, if the control's alone is 1 or if it is 0, else three.
    """
    if has_control and guidance.control_guidance_scale == 0:
        alone = {(False, True): guidance.guidance_scale, (False, False): 1.0 - guidance.guidance_scale}
        return {key: weight for key, weight in (alone if has_text else {(False, False): 1.0}).items() if weight}
    control_weight = guidance.control_guidance_scale if has_control else 1.0
    text_weight = guidance.guidance_scale if has_text else control_weight
    weights = {
        (True, True): text_weight,
        (True, False): control_weight - text_weight,
        (False, False): 1.0 - control_weight,
    }
    return {conditions: weight for conditions, weight in weights.items() if weight != 0.0}


def guided_prediction(
    transformer: Callable[..., Tensor],
    latents: Tensor,
    time: Tensor,
    control: Tensor | None,
    text: Tensor | None,
    text_mask: Tensor | None,
    fps: Tensor | None,
    guidance: Guidance,
    still: Tensor | None = None,
) -> Tensor:
    """The network's prediction, pushed away from what it would be without the control pictures and without the text.

    See :func:`guidance_weights`, which add up to 1, so that the prediction may be any of what networks predict: at one
    noisy clip velocities, noise and data are linear in each other.

    Args:
        transformer: the network, or a function that passes more arguments on to it.
        latents: (N, T, C, h, w).
        time: (N,) in [0, 1].
        control, text, text_mask, fps: see :meth:`VideoTransformer.forward`; None for a condition that is not there,
            whose scale then has no influence.
        guidance: see :func:`guidance_weights`.
        still: see :meth:`VideoTransformer.forward`. It belongs to the noise and not to the conditions, so all terms
            have it.
    """
    weights = guidance_weights(control is not None, text is not None, guidance)
    prediction = torch.zeros_like(latents)
    for (with_control, with_text), weight in weights.items():
        part = transformer(
            latents,
            time,
            control=control if with_control else None,
            text=text if with_text else None,
            text_mask=text_mask if with_text else None,
            fps=fps,
            still=still,
        )
        prediction = prediction + weight * part.to(prediction.dtype)
    return prediction
