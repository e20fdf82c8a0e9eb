"""A judge of drawings for data with labels of their own: what does a drawing show of what its clip is labelled with?

The frozen judges (:mod:`~sketch2video.judges.scenes_judge`) know the embedded scenes alone. This one is trained on the
drawings of whatever data there are (:mod:`~sketch2video.judges.label_judge_training`), says how often it is right
about real drawings that training did not show, and is only to be believed where that is often.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn
from torch.nn import functional as F

from sketch2video.judges.blocks import Residual, convolution
from sketch2video.scenes.two_objects import AND


class LabelJudge(ModelMixin, ConfigMixin):
    """Classifier of drawings: sees what pieces there are, wherever they are, and where lines are from frame to frame.

    A piece is what convolutions see around a point; the strongest response anywhere in a frame counts, so that a shape
    need not be learned anew wherever it stands. Movement is read from a coarse map of each frame by convolutions
    through time.

    A word of several parts, such as "circle and star", scores what its parts score together, so that a pair is known
    from its parts and need not be learned by itself.

    Args:
        channels: of a clip's frames; 1 for drawings.
        labels: the words of every label, at least one each, in the order of its logits.
        size: side of the frames that the network sees, pixels, a multiple of 16; others are resized.
        width: channels of the first layer.
        feature_dim: width of the features, a multiple of 4: means and maxima over time of movement and of pieces.
    """

    feature_scale: Tensor

    @register_to_config
    def __init__(
        self, channels: int, labels: dict[str, list[str]], size: int = 64, width: int = 16, feature_dim: int = 256
    ) -> None:
        super().__init__()
        part = feature_dim // 4
        # 2×2 pixels become channels: every pixel is seen at a quarter of the cost of full resolution.
        self.frame = nn.Sequential(
            nn.PixelUnshuffle(2),
            convolution(4 * channels, width),
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
        # The features' standard deviations over real drawings: distances are then in units that mean something.
        self.register_buffer("feature_scale", torch.ones(4 * part))

    @property
    def vocabulary(self) -> Mapping[str, Sequence[str]]:
        """The words of every label, in the order of its logits."""
        labels: Mapping[str, Sequence[str]] = self.config.labels
        return labels

    def forward(self, clips: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Judge drawings.

        Args:
            clips: (N, T, channels, H, W) in [0, 1], any T ≥ 1.

        Returns:
            Logits of each label (N, words) and features (N, feature_dim), float32.
        """
        clip_axes = clips.shape[:2]
        size = (self.config.size,) * 2
        pictures = clips.flatten(0, 1)
        if pictures.shape[-2:] != size:
            pictures = F.interpolate(pictures, size, mode="bilinear", antialias=True, align_corners=False)
        maps = self.frame(pictures)
        pieces = self.pieces(maps).amax((2, 3)).unflatten(0, clip_axes)
        moves = self.movement(self.layout(maps).unflatten(0, clip_axes).mT)
        features = torch.cat([moves.mean(2), moves.amax(2), pieces.mean(1), pieces.amax(1)], 1).float()
        scores = self.head(features).float() @ self.composed.T
        words = [len(words) for words in self.vocabulary.values()]
        return dict(zip(self.vocabulary, scores.split(words, 1), strict=True)), features / self.feature_scale


def composition(labels: Mapping[str, Sequence[str]]) -> Tensor:
    """Which parts each word is made of: float32 (words of all labels, parts of all labels), 1 or 0.

    A part that a word has twice is, the second time, another part: "star and star" is made of a star and a second star.
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
