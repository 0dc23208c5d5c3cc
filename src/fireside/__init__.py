"""Fireside: a self-hosted AI assistant whose every claim cites a passage of your own documents."""

__version__ = "0.1.0"
