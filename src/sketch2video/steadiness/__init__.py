"""Segmentation of the foreground, average fusion, masked losses and combined tuning for steady videos."""
