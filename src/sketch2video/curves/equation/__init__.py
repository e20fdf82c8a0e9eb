"""The equation: curves through time, drawn and compared with drawings."""
