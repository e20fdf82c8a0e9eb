"""A judge for data with other labels: it classifies the labels of a clip by its frames, or by its drawing.

The frozen judges (:mod:`~sketch2video.judges.scenes_judge`) are for the embedded scenes alone. This one is trained on
the given data: on videos (:mod:`~sketch2video.judges.trained.training`) or drawings
(:mod:`~sketch2video.judges.label_judge_training`). Its accuracy on held-out real clips is reported; its verdicts are
reliable only if that is high.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn
from torch.nn import functional as F

from sketch2video.judges.layers import Residual, convolution
from sketch2video.scenes.two_objects import AND


class LabelJudge(ModelMixin, ConfigMixin):
    """Classifier of clips, by local features regardless of their position and by what is where over time.

    Local features are computed by convolutions, with maximum pooling over each frame, so that shapes are detected at
    any position. Movement is computed from a coarse map of each frame by convolutions over time.

    The logit of a word of several parts, such as "circle and star", is the sum of its parts' logits, so that pairs
    share the weights of their parts.

    Args:
        channels: channels of the frames; 1 for drawings, 3 for videos.
        labels: the words of every label, at least one each, in the order of its logits.
        size: side of the network's input, pixels, a multiple of 16; other frames are resized.
        width: channels of the first layer.
        feature_dim: width of the features, a multiple of 4: means and maxima over time of movement and of local
            features.
        frames: maximum number of frames that it sees; of longer clips so many, evenly spread. None: all.
        edges: whether the strength of edges, of any colours, is one more input channel.
    """

    feature_scale: Tensor

    @register_to_config
    def __init__(
        self,
        channels: int,
        labels: dict[str, list[str]],
        size: int = 64,
        width: int = 16,
        feature_dim: int = 256,
        frames: int | None = None,
        edges: bool = False,
    ) -> None:
        super().__init__()
        part = feature_dim // 4
        # 2×2 pixels become channels: a quarter of the cost of full resolution without loss of pixels.
        self.frame = nn.Sequential(
            nn.PixelUnshuffle(2),
            convolution(4 * (channels + edges), width),
            convolution(width, 2 * width, stride=2),
            convolution(2 * width, 4 * width, stride=2),
            Residual(4 * width),
        )
        self.pieces = nn.Sequential(convolution(4 * width, 4 * width), nn.Conv2d(4 * width, part, 1))
        self.layout = nn.Sequential(convolution(4 * width, 2 * width, stride=2), nn.Flatten())
        self.movement = nn.Sequential(
            nn.Conv1d(2 * width * (size // 16) ** 2, part, 3, padding=1),
            nn.SiLU(),
            nn.Conv1d(part, part, 3, padding=1),
            nn.SiLU(),
        )
        composed = composition(labels)
        self.head = nn.Linear(4 * part, composed.shape[1])
        self.register_buffer("composed", composed, persistent=False)
        # The features' standard deviations over real drawings, so that all features contribute equally to distances.
        self.register_buffer("feature_scale", torch.ones(4 * part))

    @property
    def vocabulary(self) -> Mapping[str, Sequence[str]]:
        """The words of every label, in the order of its logits."""
        labels: Mapping[str, Sequence[str]] = self.config.labels
        return labels

    def forward(self, clips: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Judge clips.

        Args:
            clips: (N, T, channels, H, W) in [0, 1], any T ≥ 1.

        Returns:
            Logits of each label (N, words) and features (N, feature_dim), float32.
        """
        clips = clips[:, evenly(clips.shape[1], self.config.frames)]
        clip_axes = clips.shape[:2]
        size = (self.config.size,) * 2
        pictures = clips.flatten(0, 1)
        if pictures.shape[-2:] != size:
            pictures = F.interpolate(pictures, size, mode="bilinear", antialias=True, align_corners=False)
        if self.config.edges:
            pictures = torch.cat([pictures, strength_of_edges(pictures)], 1)
        maps = self.frame(pictures)
        pieces = self.pieces(maps).amax((2, 3)).unflatten(0, clip_axes)
        moves = self.movement(self.layout(maps).unflatten(0, clip_axes).mT)
        features = torch.cat([moves.mean(2), moves.amax(2), pieces.mean(1), pieces.amax(1)], 1).float()
        scores = self.head(features).float() @ self.composed.T
        words = [len(words) for words in self.vocabulary.values()]
        return dict(zip(self.vocabulary, scores.split(words, 1), strict=True)), features / self.feature_scale


def strength_of_edges(pictures: Tensor) -> Tensor:
    """Length of the gradient of all channels together, by central differences, in units per pixel.

    Args:
        pictures: (N, C, H, W).

    Returns:
        (N, 1, H, W), zero on the outermost pixels.
    """
    across = 0.5 * (pictures[..., 1:-1, 2:] - pictures[..., 1:-1, :-2])
    down = 0.5 * (pictures[..., 2:, 1:-1] - pictures[..., :-2, 1:-1])
    return F.pad((across.square() + down.square()).sum(1, keepdim=True).add(1e-6).sqrt(), (1, 1, 1, 1))


def evenly(frames: int, most: int | None) -> list[int]:
    """Indices of at most ``most`` of ``frames`` frames, evenly spread, with both ends; None: all."""
    if most is None or frames <= most:
        return list(range(frames))
    return [round(index * (frames - 1) / (most - 1)) for index in range(most)]


def composition(labels: Mapping[str, Sequence[str]]) -> Tensor:
    """Parts of each word: float32 (words of all labels, parts of all labels), 1 or 0.

    A repeated part counts as another part: "star and star" consists of a star and a second star.
    """
    made_of = [
        [(label, part, parts[:index].count(part)) for index, part in enumerate(parts)]
        for label, words in labels.items()
        for parts in (word.split(AND) for word in words)
    ]
    columns = {part: column for column, part in enumerate(dict.fromkeys(part for parts in made_of for part in parts))}
    composed = torch.zeros(len(made_of), len(columns))
    for row, parts in enumerate(made_of):
        composed[row, [columns[part] for part in parts]] = 1
    return composed
