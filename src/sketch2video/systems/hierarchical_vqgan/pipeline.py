"""The hierarchical VQGAN system: caption -> tokens, frame after frame and level by level -> video."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from diffusers.video_processor import VideoProcessor
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from sketch2video.controls import SKETCH, VIDEO
from sketch2video.curve_vae import CurveVAE
from sketch2video.curves import CurveSequence
from sketch2video.files import replacing
from sketch2video.networks.flow_matching import guidance_weights
from sketch2video.networks.loading import load_frozen
from sketch2video.pipelines.drawing import (
    Sketches,
    as_sketches,
    check_drawings,
    draw,
    ink_of,
    videos_drawn,
    what_is_known,
)
from sketch2video.pipelines.output import VideoOutput
from sketch2video.pipelines.timing import Timings
from sketch2video.pipelines.video_pipeline import (
    FRAMES_AT_ONCE,
    Generators,
    VideoPipeline,
    check_captions,
    check_settings,
    check_videos,
    number_of_videos,
    pictures_of,
)
from sketch2video.text.encoder import TextCondition, encode_text, load_text_encoder
from sketch2video.tokens.clip_condition import ClipCondition
from sketch2video.tokens.sampling import TokenSampling, sample_tokens
from sketch2video.tokens.transformer import TokenTransformer
from sketch2video.tokens.vqgan.network import HierarchicalVQGAN, load_vqgan


class HierarchicalVQGANPipeline(VideoPipeline):
    """Text to video by tokens: transformers write the tokens of a VQGAN's levels, its decoder makes frames of them.

    Videos may have any length; the time for a frame and the memory do not grow with it. They can begin with given
    frames (video prediction), and follow drawings or control videos where the transformers were trained with such.

    Args:
        tokenizer, text_encoder: what reads captions.
        vqgan: frames <-> tokens.
        transformer: the transformers of all levels.
        curve_vae: caption -> curves, where the transformers follow sketches; None: they do not.
        temperature, top_k, top_p: how tokens are drawn unless a call says otherwise; see
            :class:`~sketch2video.tokens.sampling.TokenSampling`.
    """

    model_cpu_offload_seq = "text_encoder->curve_vae->transformer->vqgan"
    _optional_components = ["curve_vae"]  # noqa: RUF012 (diffusers' own way)

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
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
    ) -> None:
        super().__init__()
        self.register_modules(
            tokenizer=tokenizer,
            text_encoder=text_encoder,
            vqgan=vqgan,
            transformer=transformer,
            curve_vae=curve_vae,
        )
        self.register_to_config(temperature=temperature, top_k=top_k, top_p=top_p)
        self.video_processor = VideoProcessor(vae_scale_factor=2**vqgan.config.halvings)

    @property
    def latent_numbers(self) -> int:
        """Tokens that a frame is, all levels together."""
        return self.vqgan.tokens(self.sample_size)

    @torch.no_grad()
    def __call__(
        self,
        captions: str | Sequence[str] | None = None,
        num_frames: int | None = None,
        fps: float | Sequence[float] = 8.0,
        guidance_scale: float = 2.0,
        control_guidance_scale: float = 1.0,
        num_inference_steps: int | None = None,
        generator: Generators = None,
        num_videos: int | None = None,
        frames: np.ndarray | None = None,
        control: np.ndarray | None = None,
        sketches: Sketches | None = None,
        curves: Sequence[CurveSequence] | None = None,
        strokes: Sequence[CurveSequence] | None = None,
        temperature: float | None = None,
        top_k: int | None = None,
        top_p: float | None = None,
        output_type: str = "np",
        return_dict: bool = True,
    ) -> VideoOutput | tuple:
        """Generate videos.

        Args:
            captions: what to show, one for each of N videos; None: anything.
            num_frames: T, any number; None: that of drawings or control videos if they are given, else as in training.
            fps: frame rate at which the action is meant to be seen, for all videos or for each.
            guidance_scale: how strongly the caption is followed; 1 is the plain model.
            control_guidance_scale: how strongly drawing or control video is followed; 1 is the plain model, 0 ignores
                it.
            num_inference_steps: of no meaning here, where every token is a step; taken so that all systems are called
                alike.
            generator: source of all randomness. A list with one for each video makes every video independent of the
                others in its batch.
            num_videos: N, where nothing else says it.
            frames: frames that the videos begin with, uint8 (N, t, H, H, 3); resized to the model's size if they have
                another one. They are answered as the VQGAN shows them. None: none.
            control: control videos to be followed, uint8 (N, T, H, H, C), of the kind that the model was trained with;
                resized likewise. None: none.
            sketches, curves, strokes: drawings of the user's own, where the model follows drawings; see
                :meth:`~sketch2video.systems.sketch_ldm.pipeline.SketchToVideoPipeline.__call__`.
            temperature, top_k, top_p: how tokens are drawn; None: as the pipeline's config says.
            output_type: "np", "pt", "pil", or "latent" for the tokens: for each level int64 (N, T, h, w), the finest
                first.
            return_dict: whether to return a :class:`VideoOutput` instead of the tuple of its values.

        Raises:
            ValueError: arguments that do not belong together.
        """
        # 1. Check what was asked for
        captions = [captions] if isinstance(captions, str) else captions
        curves = None if curves is None else list(curves)
        count, length = self.check_inputs(
            captions, num_frames, fps, generator, num_videos, frames, control, sketches, curves, strokes, output_type
        )
        config = self.config
        sampling = TokenSampling(
            config.temperature if temperature is None else temperature,
            config.top_k if top_k is None else top_k,
            config.top_p if top_p is None else top_p,
        )
        device = self._execution_device
        rates = torch.as_tensor(fps, dtype=torch.float32, device=device).expand(count)
        self.timings = Timings(device)

        # 2. Read the captions, and the frames and control videos that are there
        text = encode_text(self.tokenizer, self.text_encoder, captions).to(device) if captions else None
        known = None if frames is None else self.encode(frames)
        pictures = None
        if control is not None:
            pictures = pictures_of(control, self.sample_size, device, self.control.lines)
        self.timings.lap("captions")

        # 3. Draw
        if self.curve_vae is not None:
            if curves is None and not isinstance(sketches, np.ndarray):
                words = text or encode_text(self.tokenizer, self.text_encoder, [""] * count).to(device)
                seen = what_is_known(self.curve_vae, sketches, strokes, count, length, device)
                curves = draw(self.curve_vae, words, length, rates, generator, seen)
            pictures = ink_of(sketches, curves, self.sample_size, device)
            self.timings.lap("curves")

        # 4. Write the tokens
        branches = self.branches(text, pictures, rates, guidance_scale, control_guidance_scale)
        tokens = sample_tokens(self.transformer, branches, length, sampling, generator, known, self.progress_bar)
        self.timings.lap("tokens")

        # 5. Decode
        video = self.decode(tokens, output_type)
        self.timings.lap("decoding")
        self.maybe_free_model_hooks()

        # 6. Answer
        drawn = None if self.curve_vae is None or pictures is None else as_sketches(pictures)
        output = VideoOutput(frames=video, curves=curves, sketches=drawn)
        return output if return_dict else output.to_tuple()

    def check_inputs(
        self,
        captions: Sequence[str] | None,
        num_frames: int | None,
        fps: float | Sequence[float],
        generator: Generators,
        num_videos: int | None,
        frames: np.ndarray | None,
        control: np.ndarray | None,
        sketches: Sketches | None,
        curves: list[CurveSequence] | None,
        strokes: Sequence[CurveSequence] | None,
        output_type: str,
    ) -> tuple[int, int]:
        """Compare the arguments of a call with each other.

        Returns:
            N and T.

        Raises:
            ValueError: they do not belong together; the message says which and what to change.
        """
        draws = self.control.draws
        for name, given, fits, example in (
            ("control", control, self.control.channels and not draws, VIDEO),
            ("sketches", sketches, draws, SKETCH),
            ("curves", curves, draws, SKETCH),
            ("strokes", strokes, draws, SKETCH),
        ):
            if given is not None and not fits:
                raise ValueError(
                    f"{name} was given, but this model was trained without; train with token_transformer.control:"
                    f" {example.name}"
                )
        check_videos(frames=frames)
        check_videos(self.control.channels, control=control)
        drawn = check_drawings(sketches, curves, num_frames, strokes)
        check_captions(captions)
        count = number_of_videos(
            {
                "captions": captions,
                "frames": frames,
                "control": control,
                "sketches": videos_drawn(sketches),
                "curves": curves,
                "strokes": strokes,
                "generator": generator,
                "fps": fps,
            },
            num_videos,
        )
        shown = drawn if control is None else control.shape[1]
        if shown and num_frames and shown != num_frames:
            raise ValueError(f"num_frames is {num_frames}, but control has {shown} frames; leave num_frames out")
        length = next(number for number in (shown, num_frames, self.sample_frames) if number is not None)
        check_settings(length, 1, fps, output_type)
        if frames is not None and frames.shape[1] > length:
            raise ValueError(f"num_frames is {length}, but {frames.shape[1]} frames were given; ask for more")
        return count, length

    def branches(
        self,
        text: TextCondition | None,
        pictures: Tensor | None,
        fps: Tensor,
        guidance_scale: float,
        control_guidance_scale: float,
    ) -> list[tuple[float, ClipCondition]]:
        """What the transformers are told, more or less of it, and how much each answer weighs in guidance."""
        weights = guidance_weights(pictures is not None, text is not None, guidance_scale, control_guidance_scale)
        found = []
        for (with_control, with_text), weight in weights.items():
            said = text if with_text else None
            hidden, mask = (said.hidden, said.mask) if said else (None, None)
            shown = pictures if with_control else None
            found.append((weight, self.transformer.condition(len(fps), hidden, mask, fps, shown)))
        return found

    def encode(self, frames: np.ndarray) -> list[Tensor]:
        """Tokens of frames uint8 (N, t, H, H, 3), level by level: int64 (N, t, h, w)."""
        pictures = 2 * pictures_of(frames, self.sample_size, self._execution_device) - 1
        parts = [self.vqgan.encode(part) for part in pictures.flatten(0, 1).split(FRAMES_AT_ONCE)]
        return [torch.cat(level).unflatten(0, pictures.shape[:2]) for level in zip(*parts, strict=True)]

    def decode(self, tokens: list[Tensor], output_type: str) -> np.ndarray | list | Tensor:
        """Videos of tokens (N, T, h, w) of each level, a few frames at a time; the tokens themselves for "latent"."""
        if output_type == "latent":
            return tokens
        parts = zip(*(level.flatten(0, 1).split(FRAMES_AT_ONCE) for level in tokens), strict=True)
        frames = torch.cat([self.vqgan.decode(part) for part in parts]).float()
        videos = frames.unflatten(0, tokens[0].shape[:2]).transpose(1, 2)
        return self.video_processor.postprocess_video(videos, output_type)


def assemble(
    output: Path = Path("models/hierarchical_vqgan"),
    *,
    text_encoder: Path = Path("models/text_encoder"),
    vqgan: Path = Path("models/hierarchical/vqgan"),
    token_transformer: Path = Path("models/hierarchical/token_transformer"),
    curve_vae: Path | None = None,
    sampling: TokenSampling | None = None,
) -> None:
    """Write the pipeline folder that is made of the trained parts, atomically.

    Args:
        output: the folder.
        text_encoder, vqgan, token_transformer: folders of the parts.
        curve_vae: likewise, where the transformers follow sketches.
        sampling: how tokens are drawn unless a call says otherwise; None: as the transformers say.

    Raises:
        UserError: a part is missing or damaged.
    """
    tokenizer, encoder = load_text_encoder(text_encoder)
    sampling = sampling or TokenSampling()
    pipeline = HierarchicalVQGANPipeline(
        tokenizer=tokenizer,
        text_encoder=encoder,
        vqgan=load_vqgan(vqgan),
        transformer=load_frozen(TokenTransformer, token_transformer, "train_token_transformer"),
        curve_vae=load_frozen(CurveVAE, curve_vae, "train_curve_vae") if curve_vae else None,
        temperature=sampling.temperature,
        top_k=sampling.top_k,
        top_p=sampling.top_p,
    )
    with replacing(output) as partial:
        pipeline.save_pretrained(partial, safe_serialization=True)
