"""Caches: one module a technology."""
