"""Extractors with networks of `transformers`, from a folder or an id on the hub."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sketch2video.networks.loading import load_clip_tokenizer, load_named
from sketch2video.networks.precision import device_name
from sketch2video.scoring.extractors import reader
from sketch2video.scoring.features import Extractor, Protocol

CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
"""Mean and standard deviation of CLIP's training pixels (Radford et al. 2021)."""


def videomae_extractor(name: str, sampling: str = "first", stride: int = 1) -> Extractor:
    """VideoMAE's features for CD-FVD.

    Ge et al. 2024, "On the Content Bias in Fréchet Video Distance": the classifier's input, which is the normalised
    mean over all tokens; frames are resized to the network's size without cropping and, as in the authors' code, in
    [0, 1] without further normalisation. The number of frames is that of the network.

    Args:
        name: a folder or an id of a fine-tuned VideoMAE (`VideoMAEForVideoClassification`) as safetensors.
        sampling, stride: sampling of frames.

    Raises:
        UserError: it cannot be loaded, or its weights are not those of a fine-tuned VideoMAE.
    """
    from transformers import VideoMAEForVideoClassification

    model = _load(VideoMAEForVideoClassification, name, unused="classifier.")
    config = model.config

    def features(videos: Tensor) -> Tensor:
        tokens = model.videomae(videos.to(device_name()).movedim(-1, 2) / 255).last_hidden_state
        return tokens[:, 0] if model.fc_norm is None else model.fc_norm(tokens.mean(1))

    protocol = Protocol(
        "videomae",
        sha256_of_weights(model),
        config.num_frames,
        sampling,
        stride,
        "straight",
        config.image_size,
        "input of the classifier",
    )
    return Extractor(protocol, reader(protocol), features)


def clip_extractor(name: str, frames: int = 16, sampling: str = "spread", stride: int = 1) -> Extractor:
    """CLIP's embedding of a video: the mean of the embeddings of its frames, each of length 1.

    Its scalar product with a caption's embedding (:func:`clip_captions`) is the mean cosine over the frames.

    Args:
        name: a folder or an id of a `CLIPModel` as safetensors.
        frames: T, at least 1.
        sampling, stride: sampling of frames.

    Raises:
        UserError: it cannot be loaded.
    """
    from transformers import CLIPModel

    model = _load(CLIPModel, name)
    size = model.config.vision_config.image_size
    mean, std = (torch.tensor(v, device=device_name()).view(3, 1, 1) for v in (CLIP_MEAN, CLIP_STD))

    def features(videos: Tensor) -> Tensor:
        pixels = (videos.to(device_name()).flatten(0, 1).movedim(-1, 1) / 255 - mean) / std
        embeddings = model.get_image_features(pixel_values=pixels).pooler_output
        return F.normalize(embeddings, dim=-1).unflatten(0, videos.shape[:2]).mean(1)

    protocol = Protocol(
        "clip",
        sha256_of_weights(model),
        frames,
        sampling,
        stride,
        "clip",
        size,
        "mean of the frames' embeddings of length 1",
    )
    return Extractor(protocol, reader(protocol), features, batch=2)


def clip_captions(name: str, captions: Sequence[str], batch: int = 64) -> np.ndarray:
    """Embeddings of captions, of length 1: float32 (N, D). Captions are truncated to CLIP's maximum length.

    Raises:
        UserError: model or tokenizer cannot be loaded.
    """
    from transformers import CLIPModel

    model = _load(CLIPModel, name)
    tokenizer = load_clip_tokenizer(name, "give a folder with one")
    length = model.config.text_config.max_position_embeddings
    found = []
    with torch.inference_mode():
        for start in range(0, len(captions), batch):
            tokens = tokenizer(
                list(captions[start : start + batch]),
                padding=True,
                truncation=True,
                max_length=length,
                return_tensors="pt",
            ).to(device_name())
            embeddings = model.get_text_features(**tokens).pooler_output
            found.append(F.normalize(embeddings, dim=-1).float().cpu().numpy())
    return np.concatenate(found)


def sha256_of_weights(model: nn.Module) -> str:
    """SHA-256 over names, types, shapes and bytes of a network's tensors, independent of its file format."""
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _load(kind: Any, name: str, unused: str | None = None) -> Any:
    """A frozen model on the device; tensors whose names begin with ``unused`` may be missing."""
    fix = f"name a folder or a hub id of a trained {kind.__name__}"
    return load_named(kind, name, kind.__name__, fix, unused=unused).requires_grad_(False).to(device_name())
