"""The embeddings service: texts into vectors, cached."""
