"""Systems: how trained networks become text to video. All are ``DiffusionPipeline`` subclasses, called alike."""

from sketch2video.pipelines.output import VideoOutput
from sketch2video.systems.hierarchical_vqgan.pipeline import HierarchicalVQGANPipeline
from sketch2video.systems.long_video.pipeline import LongVideoPipeline
from sketch2video.systems.sketch_ldm.pipeline import SketchToVideoPipeline
from sketch2video.systems.text_ldm.pipeline import TextToVideoPipeline

__all__ = [
    "HierarchicalVQGANPipeline",
    "LongVideoPipeline",
    "SketchToVideoPipeline",
    "TextToVideoPipeline",
    "VideoOutput",
]
