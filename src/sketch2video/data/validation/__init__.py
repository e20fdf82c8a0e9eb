"""Validation of clips and curves (Great Expectations, which takes seconds to import)."""
