"""The hierarchical VQGAN system: caption -> tokens, frame after frame and level by level -> video."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Unpack

import numpy as np
import torch
from diffusers.video_processor import VideoProcessor
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from sketch2video.controls import SKETCH, VIDEO
from sketch2video.curve_vae import CurveVAE
from sketch2video.curve_vae.sampling import Generators
from sketch2video.curves import CurveSequence
from sketch2video.files import replacing
from sketch2video.networks.flow_matching import guidance_weights
from sketch2video.networks.loading import load_frozen
from sketch2video.params import Guidance, SamplingOptions, TokenSampling
from sketch2video.pipelines.callbacks import CallbackOnStepEnd
from sketch2video.pipelines.drawing import Curves, Sketches
from sketch2video.pipelines.model_size import pictures_of
from sketch2video.pipelines.output import VideoOutput
from sketch2video.pipelines.request import VideoRequest
from sketch2video.pipelines.video_pipeline import VideoPipeline
from sketch2video.text.encoder import TextCondition, load_text_encoder
from sketch2video.tokens.clip_condition import ClipCondition
from sketch2video.tokens.sampling import sample_tokens
from sketch2video.tokens.transformer import TokenTransformer
from sketch2video.tokens.vqgan.network import HierarchicalVQGAN, load_vqgan

FRAMES_AT_ONCE = 64
"""Number of frames that are encoded or decoded in one batch; bounds the memory of long videos."""


class HierarchicalVQGANPipeline(VideoPipeline):
    """Text to video by tokens: transformers generate the tokens of all levels of a VQGAN, which decodes them to frames.

    Videos may have any length; the time for a frame and the memory do not grow with it. They can begin with given
    frames (video prediction), and follow drawings or control videos if the transformers were trained with these.

    Args:
        tokenizer, text_encoder: encode captions.
        vqgan: frames <-> tokens.
        transformer: the transformers of all levels.
        curve_vae: caption -> curves, if the transformers are conditioned on sketches; None: they are not.
        sampling: settings of the sampling where a call gives none.
    """

    model_cpu_offload_seq = "text_encoder->curve_vae->transformer->vqgan"
    _optional_components = ["curve_vae"]  # noqa: RUF012 (diffusers' own way)

    sampling_type = TokenSampling
    making = "tokens"
    _callback_tensor_inputs: ClassVar[list[str]] = []

    vqgan: HierarchicalVQGAN
    transformer: TokenTransformer
    curve_vae: CurveVAE | None

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        text_encoder: PreTrainedModel,
        vqgan: HierarchicalVQGAN,
        transformer: TokenTransformer,
        curve_vae: CurveVAE | None = None,
        sampling: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.register_modules(
            tokenizer=tokenizer,
            text_encoder=text_encoder,
            vqgan=vqgan,
            transformer=transformer,
            curve_vae=curve_vae,
        )
        self.register_sampling(sampling)
        self.video_processor = VideoProcessor(vae_scale_factor=2**vqgan.config.halvings)

    @property
    def latent_numbers(self) -> int:
        """Number of tokens of a frame, all levels together."""
        return self.vqgan.tokens(self.sample_size)

    @torch.no_grad()
    def __call__(
        self,
        captions: str | Sequence[str] | None = None,
        num_frames: int | None = None,
        fps: float | Sequence[float] = 8.0,
        generator: Generators = None,
        num_videos: int | None = None,
        frames: np.ndarray | None = None,
        control: np.ndarray | None = None,
        sketches: Sketches | None = None,
        curves: Curves | None = None,
        strokes: Sequence[CurveSequence] | None = None,
        output_type: str = "np",
        return_dict: bool = True,
        *,
        prompt: str | Sequence[str] | None = None,
        callback_on_step_end: CallbackOnStepEnd | None = None,
        callback_on_step_end_tensor_inputs: Sequence[str] = (),
        **sampling: Unpack[SamplingOptions],
    ) -> VideoOutput | tuple:
        """Generate videos.

        Args:
            captions: one for each of N videos, or a single one; None: unconditional.
            num_frames: T, any number; None: that of drawings or control videos if given, else of the training clips.
            fps: frame rate of the videos, one for all or one for each; it conditions the model.
            generator: random generator. With a list of one for each video, every video is independent of the others in
                its batch.
            num_videos: N, if no other argument determines it.
            frames: first frames of the videos, uint8 (N, t, H, H, 3); resized to the model's size if necessary. The
                output has their reconstructions by the VQGAN. None: none.
            control: control videos, uint8 (N, T, H, H, C), of the kind that the model was trained with; resized
                likewise. None: none.
            sketches, curves, strokes: the user's drawings, if the model is conditioned on drawings; see
                :meth:`~sketch2video.systems.sketch_ldm.pipeline.SketchToVideoPipeline.__call__`.
            output_type: "np", "pt", "pil", or "latent" for the tokens: for each level int64 (N, T, h, w), the finest
                first.
            return_dict: whether to return a :class:`VideoOutput` instead of the tuple of its values.
            prompt: another name for ``captions``.
            callback_on_step_end: called with the pipeline, the step index, the index of the generated frame and no
                tensors at the end of every step. As in diffusers, ``pipe._interrupt = True`` skips the remaining steps:
                the videos end with that frame.
            callback_on_step_end_tensor_inputs: none.
            sampling: ``guidance_scale`` of the caption and ``control_guidance_scale`` of drawing or control video
                (1 disables guidance, 0 ignores the condition), ``temperature``, ``top_k``, ``top_p``. By default those
                of ``pipe.config.sampling``, for which the model's scores hold; see
                :class:`~sketch2video.params.sampling.SamplingOptions`. ``num_inference_steps`` is ignored, as every
                token is a step; it is accepted so that all systems have the same call.

        Raises:
            TypeError: there is no such argument.
            ValueError: the arguments are inconsistent.
        """
        sampling.pop("num_inference_steps", None)
        request = self.request(
            captions,
            prompt,
            callback_on_step_end,
            callback_on_step_end_tensor_inputs,
            num_videos=num_videos,
            num_frames=num_frames,
            fps=fps,
            sampling=sampling,
            generator=generator,
            output_type=output_type,
            sketches=sketches,
            curves=curves,
            strokes=strokes,
            control=control,
            frames=frames,
        )
        return self.generate(request, partial(self.write, request), return_dict)

    def check_request(self, request: VideoRequest) -> None:
        """See :class:`VideoPipeline`."""
        draws = self.control.draws
        for name, fits, example in (
            ("control", self.control.channels and not draws, VIDEO),
            ("sketches", draws, SKETCH),
            ("curves", draws, SKETCH),
            ("strokes", draws, SKETCH),
        ):
            if getattr(request, name) is not None and not fits:
                raise ValueError(
                    f"{name} was given, but this model was trained without; train with token_transformer.control:"
                    f" {example.name}"
                )
        given = 0 if request.frames is None else request.frames.shape[1]
        if given > request.num_frames:
            raise ValueError(f"num_frames is {request.num_frames}, but {given} frames were given; raise it")

    def write(self, request: VideoRequest, text: TextCondition | None, pictures: Tensor | None) -> list[Tensor]:
        """Tokens of the videos, for each level int64 (N, T, h, w), the finest first.

        Args:
            request: the validated arguments.
            text: encoded captions; None: unconditional.
            pictures: (N, T, C, S, S) in [0, 1], drawings or control videos; None: none.
        """
        rates = request.rates(self._execution_device)
        known = None if request.frames is None else self.encode(request.frames)
        branches = self.branches(text, pictures, rates, request.sampling)
        written = request.num_frames

        def steps(frames: Iterable[int]) -> Iterator[int]:
            nonlocal written
            for frame in self.until_interrupted(frames):
                yield frame
                if request.on_step_end is not None:
                    request.on_step_end(frame)
                if self.interrupt:
                    written = frame + 1

        tokens = sample_tokens(
            self.transformer, branches, request.num_frames, request.sampling, request.generator, known, steps
        )
        return [level[:, :written] for level in tokens]

    def branches(
        self,
        text: TextCondition | None,
        pictures: Tensor | None,
        fps: Tensor,
        guidance: Guidance,
    ) -> list[tuple[float, ClipCondition]]:
        """Conditions of the transformers for each term of guidance, with the term's weight."""
        weights = guidance_weights(pictures is not None, text is not None, guidance)
        found = []
        for (with_control, with_text), weight in weights.items():
            hidden, mask = (text.hidden, text.mask) if text and with_text else (None, None)
            control = pictures if with_control else None
            found.append((weight, self.transformer.condition(len(fps), hidden, mask, fps, control)))
        return found

    def encode(self, frames: np.ndarray) -> list[Tensor]:
        """Tokens of frames uint8 (N, t, H, H, 3), level by level: int64 (N, t, h, w)."""
        pictures = 2 * pictures_of(frames, self.sample_size, self._execution_device) - 1
        parts = [self.vqgan.encode(part) for part in pictures.flatten(0, 1).split(FRAMES_AT_ONCE)]
        return [torch.cat(level).unflatten(0, pictures.shape[:2]) for level in zip(*parts, strict=True)]

    def decode_videos(self, made: list[Tensor], control: Tensor | None) -> Tensor:
        """Frames (N, T, 3, S, S), about [-1, 1], of tokens (N, T, h, w) of each level, decoded in batches."""
        parts = zip(*(level.flatten(0, 1).split(FRAMES_AT_ONCE) for level in made), strict=True)
        frames = torch.cat([self.vqgan.decode(part) for part in parts]).float()
        return frames.unflatten(0, made[0].shape[:2])


def assemble(
    output: Path,
    *,
    text_encoder: Path,
    vqgan: Path,
    token_transformer: Path,
    curve_vae: Path | None = None,
    sampling: dict[str, Any] | None = None,
) -> None:
    """Write the pipeline folder from the trained parts, atomically.

    Args:
        output: the folder.
        text_encoder, vqgan, token_transformer: folders of the parts.
        curve_vae: folder of the curve VAE, if the transformers are conditioned on sketches.
        sampling: see the class.

    Raises:
        UserError: a part is missing or damaged.
    """
    tokenizer, encoder = load_text_encoder(text_encoder)
    pipeline = HierarchicalVQGANPipeline(
        tokenizer=tokenizer,
        text_encoder=encoder,
        vqgan=load_vqgan(vqgan),
        transformer=load_frozen(TokenTransformer, token_transformer, "train_token_transformer"),
        curve_vae=load_frozen(CurveVAE, curve_vae, "train_curve_vae") if curve_vae else None,
        sampling=sampling,
    )
    with replacing(output) as partial:
        pipeline.save_pretrained(partial, safe_serialization=True)
