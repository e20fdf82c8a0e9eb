"""The denoiser of latent videos: network, objectives, samplers, training."""
