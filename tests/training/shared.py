"""Trainings for processes that share batches; run by ``torchrun shared.py folder scenario ...``.

Each scenario is a function of the folder that it may write to; what it returns goes to ``<scenario>-<process>.json``.
"""

import json
import os
import shutil
import sys
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import DistributedType, FullyShardedDataParallelPlugin
from torch import nn
from torch.distributed.tensor import DTensor
from transformers import BertConfig

from sketch2video.autoencoder.training import train_autoencoder
from sketch2video.bases import training as adapters_training
from sketch2video.bases.training import PREVIEW_SAMPLING, AdaptersTask, train_adapters
from sketch2video.curve_vae.training import train_curve_vae
from sketch2video.data.clips.datasets import TensorDataset
from sketch2video.diffusion.training import train_video_ldm
from sketch2video.errors import UserError
from sketch2video.networks.processes import Share, draw, process_state, sharing, total
from sketch2video.params import MixtureParams, Params, TrainingParams
from sketch2video.sketches import training as sketcher
from sketch2video.steadiness.tuning import tune_long_video
from sketch2video.text import training as encoder
from sketch2video.tokens.transformer_training import train_token_transformer
from sketch2video.tokens.vqgan.codebook import Codebook, perplexity
from sketch2video.tokens.vqgan.training import train_vqgan
from sketch2video.training import loop
from sketch2video.training.loop import SilentLogger, Task, TrainResult, train
from tests.bases.conftest import adapted_params
from tests.curve_vae.rings import params as ring_params
from tests.small_data import small_params

SETTINGS = TrainingParams(
    steps=12,
    batch_size=8,
    learning_rate=1e-2,
    warmup_steps=3,
    weight_decay=0.01,
    gradient_clip=0.5,
    gradient_accumulation=2,
    ema_decay=0.9,
    checkpoint_every=5,
    preview_every=4,
)
NO_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}


class Pulled(RuntimeError):
    """What ends a training halfway."""


class Weighted(Task):
    """A mean weighted by the data, with noise of the samples, and a layer that is not used at first."""

    def __init__(self, module: nn.Module, fail_at: float = 2.0) -> None:
        super().__init__(module)
        self.fail_at = fail_at

    def loss(self, batch, generator, progress):
        if progress >= self.fail_at:
            raise Pulled
        x = batch["x"] + 0.3 * draw(torch.randn, batch["x"].shape, generator)
        weight = batch["y"].square()
        with torch.autocast(x.device.type, enabled=False):
            found = self.module[0](x) + (self.module[1](x) if progress > 0.5 else 0.0)
        loss = total((weight * (found - batch["y"]).square()).sum()) / total(weight.sum())
        return loss, {"plain": (found - batch["y"]).square().mean()}

    def preview(self, folder: Path, step: int) -> list[Path]:
        path = folder / f"{step}.txt"
        path.write_text("a picture")
        return [path]

    def metrics(self) -> dict[str, float]:
        return {"size": sum(float(p.abs().sum()) for p in self.module.parameters())}


class Counting(SilentLogger):
    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()

    def begin(self, run_id: str | None) -> str:
        self.calls["begin"] += 1
        return run_id or "run"

    def metrics(self, values: dict[str, float], step: int) -> None:
        self.calls["metrics"] += 1

    def figure(self, path: Path) -> None:
        self.calls["figure"] += 1


def layers(*further: nn.Module) -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(4, 1), nn.Linear(4, 1), *further)


def run(task: Task, folder: Path, logger: SilentLogger | None = None, **changes: Any) -> TrainResult:
    x = torch.randn(50, 4, generator=torch.Generator().manual_seed(0))
    dataset = TensorDataset({"x": x, "y": x.sum(1, keepdim=True)})
    settings = SETTINGS.model_copy(update=changes)
    logger = logger or SilentLogger()
    return train(task, dataset, settings, name="toy", checkpoint_folder=folder, seed=3, logger=logger)


def weights(task: Task) -> list[float]:
    return torch.cat([p.detach().flatten() for p in task.module.parameters()]).tolist()


def undisturbed(folder: Path) -> dict[str, Any]:
    """A training, who wrote what of it, and the weights."""
    task, logger = Weighted(layers()), Counting()
    with mock.patch.object(loop, "save_checkpoint", wraps=loop.save_checkpoint) as save:
        result = run(task, folder / "undisturbed", logger)
    return {
        "history": result.history,
        "metrics": result.metrics,
        "weights": weights(task),
        "saved": save.call_count,
        "logged": logger.calls,
    }


def interrupted(folder: Path) -> dict[str, Any]:
    """The same, ended after 7 steps, and gone on with."""
    try:
        run(Weighted(layers(), fail_at=7 / 12), folder / "interrupted")
    except Pulled:
        if process_state().is_main_process:
            shutil.copytree(folder / "interrupted", folder / "halfway")
        process_state().wait_for_everyone()
        task = Weighted(layers())
        result = run(task, folder / "interrupted")
    return {"history": result.history, "metrics": result.metrics, "weights": weights(task)}


def refused(folder: Path) -> dict[str, str]:
    """Why trainings are refused; empty where they are not."""

    def reason(task: Task, **changes: Any) -> str:
        try:
            run(task, folder / f"refused-{len(task.module)}", steps=1, **changes)
        except UserError as error:
            return str(error)
        return ""

    normalised = layers(nn.BatchNorm1d(1))
    return {"batch": reason(Weighted(layers()), batch_size=7), "normalisation": reason(Weighted(normalised))}


def pieces(folder: Path) -> dict[str, Any]:
    """Random numbers of a batch of four samples, by all ways to draw them, and a codebook after two batches."""
    del folder
    state = process_state()
    share = Share(state.process_index, state.num_processes)
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    book, vectors = Codebook(8, 3), torch.randn(2, 4, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    rows = torch.tensor([2, 0, 3, 1])[share.rows]
    mine = 4 // share.count
    with sharing(share):
        drawn = {
            "first": draw(torch.rand, [mine, 2], generator),
            "second": draw(torch.randn, [3, mine], generator, axis=1).T,
            "integers": draw(partial(torch.randint, 100), [mine, 5], generator),
        }
        ragged = draw(torch.randn, [int(rows.sum()), 2], generator, rows=rows)
        torch.manual_seed(2 + share.index)  # without a generator the main process's numbers count
        drawn["common"] = draw(torch.rand, [mine, 2], None)
        found = [book(batch[share.rows]) for batch in vectors]
        codes_in_use = perplexity(found[-1].indices, 8)
    return {
        "drawn": {name: values.tolist() for name, values in drawn.items()},
        "ragged": [part.tolist() for part in ragged.split(rows.tolist())],
        "indices": found[-1].indices.tolist(),
        "codebook": {name: buffer.tolist() for name, buffer in book.named_buffers()},
        "perplexity": codes_in_use.item(),
    }


def networks(folder: Path) -> dict[str, list[dict[str, float]]]:
    """The loss curves of the project's own networks; ``folder`` holds their data."""
    output = folder / "models"
    clips, curves, captions = folder / "clips", folder / "curves", folder / "captions"
    text, silent = {"text_encoder": folder / "text"}, SilentLogger()
    known = MixtureParams(known_frames=0.5, half_rate=0.2, image_steps=0, image_share=0.0)
    half = {"discriminator_start": 0.5}

    def plain(section: str, **changes: Any) -> Params:
        return small_params(section, 6, **changes)

    small = {"width": 32, "layers": 1, "heads": 2}
    values = plain(
        "token_transformer", **small, **half, control="none", window_clips=4, discriminator_clips=4,
        discriminator_width=32, discriminator_layers=1,
    ).model_dump(by_alias=True)  # fmt: skip
    values["base"]["frames"] = 8
    tokens, drawn = Params.model_validate(values), folder / "drawn"
    small_text = plain("text_encoder", **small)
    scenes = plain("sketcher", scenes=24, size=32, width=8)
    with (
        mock.patch.object(sketcher, "HELD_OUT_SCENES", 4),
        mock.patch.object(encoder, "BertConfig", partial(BertConfig, **NO_DROPOUT)),
    ):
        where = {"checkpoints": folder / "checkpoints"}
        both = {"clips": clips, "curves": curves, **where}
        painted = {"latents": folder / "latents", "autoencoder": folder / "autoencoder", **text, **both}
        ldm = plain("video_ldm", **small)
        results = {
            "autoencoder": train_autoencoder(plain("autoencoder", width=16), silent, output / "a", **both),
            "vqgan": train_vqgan(plain("vqgan", width=16, codes=16, **half), silent, output / "q", **both),
            "video_ldm": train_video_ldm(ldm, silent, output / "v", mixture=known, **painted),
            "curve_vae": train_curve_vae(
                ring_params(6, 6), silent, output / "c",
                curves=folder / "rings" / "curves", text_encoder=folder / "rings" / "text", **where,
            ),
            "text_encoder": encoder.train_text_encoder(small_text, silent, output / "t", clips=captions, **where),
            "long_video": tune_long_video(
                plain("long_video", mean_over="masked"), silent, output / "l",
                steadied=folder / "steadied", video_ldm=folder / "video_ldm", **text, **where,
            ),
            "sketcher": sketcher.train_sketcher(scenes, silent, output / "s", **where),
            "token_transformer": train_token_transformer(
                tokens, silent, output / "k",
                tokens=drawn / "tokens", vqgan=drawn / "vqgan", clips=drawn / "clips", curves=curves, **text, **where,
            ),
        }  # fmt: skip
    return {name: result.history for name, result in results.items()}


def adapters(folder: Path) -> dict[str, list[dict[str, float]]]:
    """The loss curve of the adapters of a base; ``folder`` holds the base and its encoded clips."""
    params = adapted_params(folder / "base", steps=6, control_dropout=0.5, text_dropout=0.5)
    where = {"latents": folder / "encoded", "checkpoints": folder / "checkpoints"}
    return {"adapters": train_adapters(params, SilentLogger(), folder / "models" / "adapters", **where).history}


class OnCpus(Accelerator):
    """An accelerator that shards on CPUs, too, as its environment configures; Accelerate itself does on GPUs alone."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        for state in (PartialState, AcceleratorState):
            state._shared_state["distributed_type"] = DistributedType.FSDP
        AcceleratorState._shared_state["fsdp_plugin"] = FullyShardedDataParallelPlugin()


def sharded(folder: Path) -> dict[str, Any]:
    """A training of adapters whose base is sharded, undisturbed, and ended after 4 of 6 steps and gone on with."""
    values = adapted_params(
        folder / "base", steps=6, control_dropout=0.5, text_dropout=0.5, gradient_checkpointing=True
    ).model_dump(by_alias=True)
    values["adapted_video"]["training"] |= {"preview_every": 3, "checkpoint_every": 2, "gradient_accumulation": 2}
    params = Params.model_validate(values)
    short = PREVIEW_SAMPLING.model_copy(update={"num_inference_steps": 2})
    held: list[nn.Module] = []

    class Watched(AdaptersTask):
        fail_at = 2.0

        def loss(self, batch, generator, progress):
            if progress >= self.fail_at:
                raise Pulled
            held[:] = [self.module.network]
            return super().loss(batch, generator, progress)

    def run_in(name: str) -> dict[str, Any]:
        where = {"latents": folder / "encoded", "checkpoints": folder / name / "checkpoints"}
        result = train_adapters(params, SilentLogger(), folder / name / "adapters", **where)
        return {"history": result.history, "metrics": result.metrics}

    with (
        mock.patch.object(adapters_training, "AdaptersTask", Watched),
        mock.patch.object(adapters_training, "PREVIEW_SAMPLING", short),
        mock.patch.object(loop, "Accelerator", OnCpus if os.environ.get("ACCELERATE_USE_FSDP") else Accelerator),
    ):
        whole = run_in("undisturbed")
        Watched.fail_at = 0.6
        try:
            run_in("interrupted")
        except Pulled:
            Watched.fail_at = 2.0
        again = run_in("interrupted")
    weights = (weight.to_local() if isinstance(weight, DTensor) else weight for weight in held[0].parameters())
    return {"undisturbed": whole, "interrupted": again, "held": sum(weight.numel() for weight in weights)}


def main(folder: Path, *scenarios: str) -> None:
    torch.set_num_threads(1)
    with mock.patch.object(loop, "precision", return_value="no"):
        for name in scenarios:
            result = globals()[name](folder)
            (folder / f"{name}-{process_state().process_index}.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
