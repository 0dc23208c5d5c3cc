"""The vectors service: the search index of chunks."""
