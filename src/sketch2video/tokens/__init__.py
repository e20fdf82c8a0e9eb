"""Videos as tokens: hierarchical VQGAN, token transformers, video discriminator."""
