"""Stores of conversations outside of the chat service's own database."""
