"""Networks: their forward passes and the formulas of their losses. Nothing here reads data or trains."""

from sketch2video.models.autoencoder import FrameAutoencoder
from sketch2video.models.video_transformer import VideoTransformer
from sketch2video.models.vqgan import HierarchicalVQGAN

__all__ = ["FrameAutoencoder", "HierarchicalVQGAN", "VideoTransformer"]
