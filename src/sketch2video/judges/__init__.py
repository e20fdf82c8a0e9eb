"""Classifiers of clips and drawings, for evaluation."""
