"""The studio: a page to type a caption, draw, change strokes, and see the video. Started by ``sketch2video studio``."""
