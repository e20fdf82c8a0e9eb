"""The hierarchical VQGAN: frames to tokens of several grids and back."""
