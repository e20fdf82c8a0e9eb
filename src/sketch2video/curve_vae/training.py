"""Training of the curve VAE: the autoencoder of strokes first, then the prior over sets of its latents."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import torch

from sketch2video.curve_vae.autoencoder_task import AutoencoderTask
from sketch2video.curve_vae.data import CurveDataset, StrokeDataset, to_device
from sketch2video.curve_vae.network import CurveVAE
from sketch2video.curve_vae.prior_task import PriorTask
from sketch2video.data.clips.datasets import clips_of_split, evenly
from sketch2video.networks.processes import replacing_once
from sketch2video.params import CurveVAEParams, Params
from sketch2video.text.encoder import TextCondition, encode_text, load_text_encoder
from sketch2video.training.checkpoints import folder_for
from sketch2video.training.loop import RunLogger, TrainResult, train
from sketch2video.training.same_run import in_same_run, joined

WHITENED_CLIPS = 256
"""Training clips from which the scale of the prior's numbers is taken."""


class CurveData(NamedTuple):
    """Clips and captions that a curve VAE is trained on.

    Attributes:
        train, test: clips of both splits, with at most ``limit`` strokes.
        text: captions of the training clips, and the empty one after them.
        test_text: captions of the held-out clips.
        inputs: the folders that they come from.
    """

    train: CurveDataset
    test: CurveDataset
    text: TextCondition
    test_text: TextCondition
    inputs: list[Path]


def train_curve_vae(
    params: Params,
    logger: RunLogger,
    output: Path,
    *,
    curves: Path = Path("data/curves"),
    text_encoder: Path,
    checkpoints: Path = Path("checkpoints"),
) -> TrainResult:
    """Train the curve VAE on the training split: the autoencoder, then the prior.

    Args:
        params: all parameters; the sections ``curve_vae`` and ``base`` and ``fit.budget`` are read.
        logger: receives the loss curves and pictures; both trainings are one run.
        output: folder that gets the model.
        curves: folder of shards.
        text_encoder: folder of the frozen text encoder.
        checkpoints: folder of all checkpoints. Parameters of the prior alone do not train the autoencoder again.

    Returns:
        Metrics. Of the autoencoder on held-out clips: ``loss``; ``reconstruction_px``, the mean distance in px between
        points of the fitted and of the reconstructed strokes at the same pen position; ``strokes_kept``, the share of
        strokes within ``curve_vae.strokes``; ``rendered_discrepancy`` of the reconstructed drawings from the
        fitted ones (0 is perfect, 1 an empty drawing); ``kl``, nats a stroke. Of the prior: ``prior_loss`` at the end
        of the training, and of held-out clips ``prior_flow_test``, the squared error of the velocity, and
        ``prior_count_test``, the cross-entropy of the number of strokes in nats.

    Raises:
        UserError: an input is missing or damaged, or a training fails; see
            :func:`~sketch2video.training.loop.train`.
    """
    data = curve_data(params, curves, text_encoder)
    torch.manual_seed(params.base.seed)
    vae = CurveVAE(**network_config(params, data))
    steps = params.curve_vae.training.steps
    first = train_autoencoder(vae, data, params, logger, checkpoints)
    second = train_prior(vae, data, params, in_same_run(logger, after=steps, prefix="prior_"), checkpoints)
    with replacing_once(output) as partial:
        vae.save_pretrained(partial)
    return joined(first, second, after=steps, prefix="prior_")


def curve_data(params: Params, curves: Path, text_encoder: Path) -> CurveData:
    """Read the clips of both splits and encode their captions.

    Raises:
        UserError: an input is missing or damaged.
    """
    tables = [clips_of_split(curves / "curves.parquet", split) for split in ("train", "test")]
    tokenizer, encoder = load_text_encoder(text_encoder)
    text, test_text = (
        encode_text(tokenizer, encoder, captions)
        for captions in ([*tables[0]["caption"], ""], tables[1]["caption"].tolist())
    )
    clips, test = (CurveDataset(rows, curves, params.curve_vae.strokes) for rows in tables)
    clips.limit = test.limit = clips.strokes_needed()
    return CurveData(clips, test, text, test_text, [curves, text_encoder])


def network_config(params: Params, data: CurveData) -> dict[str, Any]:
    """Arguments of a :class:`CurveVAE` for data and parameters."""
    section = params.curve_vae
    _, frames, _, _, harmonics = data.train.curves([0])[0].shape
    sampling = {"num_inference_steps", "guidance_scale", "temperature", "stroke_quantile"}
    return section.model_dump(include={"latent_dim", "hidden", "width", "layers", "heads"} | sampling) | {
        "strokes": data.train.limit,
        "slots": max(1, *data.train.table["slots"], *data.test.table["slots"]),
        "harmonics": harmonics,
        "text_width": data.text.hidden.shape[-1],
        "time_terms": min(section.time_terms, frames),
        "budget": params.fit.budget,
    }


def train_autoencoder(
    vae: CurveVAE, data: CurveData, params: Params, logger: RunLogger, checkpoints: Path
) -> TrainResult:
    """Train encoder and decoder of a network; see :func:`train_curve_vae`."""
    section = params.curve_vae
    needed = {"strokes", "latent_dim", "hidden", "time_terms", "kl_weight", "augmentation", "training"}
    return train(
        AutoencoderTask(vae, section, data.test, params.base.size),
        StrokeDataset(data.train.table, data.inputs[0], data.train.limit),
        section.training,
        name="curve_vae",
        checkpoint_folder=folder_for("curve_vae", _settings(params, needed), data.inputs, checkpoints, code=[__file__]),
        seed=params.base.seed,
        logger=logger,
    )


def train_prior(
    vae: CurveVAE, data: CurveData, params: Params, logger: RunLogger, checkpoints: Path, name: str = "curve_prior"
) -> TrainResult:
    """Train the prior of a network over the latents of its encoder; see :func:`train_curve_vae`.

    Args:
        vae: with a trained encoder and decoder, which are frozen.
        data: the clips.
        params: all parameters.
        logger: receives the loss curves and pictures.
        checkpoints: folder of all checkpoints.
        name: of their folder.
    """
    section = params.curve_vae
    vae.prior.caption.centre(data.text.hidden[:-1], data.text.mask[:-1])
    vae.requires_grad_(False)
    vae.whiten(to_device(data.train.strokes(evenly(WHITENED_CLIPS, len(data.train)).tolist()), vae.device))
    vae.prior.requires_grad_(True)
    settings = _settings(params, set(CurveVAEParams.model_fields)) | {"budget": params.fit.budget}
    return train(
        PriorTask(vae, section, data.text, data.test_text, data.test, params.base.size),
        data.train,
        section.prior_training,
        name=name,
        checkpoint_folder=folder_for(name, settings, data.inputs, checkpoints, code=[__file__]),
        seed=params.base.seed,
        logger=logger,
    )


def _settings(params: Params, names: set[str]) -> dict[str, Any]:
    """The settings on which the checkpoints of a training depend."""
    section = params.curve_vae.model_dump(include=names)
    return {"curve_vae": section, "base": params.base.deciding()}
