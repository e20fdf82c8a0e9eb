"""Captioned videos and their sketches as data sets for the trainers of other projects."""
