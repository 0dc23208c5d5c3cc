"""Transporters: one module a technology."""
