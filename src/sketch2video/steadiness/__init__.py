"""Foreground and background told apart, average fusion, masked losses, tuning for steady videos."""
