"""Drawings to curves: trace, track through time, solve, refine."""
