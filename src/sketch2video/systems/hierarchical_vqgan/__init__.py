"""The system of tokens: hierarchical VQGAN and token transformers."""
