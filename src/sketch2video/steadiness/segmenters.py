"""Segmenters of foreground and background in videos, by name: [m_fg, m_bg] = F_1(r), where m_bg is not m_fg.

``motion`` needs no weights. Any other name is that of a Segment Anything Model (Kirillov et al. 2023), with moving
objects as prompts: the box of each object that ``motion`` finds, and the point farthest from its outline.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from transformers import AutoConfig, SamImageProcessorPil, SamModel, SamProcessor

from sketch2video.errors import UserError
from sketch2video.networks.loading import load_named, one_line
from sketch2video.networks.precision import device_name
from sketch2video.steadiness.foreground import moving_foreground

MOTION = "motion"
_MARGIN = 0.02
"""Margin of the boxes on each side, in frame sizes, as ``motion`` often misses the edges of objects."""


class Prompts(NamedTuple):
    """Prompts for the objects of one frame, px.

    Attributes:
        boxes: (N, 4), left, top, right, bottom.
        points: (N, 1, 2), one inside each object, x and y.
    """

    boxes: list[list[float]]
    points: list[list[list[float]]]


def segment(frames: np.ndarray, segmenter: str = MOTION) -> np.ndarray:
    """The foreground of a clip: bool (T, H, W).

    Args:
        frames: uint8 (T, H, W, 3) RGB, T ≥ 2.
        segmenter: ``motion``, or a folder or hub id of a SAM.

    Raises:
        UserError: the segmenter cannot be loaded.
        ValueError: of :func:`sketch2video.steadiness.foreground.moving_foreground`.
    """
    return moving_foreground(frames) if segmenter == MOTION else sam_foreground(segmenter, frames)


def sam_foreground(name: str | Path, frames: np.ndarray) -> np.ndarray:
    """Segmentation of moving objects by SAM, frame by frame: bool (T, H, W).

    Of SAM's three masks for a prompt, the one with the best predicted IoU is used. Frames without motion have no
    foreground.

    Args:
        name: a folder or hub id of a `SamModel` with its processor, as safetensors.
        frames: uint8 (T, H, W, 3) RGB, T ≥ 2.

    Raises:
        UserError: it cannot be loaded, or is not a SAM.
    """
    model, processor = load_sam(name)
    moving = moving_foreground(frames)
    masks = np.zeros(moving.shape, bool)
    for t in np.flatnonzero(moving.any((1, 2))):
        masks[t] = _prompted(model, processor, frames[t], prompts_of(moving[t]))
    return masks


def load_sam(name: str | Path) -> tuple[SamModel, SamProcessor]:
    """A Segment Anything Model, frozen, in float32 and evaluation mode on the accelerator, and its processor.

    Raises:
        UserError: there is no such folder or model, or it is not a SAM.
    """
    fix = f"give {MOTION}, a folder with a SamModel and its processor, or a hub id such as facebook/sam-vit-base"
    with one_line(name, "a SAM", fix):
        kind = AutoConfig.from_pretrained(name).model_type
        if kind != "sam":
            raise UserError(f"{name} holds a model of the kind {kind}, not sam; {fix}")
        # The PIL processor does not need torchvision.
        processor = SamProcessor(SamImageProcessorPil.from_pretrained(name))
    model = load_named(SamModel, name, "a SAM", fix)
    return model.requires_grad_(False).to(device_name()), processor


def prompts_of(mask: np.ndarray) -> Prompts:
    """A box and a point for each connected part of a mask (H, W), bool."""
    height, width = mask.shape
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    prompts = Prompts([], [])
    for part in range(1, count):
        left, top, across, down = stats[part, :4].tolist()
        inside = np.pad(labels == part, 1).astype(np.uint8)  # the frame's edge is an edge of the part
        row, column = divmod(int(cv2.distanceTransform(inside, cv2.DIST_L2, 5).argmax()), width + 2)
        prompts.boxes.append(
            [
                max(left - _MARGIN * width, 0.0),
                max(top - _MARGIN * height, 0.0),
                min(left + across + _MARGIN * width, float(width)),
                min(top + down + _MARGIN * height, float(height)),
            ]
        )
        prompts.points.append([[column - 0.5, row - 0.5]])
    return prompts


@torch.inference_mode()
def _prompted(model: SamModel, processor: SamProcessor, frame: np.ndarray, prompts: Prompts) -> np.ndarray:
    """Union of the best masks of all prompts: bool (H, W)."""
    inputs = processor(frame, input_boxes=[prompts.boxes], input_points=[prompts.points], return_tensors="pt")
    sizes = inputs.pop("original_sizes"), inputs.pop("reshaped_input_sizes")
    inputs = {key: value.to(model.device, torch.float32) for key, value in inputs.items()}
    output = model(**inputs)
    best = output.iou_scores.argmax(-1)[..., None, None, None].expand(-1, -1, 1, *output.pred_masks.shape[-2:])
    masks = processor.post_process_masks(output.pred_masks.gather(2, best).cpu(), *sizes)
    return masks[0].flatten(0, 1).any(0).numpy()
