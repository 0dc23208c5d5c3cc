"""Adapters of the port `usage_counters`."""
