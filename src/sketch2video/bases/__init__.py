"""Pretrained text-to-video models (bases) that learn to follow drawings.

A base is a model of the user's: Wan 2.1, LTX-Video, CogVideoX, Stable Diffusion, or a text-to-video LDM of this
project, one file each. The drawing, as a video, is encoded by the base's own autoencoder and enters as additional
latent channels (:mod:`~sketch2video.bases.widened_input`); LoRA (Hu et al. 2022) adapts attention and feed-forward
layers. The weights of the base are frozen, and a saved adaptation does not contain them.
"""
