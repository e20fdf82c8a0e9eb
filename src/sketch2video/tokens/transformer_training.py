"""Train the transformers over a VQGAN's tokens, with the video discriminator in the last part of the training."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from sketch2video.autoencoder.adversarial import (
    DISCRIMINATOR_SCALE,
    Adversaries,
    frozen,
    hinge_discriminator_loss,
    hinge_generator_loss,
)
from sketch2video.controls import Control, find_control
from sketch2video.data.clips.datasets import ShardDataset, clips_of_split, evenly
from sketch2video.errors import UserError
from sketch2video.networks.processes import current_share, draw, replacing_once
from sketch2video.params import Params, TokenTransformerParams
from sketch2video.text.encoder import TextCondition, captions_of, encode_text, load_text_encoder
from sketch2video.tokens.clip_condition import ClipCondition
from sketch2video.tokens.random_tokens import corrupted, drawn_one_hot
from sketch2video.tokens.sampling import sample_tokens
from sketch2video.tokens.token_windows import Windows
from sketch2video.tokens.transformer import TokenTransformer
from sketch2video.tokens.video_discriminator import (
    FRAMES,
    VideoDiscriminator,
    pretrained_video_discriminator,
    small_video_discriminator,
)
from sketch2video.tokens.vqgan.encode import token_array
from sketch2video.tokens.vqgan.network import HierarchicalVQGAN, load_vqgan
from sketch2video.training.checkpoints import folder_for
from sketch2video.training.control_gap import ControlGap, control_gap
from sketch2video.training.loop import Batch, RunLogger, Task, TrainResult, train
from sketch2video.training.previews import save_moving_sheet, save_sheet, to_uint8

HELD_OUT_CLIPS = 64
HELD_OUT_BATCH = 16
WATCHED_CLIPS = 32
PREVIEW_CLIPS = 6


def train_token_transformer(
    params: Params,
    logger: RunLogger,
    output: Path,
    *,
    tokens: Path,
    clips: Path = Path("data/clips"),
    curves: Path = Path("data/curves"),
    text_encoder: Path,
    vqgan: Path,
    checkpoints: Path = Path("checkpoints"),
) -> TrainResult:
    """Train the transformers on the training split.

    Args:
        params: all parameters; the sections ``token_transformer`` and ``base`` are read.
        logger: receives the loss curve and pictures.
        output: folder of the model, which is saved without the discriminator.
        tokens, clips, curves: folders of shards; clips and curves are read as the control requires.
        text_encoder, vqgan: folders of the frozen models.
        checkpoints: folder of the checkpoints.

    Returns:
        Metrics: ``loss``, and of the first windows of held-out clips, in nats a token of each level, 0 the finest,
        ``loss_test_<level>``, the same of the first frames alone (``loss_test_<level>_first``), without the text and
        without the control pictures (``loss_test_<level>_without_text``, ``..._without_control``), and
        ``accuracy_test_<level>``, the accuracy of the most probable token. ``control_gap`` is what the control
        pictures take off the loss of all levels, ``control_gap_error`` its standard error over clips.

    Raises:
        UserError: there is no such control, an input is missing or damaged, clips lack the labels that are to be read,
            clips are too short for the discriminator, or the training fails; see
            :func:`~sketch2video.training.loop.train`.
    """
    section = params.token_transformer
    control = find_control(section.control, "token_transformer.control")
    if section.discriminator_weight and params.base.frames <= FRAMES:
        raise UserError(
            f"the video discriminator needs {FRAMES} frames after a first one, but clips have {params.base.frames};"
            f" set base.frames to {FRAMES + 1} or more, or token_transformer.discriminator_weight to 0"
        )
    torch.manual_seed(params.base.seed)
    codec = load_vqgan(vqgan)
    table, pictured = control.table(clips, curves), control.arrays(clips, curves)
    arrays = {token_array(level): tokens for level in range(codec.config.levels)} | pictured
    training, held_out = (ShardDataset(clips_of_split(table, split), arrays, ["fps"]) for split in ("train", "test"))
    tokenizer, encoder = load_text_encoder(text_encoder)
    text, text_held_out = (
        encode_text(tokenizer, encoder, read_texts(dataset, section.reads)) for dataset in (training, held_out)
    )
    transformer = TokenTransformer(
        levels=codec.config.levels,
        codes=codec.config.codes,
        code_width=codec.config.code_width,
        sample_size=params.base.size,
        sample_frames=params.base.frames,
        halvings=codec.config.halvings,
        window=section.window,
        width=section.width,
        layers=section.layers,
        heads=section.heads,
        text_width=text.hidden.shape[-1],
        control_channels=control.channels,
        control=control.name,
    )
    transformer.caption.centre(text.hidden, text.mask)
    transformer.take_codes([book.codes for book in codec.codebooks])
    task = TokenTransformerTask(section, control, transformer, codec, text, held_out, text_held_out)
    settings = {
        "token_transformer": section.model_dump(exclude={"temperature", "top_k", "top_p"}),
        "base": params.base.deciding(),
    }
    inputs = [tokens, table, text_encoder, vqgan, *set(pictured.values())]
    result = train(
        task,
        training,
        section.training,
        name="token_transformer",
        checkpoint_folder=folder_for(
            "token_transformer", settings, inputs, checkpoints, code=[__file__, *control.code]
        ),
        seed=params.base.seed,
        logger=logger,
    )
    with replacing_once(output) as partial:
        task.module.generator.save_pretrained(partial)
    return result


def read_texts(dataset: ShardDataset, column: str) -> list[str]:
    """The texts that condition the transformers, one for each clip of a dataset.

    Raises:
        UserError: a clip has no such text.
    """
    table = dataset.table
    texts = table.get(column)
    if texts is None or not (texts.notna() & (texts.astype(str).str.strip() != "")).all():
        raise UserError(
            f"token_transformer.reads: {column} needs a {column} for every clip, some have none; fill the column"
            " of captions.csv or read the caption"
        )
    return [str(text) for text in texts]


class TokenTransformerTask(Task):
    """Cross-entropy of every token of random windows, and an adversarial loss on five frames of them.

    Further frames are predicted from the caption alone, like the first frame of a window: the first frame is the
    hardest to learn, a window has one of them, and single frames are fast.

    The input of the discriminator are frames whose tokens are sampled from the predicted distributions, each given the
    true preceding tokens: by the Gumbel-max trick, with the gradient of its softmax (straight-through; Jang et al.
    2017), through the frozen decoder. The real samples are true tokens through the same decoder, so that the
    discriminator distinguishes tokens and not the decoder's errors.

    Args:
        section: parameters of the transformers.
        control: the control.
        transformer: the network to be trained.
        vqgan: the frozen VQGAN.
        text: encoded texts of all training clips.
        held_out: the test clips, for metrics and pictures.
        held_out_text: encoded texts of the test clips.
    """

    module: Adversaries[TokenTransformer, VideoDiscriminator | None]

    def __init__(
        self,
        section: TokenTransformerParams,
        control: Control,
        transformer: TokenTransformer,
        vqgan: HierarchicalVQGAN,
        text: TextCondition,
        held_out: ShardDataset,
        held_out_text: TextCondition,
    ) -> None:
        super().__init__(Adversaries(transformer, _discriminator(section, transformer.config.sample_size)))
        self.section, self.control = section, control
        self.vqgan = vqgan.requires_grad_(False)
        self.text, self.held_out, self.held_out_text = text, held_out, held_out_text

    def constant_rates(self) -> list[tuple[list[nn.Parameter], float]]:
        """See :meth:`Task.constant_rates`: when the discriminator starts, the learning rate is nearly zero."""
        discriminator = self.module.discriminator
        return [(list(discriminator.parameters()), self.section.discriminator_learning_rate)] if discriminator else []

    def loss(
        self, batch: Batch, generator: torch.Generator, progress: float
    ) -> tuple[Tensor, dict[str, Tensor | float]]:
        """See :meth:`Task.loss`; the batch holds tokens, ``fps``, ``index`` and the arrays of the control."""
        section, device = self.section, generator.device
        samples = len(batch["fps"])

        def kept(dropout: float) -> Tensor:
            return draw(torch.rand, [samples], generator) >= dropout

        text = captions_of(self.text, batch["index"], device)
        condition = self.module.generator.condition(
            samples,
            text.hidden,
            text.mask & kept(section.text_dropout)[:, None],
            batch["fps"] * kept(section.fps_dropout),
            self._pictures(batch, generator),
            kept(section.control_dropout),
        )
        length = self._tokens(batch)[0].shape[1]
        window = min(section.window, length)
        start = draw(partial(torch.randint, length - window + 1), [samples, 1], generator)
        windows = self._windows(batch, condition, start + torch.arange(window, device=device))
        share = current_share()
        windows = windows.first(share.of(section.window_clips, "token_transformer.window_clips"))
        logits, errors = self._predicted(windows, generator)
        if section.frames_alone:
            frames = draw(partial(torch.randint, length), [samples, section.frames_alone], generator)
            single_frames = self._windows(batch, condition, frames).one_by_one()
            _, alone = self._predicted(single_frames, generator, section.frames_alone)
            errors |= {f"{name}_alone": error for name, error in alone.items()}
        loss = torch.stack([*errors.values()]).sum()
        terms: dict[str, Tensor | float] = {**errors}
        if section.discriminator_weight:
            adversarial, discriminator = loss.new_zeros(2)
            if progress >= section.discriminator_start:
                clips = share.of(section.discriminator_clips, "token_transformer.discriminator_clips")
                adversarial, discriminator = self._adversarial(windows.first(clips), logits[-1][:clips])
                loss = loss + section.discriminator_weight * adversarial + DISCRIMINATOR_SCALE * discriminator
            terms |= {"adversarial": adversarial, "discriminator": discriminator}
        return loss, terms

    def _windows(self, batch: Batch, condition: ClipCondition, frames: Tensor) -> Windows:
        """Windows of frames (N, W) int64 of the clips of a batch; ``condition`` has control pictures of all frames."""
        tokens = self._tokens(batch)
        each = torch.arange(len(frames), device=frames.device)[:, None]
        times = (frames + 0.5) / tokens[0].shape[1]
        return Windows([level[each, frames] for level in tokens], times, condition.at(frames))

    def _predicted(
        self, windows: Windows, generator: torch.Generator, of_clip: int = 1
    ) -> tuple[list[Tensor], dict[str, Tensor]]:
        """Logits (N, W, P, K) of all levels, and their cross-entropies by name; a share of the inputs is corrupted."""
        share = self.section.token_corruption
        read = [corrupted(level, self.vqgan.config.codes, share, generator, of_clip) for level in windows.tokens]
        logits = self.module.generator(read, windows.times, windows.condition)
        pairs = enumerate(zip(logits, windows.tokens, strict=True))
        return logits, {
            f"level_{level}": functional.cross_entropy(found.flatten(0, 2), true.flatten())
            for level, (found, true) in pairs
        }

    def _adversarial(self, windows: Windows, top: Tensor) -> tuple[Tensor, Tensor]:
        """Losses of the transformers and the discriminator, each with gradients for its own parameters alone.

        Args:
            windows: true tokens.
            top: logits (N, W, P, K) of the top level.
        """
        tokens, times, condition = windows
        discriminator = self.module.discriminator
        assert discriminator is not None
        drawn: list[Tensor] = [*tokens]
        for level in reversed(range(len(tokens))):
            is_top = level == len(tokens) - 1
            network = self.module.generator
            logits = top if is_top else network.level_logits(level, tokens, drawn, times, condition)
            one_hot = drawn_one_hot(logits)
            drawn[level] = one_hot.unflatten(2, tokens[level].shape[2:])
        fake, real = self._last_frames(drawn), self._last_frames(tokens)
        with frozen(discriminator):
            adversarial = hinge_generator_loss(discriminator(fake).float())
        logits = discriminator(torch.cat([real, fake.detach()])).float()
        return adversarial, hinge_discriminator_loss(*logits.chunk(2))

    def _last_frames(self, tokens: list[Tensor]) -> Tensor:
        """The last five frames (N, 5, 3, H, W) of windows, each of which has a previous frame."""
        last = [level[:, -FRAMES:] for level in tokens]
        return self.vqgan.decode([level.flatten(0, 1) for level in last]).unflatten(0, last[0].shape[:2])

    def metrics(self) -> dict[str, float]:
        """Losses of held-out clips; see :func:`train_token_transformer`."""
        suffixes = ["", "_without_text", *(["_without_control"] if self.control.channels else [])]
        values = self._held_out_values(HELD_OUT_CLIPS, suffixes)
        metrics = {name: float(of_clips.mean()) for name, of_clips in values.items()}
        return metrics | (self._gap(values).metrics() if self.control.channels else {})

    def control_gap(self) -> ControlGap | None:
        """See :meth:`Task.control_gap`; the loss is the sum over levels."""
        if not self.control.channels:
            return None
        return self._gap(self._held_out_values(WATCHED_CLIPS, ["", "_without_control"]))

    def _gap(self, values: dict[str, Tensor]) -> ControlGap:
        levels = range(self.vqgan.config.levels)
        both = (
            torch.stack([values[f"loss_test_{level}{suffix}"] for level in levels]).sum(0)
            for suffix in ("", "_without_control")
        )
        return control_gap(*both)

    def _held_out_values(self, clips: int, suffixes: Sequence[str]) -> dict[str, Tensor]:
        """Losses and accuracies of at most ``clips`` held-out clips: (N,) float64 on the CPU, by name.

        Args:
            clips: their number.
            suffixes: of the names: all conditions, or none of those that the suffix names.
        """
        found: dict[str, list[Tensor]] = {}
        for part in evenly(clips, len(self.held_out)).split(HELD_OUT_BATCH):
            tokens, condition, length = self._held_out(part.tolist())
            window = slice(0, self.section.window)
            times = ((torch.arange(length, device=tokens[0].device) + 0.5) / length)[window].expand(len(part), -1)
            first_window, all_conditions = [level[:, window] for level in tokens], condition.at(window)
            conditions = {
                "": all_conditions,
                "_without_text": self.module.generator.condition(len(part))._replace(control=all_conditions.control),
                "_without_control": all_conditions._replace(control=None),
            }
            for suffix in suffixes:
                for level, logits in enumerate(self.module.generator(first_window, times, conditions[suffix])):
                    true = first_window[level].flatten(2)
                    error = functional.cross_entropy(logits.movedim(-1, 1), true, reduction="none")
                    values = {f"loss_test_{level}{suffix}": error.mean((1, 2))}
                    if not suffix:
                        values[f"accuracy_test_{level}"] = (logits.argmax(-1) == true).float().mean((1, 2))
                        values[f"loss_test_{level}_first"] = error[:, 0].mean(1)
                    for name, value in values.items():
                        found.setdefault(name, []).append(value.double().cpu())
        return {name: torch.cat(parts) for name, parts in found.items()}

    def preview(self, folder: Path, step: int) -> list[Path]:
        """Held-out clips: reconstructions by the VQGAN, control pictures if there are any, and generated clips."""
        indices = evenly(PREVIEW_CLIPS, len(self.held_out))
        tokens, condition, length = self._held_out(indices.tolist())
        generators = [torch.Generator().manual_seed(seed) for seed in range(len(indices))]
        drawn = sample_tokens(self.module.generator, [(1.0, condition)], length, self.section, generators)
        tracks = [to_uint8(self._decoded(levels)) for levels in (tokens, drawn)]
        if condition.control is not None:
            tracks.insert(1, self.control.shown(condition.control))
        sheet, moving = (folder / f"token_transformer-{step:06d}{ending}" for ending in (".png", ".gif"))
        save_sheet(sheet, [row for rows in zip(*tracks, strict=True) for row in rows])
        save_moving_sheet(moving, [list(track) for track in tracks], fps=8.0)
        return [sheet, moving]

    def _held_out(self, indices: list[int]) -> tuple[list[Tensor], ClipCondition, int]:
        """Tokens and conditions of held-out clips, and their number of frames."""
        device = self.module.generator.device
        batch = {name: tensor.to(device) for name, tensor in self.held_out.batch(indices).items()}
        text = captions_of(self.held_out_text, batch["index"], device)
        condition = self.module.generator.condition(
            len(indices), text.hidden, text.mask, batch["fps"], self._pictures(batch)
        )
        tokens = self._tokens(batch)
        return tokens, condition, tokens[0].shape[1]

    def _pictures(self, batch: Batch, generator: torch.Generator | None = None) -> Tensor | None:
        """The control pictures of a batch of clips, corrupted if there is a generator."""
        size = self.module.generator.config.sample_size
        return self.control.pictures(batch, size, size, self.section.sketch_corruption, generator)

    def _tokens(self, batch: Batch) -> list[Tensor]:
        return [batch[token_array(level)] for level in range(self.vqgan.config.levels)]

    def _decoded(self, tokens: list[Tensor]) -> Tensor:
        """Frames (N, T, 3, H, W) of clips, decoded clip by clip to bound the memory."""
        return torch.stack([self.vqgan.decode(clip) for clip in zip(*tokens, strict=True)])


def _discriminator(section: TokenTransformerParams, size: int) -> VideoDiscriminator | None:
    if not section.discriminator_weight:
        return None
    if section.discriminator_pretrained:
        return pretrained_video_discriminator(section.discriminator_pretrained)
    return small_video_discriminator(size, section.discriminator_width, section.discriminator_layers)
