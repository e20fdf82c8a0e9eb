"""Captions: tokenizer and text encoder."""
