"""The sketch-guided video LDM: caption -> curves -> drawing -> latent video -> video."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Unpack

import torch
from diffusers import SchedulerMixin
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from sketch2video.autoencoder.network import FrameAutoencoder
from sketch2video.curve_vae import CurveVAE
from sketch2video.curve_vae.sampling import Generators
from sketch2video.curves import CurveSequence
from sketch2video.diffusion.video_transformer import VideoTransformer
from sketch2video.networks.loading import load_frozen
from sketch2video.params import SamplingOptions
from sketch2video.pipelines.callbacks import CallbackOnStepEnd
from sketch2video.pipelines.drawing import Curves, Sketches
from sketch2video.pipelines.latent_video import LatentVideoPipeline, save_pipeline
from sketch2video.pipelines.output import VideoOutput
from sketch2video.pipelines.request import Prompt, VideoRequest
from sketch2video.text.encoder import TextCondition


class SketchToVideoPipeline(LatentVideoPipeline):
    """Text to video by way of a drawing: the curve VAE generates curves, the video LDM generates the video over them.

    Args:
        tokenizer, text_encoder: encode captions.
        curve_vae: caption -> curves.
        autoencoder: latents -> frames, conditioned on the drawing.
        transformer: the video LDM's network.
        scheduler: a scheduler of diffusers that matches the network's prediction type; see :meth:`set_sampler`.
        sampling: settings of the sampling where a call gives none.
    """

    model_cpu_offload_seq = "text_encoder->curve_vae->transformer->autoencoder"

    curve_vae: CurveVAE

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        text_encoder: PreTrainedModel,
        curve_vae: CurveVAE,
        autoencoder: FrameAutoencoder,
        transformer: VideoTransformer,
        scheduler: SchedulerMixin,
        sampling: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(tokenizer, text_encoder, autoencoder, transformer, scheduler, sampling)
        self.register_modules(curve_vae=curve_vae)

    @torch.no_grad()
    def __call__(
        self,
        captions: str | Sequence[Prompt] | None = None,
        num_frames: int | None = None,
        fps: float | Sequence[float] = 8.0,
        generator: Generators = None,
        num_videos: int | None = None,
        sketches: Sketches | None = None,
        curves: Curves | None = None,
        strokes: Sequence[CurveSequence] | None = None,
        output_type: str = "np",
        return_dict: bool = True,
        *,
        prompt: str | Sequence[Prompt] | None = None,
        latents: Tensor | None = None,
        callback_on_step_end: CallbackOnStepEnd | None = None,
        callback_on_step_end_tensor_inputs: Sequence[str] = ("latents",),
        **sampling: Unpack[SamplingOptions],
    ) -> VideoOutput | tuple:
        """Generate videos.

        Args:
            captions: one for each of N videos, or a single one; None: unconditional.
            num_frames: T; None: that of the drawings if they are given, else that of the training clips.
            fps: frame rate of the videos, one for all or one for each; it conditions the model.
            generator: random generator. With a list of one for each video, every video is independent of the others in
                its batch.
            num_videos: N, if neither captions nor drawings determine it.
            sketches: the user's drawings, used instead of generated curves: uint8 (N, T, H, H), 255 ink on 0; resized
                to the model's size if necessary. Or drawings of some frames by frame index, such as
                ``{0: first, 15: last}``, uint8 (H, H) for all videos or (N, H, H): the curve VAE generates the others.
            curves: the user's curves, one sequence for each video; or of some frames by frame index, such as
                ``{0: first, 15: last}``, sequences of one frame, one for all videos or one for each.
            strokes: some strokes of each video, T frames: the curve VAE generates the other strokes.
            output_type: "np", "pt", "pil" or "latent"; see :class:`VideoOutput`.
            return_dict: whether to return a :class:`VideoOutput` instead of the tuple of its values.
            prompt: another name for ``captions``.
            latents: standard normal noise (N, T, C, h, w) from which the videos are generated; None: it is sampled.
            callback_on_step_end: called with the pipeline, the step index, the timestep and tensors by name at the end
                of every step; the tensors that it returns by name replace those of the next step. As in diffusers,
                ``pipe._interrupt = True`` skips the remaining steps.
            callback_on_step_end_tensor_inputs: the tensors that it receives, of ``pipe._callback_tensor_inputs``.
            sampling: ``guidance_scale`` of the caption and ``control_guidance_scale`` of the drawing
                (1 disables guidance, 0 ignores the condition), ``num_inference_steps``. By default those of
                ``pipe.config.sampling``, for which the model's scores hold; see
                :class:`~sketch2video.params.sampling.SamplingOptions`.

        Raises:
            TypeError: there is no such argument.
            ValueError: the arguments are inconsistent.
        """
        request = self.request(
            captions,
            prompt,
            callback_on_step_end,
            callback_on_step_end_tensor_inputs,
            latents=latents,
            num_videos=num_videos,
            num_frames=num_frames,
            fps=fps,
            sampling=sampling,
            generator=generator,
            output_type=output_type,
            sketches=sketches,
            curves=curves,
            strokes=strokes,
        )
        return self.generate(request, partial(self.make, request), return_dict)

    def make(self, request: VideoRequest, text: TextCondition | None, ink: Tensor | None) -> Tensor:
        """Latents (N, T, C, h, w) of the videos.

        Args:
            request: the validated arguments.
            text: encoded captions; None: unconditional.
            ink: (N, T, 1, S, S) in [0, 1], the drawings.
        """
        return self.denoise(
            text,
            ink,
            request.num_frames,
            request.rates(self._execution_device),
            request.sampling,
            request.generator,
            latents=request.latents,
            on_step_end=request.on_step_end,
        )


def assemble(
    output: Path,
    *,
    text_encoder: Path,
    curve_vae: Path,
    autoencoder: Path,
    video_ldm: Path,
    **defaults: Any,
) -> None:
    """Write the pipeline folder from the trained parts, atomically.

    Args:
        output: the folder.
        text_encoder, curve_vae, autoencoder, video_ldm: folders of the parts.
        defaults: ``sampling``, as in the class, and the name of the ``sampler`` (by default that of the objective).

    Raises:
        UserError: a part is missing or damaged, or the objective does not allow this sampler.
    """
    save_pipeline(
        SketchToVideoPipeline,
        output,
        text_encoder=text_encoder,
        autoencoder=autoencoder,
        video_ldm=video_ldm,
        curve_vae=load_frozen(CurveVAE, curve_vae, "train_curve_vae"),
        **defaults,
    )
