"""Curves through time: representation, rendering and comparison with drawings."""
