"""Combined tuning: fine-tune the video LDM on videos with fused backgrounds (the project's fourth paper, eq. 13 to 16,
20).

The paper tunes for one video at a time. Here many videos with captions and drawings of the training split are used, so
that the network learns steadiness and not the content of one video, and generation needs no tuning.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from sketch2video.controls import SKETCH
from sketch2video.data.clips.datasets import ShardDataset
from sketch2video.data.clips.shards import read_table
from sketch2video.diffusion.objectives import Coloured, find_objective
from sketch2video.diffusion.video_transformer import VideoTransformer
from sketch2video.files import write_json
from sketch2video.networks.loading import load_frozen
from sketch2video.networks.processes import draw, replacing_once
from sketch2video.params import LongVideoParams, Params, VideoLDMParams
from sketch2video.steadiness.average_fusion import FusionWeights
from sketch2video.steadiness.file_names import FUSION, STEADIED
from sketch2video.steadiness.masked_losses import LossWeights, combined_loss
from sketch2video.text.encoder import TextCondition, captions_of, encode_text, load_text_encoder
from sketch2video.training.checkpoints import folder_for
from sketch2video.training.loop import Batch, RunLogger, Task, TrainResult, train

TUNED_BY = {"whole_weight", "foreground_weight", "background_weight", "mean_over", "training"}
"""Parameters of ``long_video`` that the tuning reads; the others concern its clips and the pipeline."""


def tune_long_video(
    params: Params,
    logger: RunLogger,
    output: Path,
    *,
    steadied: Path,
    text_encoder: Path,
    video_ldm: Path,
    checkpoints: Path = Path("checkpoints"),
) -> TrainResult:
    """F_4 of equation (13): tune the video LDM, and w_1 and w_2 of equation (11) with it.

    Args:
        params: all parameters; the sections ``long_video``, ``video_ldm`` and ``base`` are read.
        logger: receives the loss curve.
        output: folder of the network, with w_1 and w_2 in ``FUSION``.
        steadied: folder of shards; see :func:`~sketch2video.systems.long_video.steadied.steady_clips`.
        text_encoder: folder of the frozen text encoder.
        video_ldm: folder of the network to be tuned.
        checkpoints: folder of the checkpoints.

    Returns:
        Metrics: ``loss``, ``background_weight`` and ``foreground_weight``: w_1 and w_2.

    Raises:
        UserError: an input is missing or damaged, or the training fails; see
            :func:`~sketch2video.training.loop.train`.
    """
    section = params.long_video
    torch.manual_seed(params.base.seed)
    arrays = dict.fromkeys(("latents", "foreground", "coefficients", "visibility"), steadied)
    dataset = ShardDataset(read_table(steadied / STEADIED), arrays, ["fps"])
    tokenizer, encoder = load_text_encoder(text_encoder)
    text = encode_text(tokenizer, encoder, dataset.table["caption"].tolist())
    transformer = load_frozen(VideoTransformer, video_ldm, "train_video_ldm").requires_grad_(True)
    task = CombinedTuningTask(transformer, section, params.video_ldm, text)
    settings = {
        "long_video": section.model_dump(include=TUNED_BY),
        "video_ldm": params.video_ldm.model_dump(),
        "base": params.base.deciding(),
    }
    result = train(
        task,
        dataset,
        section.training,
        name="long_video",
        checkpoint_folder=folder_for(
            "long_video", settings, [steadied, text_encoder, video_ldm], checkpoints, code=[__file__]
        ),
        seed=params.base.seed,
        logger=logger,
    )
    with replacing_once(output) as partial:
        transformer.save_pretrained(partial)
        write_json(partial / FUSION, task.metrics())
    return result


class Tuned(nn.Module):
    """The modules that combined tuning updates.

    Attributes:
        transformer: the video LDM's network.
        fusion: w_1 and w_2.
    """

    def __init__(self, transformer: VideoTransformer) -> None:
        super().__init__()
        self.transformer = transformer
        self.fusion = FusionWeights()


class CombinedTuningTask(Task):
    """Equation (20) at random times, on noisy videos whose background and foreground are weighted by equation (11).

    In equation (11) the weights are used at step k alone, without a gradient. Here every noisy video is weighted by
    them, at any noise level, so that they receive the gradients of the masked losses (15, 16).

    Args:
        transformer: the network.
        section: parameters of the long videos.
        video_ldm: parameters of the network's first training, for the dropout of conditions.
        text: encoded captions of the videos, in the order of the dataset's ``index``.
    """

    module: Tuned

    def __init__(
        self, transformer: VideoTransformer, section: LongVideoParams, video_ldm: VideoLDMParams, text: TextCondition
    ) -> None:
        super().__init__(Tuned(transformer))
        self.section, self.video_ldm, self.text = section, video_ldm, text
        objective = find_objective(transformer.config.objective, transformer.config.time_shift)
        self.objective = Coloured(objective, transformer.spectrum)
        self.weights = LossWeights(section.whole_weight, section.foreground_weight, section.background_weight)

    def loss(
        self, batch: Batch, generator: torch.Generator, progress: float
    ) -> tuple[Tensor, dict[str, Tensor | float]]:
        """See :meth:`Task.loss`; the batch holds ``latents``, ``foreground``, ``fps``, ``index`` and curves."""
        settings, device, data = self.video_ldm, generator.device, batch["latents"].float()
        samples = len(data)

        def kept(dropout: float) -> Tensor:
            return draw(torch.rand, [samples], generator) >= dropout

        transformer = self.module.transformer
        size = int(transformer.config.sample_size)
        ink = SKETCH.pictures(batch, size, size, settings.sketch_corruption, generator)
        text = captions_of(self.text, batch["index"], device)
        time = self.objective.times(samples, generator)
        noise = draw(torch.randn, data.shape, generator)
        still = transformer.still_positions(ink)
        objective = self.objective.with_still(still)
        noisy = objective.noisy(data, noise, time)
        foreground = batch["foreground"].bool()
        prediction = transformer(
            self.module.fusion(noisy, noisy, ~foreground),
            time,
            control=ink,
            control_mask=kept(settings.control_dropout),
            text=text.hidden,
            text_mask=text.mask & kept(settings.text_dropout)[:, None],
            fps=batch["fps"] * kept(settings.fps_dropout),
            still=still,
        )
        error = objective.residual(prediction, data, noise, time)
        loss, terms = combined_loss(error, foreground, ~foreground, self.weights, self.section.mean_over)
        return loss, {**terms}

    def metrics(self) -> dict[str, float]:
        """w_1 and w_2."""
        fusion = self.module.fusion
        return {"background_weight": fusion.background.item(), "foreground_weight": fusion.foreground.item()}
