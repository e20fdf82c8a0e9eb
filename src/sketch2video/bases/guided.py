"""Classifier-free guidance of an adapted base, by caption and control."""

from __future__ import annotations

from torch import Tensor

from sketch2video.bases.adapted_transformer import AdaptedTransformer
from sketch2video.bases.base import Predict
from sketch2video.networks.flow_matching import guided_prediction
from sketch2video.params import Guidance
from sketch2video.text.encoder import TextCondition


def guided_base(
    transformer: AdaptedTransformer,
    text: TextCondition | None,
    no_text: TextCondition,
    fps: Tensor,
    control: Tensor | None,
    drawn: Tensor | None,
    guidance: Guidance,
) -> Predict:
    """The guided prediction for noisy latents at a timestep.

    See :func:`~sketch2video.networks.flow_matching.guidance_weights`.

    Args:
        transformer: the network.
        text: N captions; None: unconditional.
        no_text: the condition of unconditional videos, (1, L, D).
        fps: (N,).
        control, drawn: see :class:`AdaptedTransformer`; None: no control.
        guidance: the scales.
    """
    count = len(fps)
    empty = TextCondition(no_text.hidden.expand(count, -1, -1), no_text.mask.expand(count, -1))

    def network(latents: Tensor, timestep: Tensor, **conditions: Tensor | None) -> Tensor:
        given = conditions["control"]
        caption = empty if conditions["text"] is None or text is None else text
        return transformer(
            latents,
            timestep,
            caption.hidden,
            caption.mask,
            fps,
            control=given,
            drawn=None if given is None else drawn,
        )

    def predict(latents: Tensor, timestep: Tensor) -> Tensor:
        return guided_prediction(
            network,
            latents,
            timestep.expand(count),
            control=control,
            text=None if text is None else text.hidden,
            text_mask=None if text is None else text.mask,
            fps=fps,
            guidance=guidance,
        )

    return predict
