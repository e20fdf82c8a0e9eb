"""Train the sketcher: pictures with drawings of them, the user's own or made of the embedded scenes.

Drawings by people are rarely available for all lighting conditions, so pictures are augmented in colour, contrast,
sharpness and noise (:mod:`~sketch2video.sketches.photometric`), mirrored and turned together with its drawing.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sketch2video.data.clips.datasets import TensorDataset
from sketch2video.networks.processes import draw, replacing_once
from sketch2video.params import Params, SketcherParams, SketchParams
from sketch2video.sketches.agreement import mean_agreement
from sketch2video.sketches.classical import extract_sketches
from sketch2video.sketches.learned import extract_sketches_learned, write_description
from sketch2video.sketches.network import Sketcher, balanced_cross_entropy, tolerant_dice
from sketch2video.sketches.pairs import Pairs, read_pairs
from sketch2video.sketches.photometric import photometric
from sketch2video.sketches.scene_pairs import HELD_OUT, TRAINING, scene_pairs
from sketch2video.training.checkpoints import folder_for
from sketch2video.training.loop import Batch, RunLogger, Task, TrainResult, train
from sketch2video.training.previews import save_sheet

HELD_OUT_SCENES = 200
CORRUPTION_SEED = 1
KEPT = 0.25
"""Share of the training pictures that are not augmented."""
PREVIEWED = 8


def train_sketcher(
    params: Params, logger: RunLogger, output: Path, *, checkpoints: Path = Path("checkpoints")
) -> TrainResult:
    """Train the sketcher.

    Args:
        params: all parameters; the sections ``sketcher``, ``sketch`` and ``base`` are read.
        logger: receives the loss curve and pictures.
        output: folder that gets the model.
        checkpoints: folder of all checkpoints.

    Returns:
        Metrics: ``trained`` (1), ``loss``, ``held_out`` (number of pairs), and of held-out pairs, for either extractor
        and for the pictures as they are and corrupted, mean precision, recall and F-score of ink within a pixel
        (:mod:`~sketch2video.sketches.agreement`): ``learned_f_score``, ``classical_corrupted_recall``, ...

    Raises:
        UserError: the pairs cannot be used, or the training fails; see :func:`~sketch2video.training.loop.train`.
    """
    section = params.sketcher
    training, held_out = pairs_of(params)
    torch.manual_seed(params.base.seed)
    task = SketcherTask(section, params.sketch, held_out)
    settings = {"sketcher": section.model_dump(exclude={"folder"}), "seed": params.base.seed}
    result = train(
        task,
        TensorDataset({"pictures": torch.from_numpy(training.pictures), "ink": torch.from_numpy(training.ink)}),
        section.training,
        name="sketcher",
        checkpoint_folder=folder_for(
            "sketcher", settings, [section.folder] if section.pairs else [], checkpoints, code=[__file__]
        ),
        seed=params.base.seed,
        logger=logger,
    )
    with replacing_once(output) as partial:
        task.module.save_pretrained(partial)
        write_description(partial, True, pairs=section.pairs or "embedded scenes")
    return TrainResult({"trained": 1.0, **result.metrics}, result.history)


def pairs_of(params: Params) -> tuple[Pairs, Pairs]:
    """Pairs for training and held-out pairs: the user's, or embedded scenes."""
    section, base = params.sketcher, params.base
    if section.pairs is not None:
        return read_pairs(Path(section.folder), section.pairs, section.size, section.test_fraction)
    training = scene_pairs(section.scenes, section.size, base.seed, TRAINING, base)
    return Pairs(*training), Pairs(*scene_pairs(HELD_OUT_SCENES, section.size, base.seed, HELD_OUT, base))


class SketcherTask(Task):
    """Ink where the drawing has it: class-balanced cross-entropy and a Dice loss, both with a tolerance of one pixel.

    Args:
        section: parameters of the sketcher.
        sketch: of both extractors, for metrics and pictures.
        held_out: pairs for these.
    """

    module: Sketcher

    def __init__(self, section: SketcherParams, sketch: SketchParams, held_out: Pairs) -> None:
        super().__init__(Sketcher(section.width))
        self.sketch = sketch
        self.held_out = held_out

    def loss(
        self, batch: Batch, generator: torch.Generator, progress: float
    ) -> tuple[Tensor, dict[str, Tensor | float]]:
        """See :meth:`Task.loss`; a batch has ``pictures`` uint8 (N, S, S, 3) and ``ink`` uint8 (N, S, S)."""
        pictures, ink = turned(to_unit(batch["pictures"]), batch["ink"][:, None] / 255.0, generator)
        logits = self.module(photometric(pictures, generator, KEPT) * 2 - 1).float()
        cross_entropy = balanced_cross_entropy(logits, ink)
        dice = tolerant_dice(logits.sigmoid(), ink)
        return cross_entropy + dice, {"cross_entropy": cross_entropy, "dice": dice}

    def preview(self, folder: Path, step: int) -> list[Path]:
        """Held-out pictures, as they are and corrupted, with both extractors' lines, and the true drawing."""
        shown = slice(0, None, max(1, len(self.held_out.pictures) // PREVIEWED))
        rows = []
        for pictures in (self.held_out.pictures, corrupted(self.held_out.pictures)):
            rows += [pictures[shown], *(on_paper(ink) for ink in self._extracted(pictures[shown]).values())]
        path = folder / f"sketcher-{step:06d}.png"
        save_sheet(path, [row[:PREVIEWED] for row in (*rows, on_paper(self.held_out.ink[shown]))])
        return [path]

    def metrics(self) -> dict[str, float]:
        """Agreement of both extractors with the held-out drawings; see :func:`train_sketcher`."""
        pictures, ink = self.held_out
        found = {"held_out": float(len(ink))}
        for condition, shown in (("", pictures), ("corrupted_", corrupted(pictures))):
            for extractor, drawn in self._extracted(shown).items():
                agreement = mean_agreement(drawn, ink)._asdict()
                found |= {f"{extractor}_{condition}{name}": value for name, value in agreement.items()}
        return found

    def _extracted(self, pictures: np.ndarray) -> dict[str, np.ndarray]:
        sketch = self.sketch
        return {
            "classical": extract_sketches(
                pictures, smoothing=sketch.smoothing, contrast=sketch.contrast, min_length=sketch.min_length
            ),
            "learned": extract_sketches_learned(
                pictures, self.module, threshold=sketch.threshold, min_length=sketch.min_length
            ),
        }


def turned(pictures: Tensor, ink: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Mirror and turn pictures (N, 3, S, S) and their drawings (N, 1, S, S) alike, each at random."""
    both = torch.cat([pictures, ink], dim=1)
    for change in (lambda x: x.flip(-1), lambda x: x.flip(-2), lambda x: x.mT):
        chosen = draw(torch.rand, [len(both), 1, 1, 1], generator) < 0.5
        both = torch.where(chosen, change(both), both)
    return both[:, :3], both[:, 3:]


def corrupted(pictures: np.ndarray) -> np.ndarray:
    """Pictures uint8 (N, S, S, 3) with other colours, light, sharpness and noise, always the same ones."""
    changed = photometric(to_unit(torch.from_numpy(pictures)), torch.Generator().manual_seed(CORRUPTION_SEED))
    return (changed * 255).round().to(torch.uint8).movedim(1, -1).contiguous().numpy()


def to_unit(pictures: Tensor) -> Tensor:
    """uint8 (N, H, W, 3) -> float32 (N, 3, H, W) in [0, 1]."""
    return pictures.movedim(-1, 1).float() / 255


def on_paper(ink: np.ndarray) -> np.ndarray:
    """Ink uint8 (N, H, W) as black on white: uint8 (N, H, W, 3)."""
    return np.repeat(255 - ink[..., None], 3, axis=-1)
