"""Foreground and background separated, average fusion, masked losses, tuning for steady videos."""
