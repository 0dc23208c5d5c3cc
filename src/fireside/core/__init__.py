"""The vocabulary every other package shares: ids, errors, clock, identity. No I/O, no third-party services."""
