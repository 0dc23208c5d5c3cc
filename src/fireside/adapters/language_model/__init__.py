"""Servers of language models, one module a wire dialect."""
